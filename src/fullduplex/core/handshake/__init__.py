"""The opening handshake of both sides, without I/O."""

from __future__ import annotations

from .client import ClientHandshake
from .keys import accept_key, generate_key
from .server import ServerHandshake

__all__ = ["ClientHandshake", "ServerHandshake", "accept_key", "generate_key"]
