"""The blocking face: the thread that calls does the reading and writing itself.

    from fullduplex.sync import connect

    with connect("wss://example.com/") as ws:
        ws.send("hello")
        for message in ws:
            ...

Names are loaded when they are first used, so that a client loads no server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.endpoint.broadcast import BroadcastResult
    from ._broadcast import broadcast
    from .auth import basic_auth
    from .client import (
        ClientConnection,
        connect,
        reconnect,
        unix_connect,
        unix_reconnect,
    )
    from .router import Router, route, unix_route
    from .server import Server, ServerConnection, serve, unix_serve

__all__ = [
    "BroadcastResult",
    "ClientConnection",
    "Router",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "reconnect",
    "route",
    "serve",
    "unix_connect",
    "unix_reconnect",
    "unix_route",
    "unix_serve",
]

_HOMES = {
    "auth": ["basic_auth"],
    "_broadcast": ["BroadcastResult", "broadcast"],
    "client": [
        "ClientConnection",
        "connect",
        "reconnect",
        "unix_connect",
        "unix_reconnect",
    ],
    "router": ["Router", "route", "unix_route"],
    "server": ["Server", "ServerConnection", "serve", "unix_serve"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
