"""Names of client and server, under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..asyncio import broadcast as _broadcast
    from ..asyncio import connection as _connection

    broadcast = _broadcast.broadcast
    WebSocketCommonProtocol = _connection.Connection

__all__ = [
    "WebSocketCommonProtocol",
    "broadcast",
]

reexport(globals())
deprecate(
    globals(),
    {
        "WebSocketCommonProtocol": (
            "..asyncio.connection:Connection",
            "fullduplex.asyncio.connection.Connection",
        ),
        "broadcast": ("..asyncio.broadcast", "fullduplex.broadcast"),
    },
)
