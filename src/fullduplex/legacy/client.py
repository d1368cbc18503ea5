"""The client under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

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
