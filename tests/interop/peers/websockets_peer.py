"""websockets: the asyncio server and client of its newest API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from .base import (
    PARAMETERS,
    TLS,
    Client,
    CompatibleConnection,
    Deflate,
    Running,
    Server,
    obey,
)


class WebsocketsServer:
    name = "websockets"
    features = frozenset(
        {"fragments", "same_code", "deflate"}
        | {f"offer:{parameter}" for parameter in PARAMETERS}
        | {f"ask:{parameter}" for parameter in PARAMETERS}
    )

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        running = Running(0, tls is not None)

        async def handler(connection: ServerConnection) -> None:
            await obey(connection, running, ConnectionClosed)

        settings: Any = deflate
        async with serve(
            handler,
            "127.0.0.1",
            0,
            ssl=tls.server if tls else None,
            compression=None,
            extensions=(
                None
                if deflate is None
                else [ServerPerMessageDeflateFactory(**settings)]
            ),
            max_size=None,
        ) as server:
            running.port = next(iter(server.sockets)).getsockname()[1]
            yield running


class WebsocketsClient:
    name = "websockets"
    features = frozenset({"same_code", "deflate"})

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[CompatibleConnection]:
        async with connect(
            url,
            ssl=tls.client if tls else None,
            compression="deflate" if deflate else None,
            max_size=None,
        ) as connection:
            yield CompatibleConnection(connection)


SERVERS: list[Server] = [WebsocketsServer()]
CLIENTS: list[Client] = [WebsocketsClient()]
