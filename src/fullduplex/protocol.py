"""Connections without I/O, where websockets has them; see `fullduplex.sansio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .imports import deprecate, reexport
from .sansio.protocol import SEND_EOF, Event, Protocol, Side, State

if TYPE_CHECKING:
    from .asyncio import broadcast as _broadcast
    from .asyncio import connection as _connection

    broadcast = _broadcast.broadcast
    WebSocketCommonProtocol = _connection.Connection

__all__ = ["SEND_EOF", "Event", "Protocol", "Side", "State"]

CLIENT, SERVER = Side.CLIENT, Side.SERVER
CONNECTING, OPEN = State.CONNECTING, State.OPEN
CLOSING, CLOSED = State.CLOSING, State.CLOSED

# The module of this name in websockets 10 is `fullduplex.legacy.protocol`.
reexport(globals())
deprecate(
    globals(),
    {
        "WebSocketCommonProtocol": (
            ".asyncio.connection:Connection",
            "fullduplex.asyncio.connection.Connection",
        ),
        "broadcast": (".asyncio.broadcast", "fullduplex.broadcast"),
    },
)
