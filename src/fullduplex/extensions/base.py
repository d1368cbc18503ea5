"""Interface of an extension; see `fullduplex.core.extensions.base`."""

from __future__ import annotations

from ..core.extensions.base import ClientExtensionFactory, ServerExtensionFactory
from ..core.frames.frame import Extension
from ..imports import reexport

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]

reexport(globals())
