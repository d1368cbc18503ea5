"""WebSockets on trio: the same names as on asyncio, and structured."""

from __future__ import annotations

try:
    import trio as _trio  # noqa: F401
except ModuleNotFoundError as exc:
    if exc.name != "trio":
        raise
    raise ImportError(
        'fullduplex.trio needs trio: pip install "fullduplex[trio]"'
    ) from exc

from .broadcast import BroadcastResult
from .client import ClientConnection, connect, unix_connect
from .router import Router, route, unix_route
from .server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)

__all__ = [
    "BroadcastResult",
    "ClientConnection",
    "Router",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]
