"""Names of the server, under the path of websockets.

`serve` and what belongs to it are the asyncio server's; `ServerProtocol` does no I/O
and loads no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .imports import deprecate, offer, reexport

if TYPE_CHECKING:
    from .asyncio.broadcast import BroadcastResult, broadcast
    from .asyncio.router import Router, route, unix_route
    from .asyncio.server import (
        BasicAuthWebSocketServerProtocol,
        Server,
        WebSocketServer,
        WebSocketServerProtocol,
        basic_auth,
        basic_auth_protocol_factory,
        serve,
        unix_serve,
    )
    from .legacy import sansio as _older
    from .sansio.server import ServerProtocol

    ServerConnection = _older.ServerConnection

__all__ = [
    "BasicAuthWebSocketServerProtocol",
    "BroadcastResult",
    "Router",
    "Server",
    "ServerProtocol",
    "WebSocketServer",
    "WebSocketServerProtocol",
    "basic_auth",
    "basic_auth_protocol_factory",
    "broadcast",
    "route",
    "serve",
    "unix_route",
    "unix_serve",
]

reexport(globals())
offer(
    globals(),
    {
        ".asyncio.broadcast": "BroadcastResult broadcast",
        ".asyncio.router": "Router route unix_route",
        ".asyncio.server": (
            "BasicAuthWebSocketServerProtocol Server WebSocketServer "
            "WebSocketServerProtocol basic_auth basic_auth_protocol_factory serve "
            "unix_serve"
        ),
        ".sansio.server": "ServerProtocol",
    },
)
deprecate(
    globals(),
    {
        "ServerConnection": (
            ".legacy.sansio",
            "fullduplex.server.ServerProtocol, or fullduplex.asyncio.server."
            "ServerConnection for the class of connections",
        )
    },
)
