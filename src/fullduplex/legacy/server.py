"""The server under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

_SAME = "WebSocketServer WebSocketServerProtocol broadcast serve unix_serve"

deprecate(
    globals(),
    {
        "HTTPResponse": ("._types", "fullduplex.http11.Response"),
        "HeadersLikeOrCallable": ("._types", "fullduplex.datastructures.HeadersLike"),
        "Serve": ("..server:serve", "fullduplex.server.serve"),
        **{name: ("..server", f"fullduplex.server.{name}") for name in _SAME.split()},
    },
)
