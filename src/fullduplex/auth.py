"""HTTP Basic authentication, where websockets 10 has it."""

from __future__ import annotations

from .asyncio.server import (
    BasicAuthWebSocketServerProtocol,
    basic_auth_protocol_factory,
)

__all__ = ["BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory"]
