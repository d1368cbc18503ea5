"""Extensions of the protocol; see `fullduplex.core.extensions`."""

from __future__ import annotations

from ..core.extensions.base import ClientExtensionFactory, ServerExtensionFactory
from ..core.frames.frame import Extension
from ..imports import lazy_import

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]

lazy_import(
    globals(), aliases={name: f".{name}:" for name in ("base", "permessage_deflate")}
)
