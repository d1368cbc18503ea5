"""HTTP Basic authentication under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..asyncio import server as _server
    from ..core.server import auth as _auth

    BasicAuthWebSocketServerProtocol = _server.BasicAuthWebSocketServerProtocol
    basic_auth_protocol_factory = _server.basic_auth_protocol_factory
    Credentials = _auth.Credentials

__all__ = [
    "BasicAuthWebSocketServerProtocol",
    "Credentials",
    "basic_auth_protocol_factory",
]

reexport(globals())
deprecate(
    globals(),
    {
        "BasicAuthWebSocketServerProtocol": (
            "..asyncio.server",
            "fullduplex.basic_auth",
        ),
        "Credentials": ("..core.server.auth", "tuple[str, str]"),
        "basic_auth_protocol_factory": ("..asyncio.server", "fullduplex.basic_auth"),
    },
)
