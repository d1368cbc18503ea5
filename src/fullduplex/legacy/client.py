"""The client under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..asyncio import client as _new

    Connect = connect = _new.connect
    WebSocketClientProtocol = _new.WebSocketClientProtocol
    unix_connect = _new.unix_connect

__all__ = [
    "Connect",
    "WebSocketClientProtocol",
    "connect",
    "unix_connect",
]

reexport(globals())
deprecate(
    globals(),
    {
        "Connect": ("..client:connect", "fullduplex.client.connect"),
        "connect": ("..client", "fullduplex.client.connect"),
        "unix_connect": ("..client", "fullduplex.client.unix_connect"),
        "WebSocketClientProtocol": (
            "..client",
            "fullduplex.client.WebSocketClientProtocol",
        ),
    },
)
