"""Servers and clients of other projects, all behind one small interface.

A library that is not installed (picows, on PyPy) is left out; ``MISSING`` tells why.
"""

from __future__ import annotations

from importlib import import_module

from .base import TLS, Client, Closed, Deflate, Running, Server

SERVERS: list[Server] = []
CLIENTS: list[Client] = []
MISSING: list[str] = []

for _module in (
    "websockets_peer",
    "aiohttp_peer",
    "picows_peer",
    "wsproto_peer",
    "node_peer",
    "websocket_client_peer",
):
    try:
        _peer = import_module(f".{_module}", __name__)
    except ImportError as exc:
        MISSING.append(str(exc))
    else:
        SERVERS += _peer.SERVERS
        CLIENTS += _peer.CLIENTS

__all__ = [
    "CLIENTS",
    "MISSING",
    "SERVERS",
    "TLS",
    "Client",
    "Closed",
    "Deflate",
    "Running",
    "Server",
]
