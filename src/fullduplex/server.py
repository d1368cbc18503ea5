"""The server's names, where websockets 10 has them."""

from __future__ import annotations

from .asyncio.broadcast import BroadcastResult, broadcast
from .asyncio.router import Router, route, unix_route
from .asyncio.server import (
    BasicAuthWebSocketServerProtocol,
    Server,
    ServerConnection,
    WebSocketServer,
    WebSocketServerProtocol,
    basic_auth,
    basic_auth_protocol_factory,
    serve,
    unix_serve,
)

__all__ = [
    "BasicAuthWebSocketServerProtocol",
    "BroadcastResult",
    "Router",
    "Server",
    "ServerConnection",
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
