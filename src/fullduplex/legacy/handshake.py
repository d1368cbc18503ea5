"""The opening handshake under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

_CLIENT, _SERVER = (
    "fullduplex.client.ClientProtocol",
    "fullduplex.server.ServerProtocol",
)

deprecate(
    globals(),
    {
        "build_request": ("._handshake", _CLIENT),
        "check_response": ("._handshake", _CLIENT),
        "build_response": ("._handshake", _SERVER),
        "check_request": ("._handshake", _SERVER),
    },
)
