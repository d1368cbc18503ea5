"""Connections without I/O under the names of websockets 10; see `protocol`."""

from __future__ import annotations

from .imports import deprecate

_SAME = "SEND_EOF CLIENT SERVER CONNECTING OPEN CLOSING CLOSED Event Side State"

deprecate(
    globals(),
    {
        "Connection": (".sansio.older", "fullduplex.protocol.Protocol"),
        **{
            name: (".protocol", f"fullduplex.protocol.{name}") for name in _SAME.split()
        },
    },
)
