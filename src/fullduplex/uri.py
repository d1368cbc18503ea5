"""WebSocket addresses; see `fullduplex.core.uri`."""

from __future__ import annotations

from .core.uri import WebSocketURI, parse_uri
from .imports import reexport

__all__ = [
    "WebSocketURI",
    "parse_uri",
]

reexport(globals())
