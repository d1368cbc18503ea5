"""websockets: the asyncio server and client of its newest API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from .base import FRAGMENTS, PING, PONG, TLS, Closed, Deflate, Running, parse_close

PARAMETERS = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)


async def obey(
    connection: Any, running: Running, connection_closed: type[Exception]
) -> None:
    """Handle a connection of ``websockets`` or of a library with the same API."""
    with suppress(connection_closed):
        async for message in connection:
            if message == "!fragments":
                await connection.send(FRAGMENTS)
            elif message == "!ping":
                await (await connection.ping(PING))
                await connection.send(PONG)
            elif isinstance(message, str) and message.startswith("!close "):
                await connection.close(*parse_close(message))
            else:
                await connection.send(message)
    await connection.wait_closed()
    running.ends.put_nowait(how_it_closed(connection))


def how_it_closed(connection: Any) -> Closed:
    # picows.websockets has None where there is no reason.
    return Closed(connection.close_code, connection.close_reason or "")


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


class CompatibleConnection:
    """A client connection of ``websockets`` or of a library with the same API."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @property
    def extensions(self) -> str:
        headers = self.connection.response.headers
        return str(headers.get("Sec-WebSocket-Extensions", ""))

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def recv(self) -> str | bytes:
        message: str | bytes = await self.connection.recv()
        return message

    async def close(self, code: int, reason: str) -> None:
        await self.connection.close(code, reason)

    async def closed(self) -> Closed:
        await self.connection.wait_closed()
        return how_it_closed(self.connection)


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
