"""The asyncio face: `connect`, `unix_connect`, `serve`, `unix_serve`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import ClientConnection, connect, unix_connect
    from .router import Router, route, unix_route
    from .server import Server, ServerConnection, basic_auth, serve, unix_serve

_HOMES = {
    "client": "ClientConnection connect unix_connect",
    "router": "Router route unix_route",
    "server": "Server ServerConnection basic_auth serve unix_serve",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = frozenset(
    {
        "async_timeout",
        "auth",
        "broadcast",
        "compatibility",
        "client",
        "connection",
        "router",
        "server",
    }
)

__all__ = [
    "ClientConnection",
    "Router",
    "Server",
    "ServerConnection",
    "basic_auth",
    "connect",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is not None:
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
