"""HTTP Basic authentication under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

deprecate(
    globals(),
    {
        "BasicAuthWebSocketServerProtocol": (
            "..asyncio.server",
            "fullduplex.basic_auth",
        ),
        "Credentials": ("..core.auth", "tuple[str, str]"),
        "basic_auth_protocol_factory": ("..asyncio.server", "fullduplex.basic_auth"),
    },
)
