"""The opening handshake under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from . import _handshake

    build_request = _handshake.build_request
    build_response = _handshake.build_response
    check_request = _handshake.check_request
    check_response = _handshake.check_response

__all__ = [
    "build_request",
    "build_response",
    "check_request",
    "check_response",
]

_CLIENT, _SERVER = (
    "fullduplex.client.ClientProtocol",
    "fullduplex.server.ServerProtocol",
)

reexport(globals())
deprecate(
    globals(),
    {
        "build_request": ("._handshake", _CLIENT),
        "check_response": ("._handshake", _CLIENT),
        "build_response": ("._handshake", _SERVER),
        "check_request": ("._handshake", _SERVER),
    },
)
