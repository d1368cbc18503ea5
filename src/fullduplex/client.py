"""Names of the client, under the path of websockets.

`connect` and what belongs to it are the asyncio client's; `ClientProtocol` does no
I/O and loads no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .imports import deprecate, offer, reexport

if TYPE_CHECKING:
    from .asyncio.client import WebSocketClientProtocol, connect, unix_connect
    from .core.client.backoff import backoff
    from .core.client.reconnect import process_exception
    from .legacy import sansio as _older
    from .sansio.client import ClientProtocol

    ClientConnection = _older.ClientConnection

__all__ = [
    "ClientProtocol",
    "WebSocketClientProtocol",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]

reexport(globals())
offer(
    globals(),
    {
        ".asyncio.client": "WebSocketClientProtocol connect unix_connect",
        ".core.client.backoff": "backoff",
        ".core.client.reconnect": "process_exception",
        ".sansio.client": "ClientProtocol",
    },
)
deprecate(
    globals(),
    {
        "ClientConnection": (
            ".legacy.sansio",
            "fullduplex.client.ClientProtocol, or fullduplex.asyncio.client."
            "ClientConnection for the class of connections",
        )
    },
)
