"""Extensions: the interface, and permessage-deflate which implements it."""

from __future__ import annotations

from ..frames.frame import Extension
from .base import ClientExtensionFactory, ServerExtensionFactory

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]
