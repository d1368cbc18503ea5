"""Extensions of the protocol; see `fullduplex.core.extensions`."""

from __future__ import annotations

from ..core.extensions.base import (
    ClientExtensionFactory,
    Extension,
    ServerExtensionFactory,
)

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]
