"""The server's names, where websockets 10 has them."""

from __future__ import annotations

from .asyncio.server import Server, ServerConnection, serve, unix_serve

__all__ = ["Server", "ServerConnection", "serve", "unix_serve"]
