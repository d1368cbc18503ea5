"""What client and server share, under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

deprecate(
    globals(),
    {
        "WebSocketCommonProtocol": (
            "..asyncio.connection:Connection",
            "fullduplex.asyncio.connection.Connection",
        ),
        "broadcast": ("..asyncio.broadcast", "fullduplex.broadcast"),
    },
)
