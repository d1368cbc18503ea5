"""The server under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..asyncio import broadcast as _broadcast
    from ..asyncio import server as _new
    from . import _types

    Serve = serve = _new.serve
    WebSocketServer = _new.WebSocketServer
    WebSocketServerProtocol = _new.WebSocketServerProtocol
    broadcast = _broadcast.broadcast
    unix_serve = _new.unix_serve
    HTTPResponse = _types.HTTPResponse
    HeadersLikeOrCallable = _types.HeadersLikeOrCallable

__all__ = [
    "HTTPResponse",
    "HeadersLikeOrCallable",
    "Serve",
    "WebSocketServer",
    "WebSocketServerProtocol",
    "broadcast",
    "serve",
    "unix_serve",
]

_SAME = "WebSocketServer WebSocketServerProtocol broadcast serve unix_serve"

reexport(globals())
deprecate(
    globals(),
    {
        "HTTPResponse": ("._types", "fullduplex.http11.Response"),
        "HeadersLikeOrCallable": ("._types", "fullduplex.datastructures.HeadersLike"),
        "Serve": ("..server:serve", "fullduplex.server.serve"),
        **{name: ("..server", f"fullduplex.server.{name}") for name in _SAME.split()},
    },
)
