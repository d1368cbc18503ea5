"""Connections without I/O under the names of websockets 10; see `protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .imports import deprecate, reexport

if TYPE_CHECKING:
    from . import protocol as _new
    from .legacy import sansio as _older

    Connection = _older.Connection
    CLIENT = _new.CLIENT
    CLOSED = _new.CLOSED
    CLOSING = _new.CLOSING
    CONNECTING = _new.CONNECTING
    OPEN = _new.OPEN
    SEND_EOF = _new.SEND_EOF
    SERVER = _new.SERVER
    Event = _new.Event
    Side = _new.Side
    State = _new.State

_SAME = "SEND_EOF CLIENT SERVER CONNECTING OPEN CLOSING CLOSED Event Side State"

reexport(globals())
deprecate(
    globals(),
    {
        "Connection": (".legacy.sansio", "fullduplex.protocol.Protocol"),
        **{
            name: (".protocol", f"fullduplex.protocol.{name}") for name in _SAME.split()
        },
    },
)
