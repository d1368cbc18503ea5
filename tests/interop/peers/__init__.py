"""Servers and clients of other projects, all behind one small interface."""

from __future__ import annotations

from .aiohttp_peer import AiohttpClient, AiohttpServer
from .base import TLS, Client, Closed, Deflate, Running, Server
from .node_peer import NodeClient, NodeServer
from .picows_peer import (
    PicowsClient,
    PicowsCompatibleClient,
    PicowsCompatibleServer,
    PicowsServer,
)
from .websockets_peer import WebsocketsClient, WebsocketsServer
from .wsproto_peer import WsprotoServer

SERVERS: list[Server] = [
    WebsocketsServer(),
    AiohttpServer(),
    PicowsServer(),
    PicowsCompatibleServer(),
    WsprotoServer(),
    NodeServer(),
]

CLIENTS: list[Client] = [
    WebsocketsClient(),
    AiohttpClient(),
    PicowsClient(),
    PicowsCompatibleClient(),
    NodeClient(),
]

__all__ = [
    "CLIENTS",
    "SERVERS",
    "TLS",
    "Client",
    "Closed",
    "Deflate",
    "Running",
    "Server",
]
