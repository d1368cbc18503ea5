"""The client's names, where the seed page and websockets 10 have them."""

from __future__ import annotations

from .asyncio.client import (
    ClientConnection,
    WebSocketClientProtocol,
    connect,
    unix_connect,
)
from .core.reconnect import backoff, process_exception

__all__ = [
    "ClientConnection",
    "WebSocketClientProtocol",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]
