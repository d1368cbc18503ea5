"""websocket-client: a blocking client without compression, in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import websocket

from .base import TLS, Client, Closed, Server

TIMEOUT = 30  # seconds; a thread cannot be cancelled


class WebsocketClientConnection:
    extensions = ""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self.connection = connection

    async def send(self, message: str | bytes) -> None:
        binary = websocket.ABNF.OPCODE_BINARY
        opcode = websocket.ABNF.OPCODE_TEXT if isinstance(message, str) else binary
        await asyncio.to_thread(self.connection.send, message, opcode)

    async def recv(self) -> str | bytes:
        return await asyncio.to_thread(self.connection.recv)

    async def close(self, code: int, reason: str) -> None:
        await asyncio.to_thread(
            self.connection.close, code, reason.encode(), timeout=TIMEOUT
        )

    async def closed(self) -> Closed:
        opcode, payload = await asyncio.to_thread(self.connection.recv_data)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        # It has answered with 1000 and leaves TCP to the program.
        self.connection.shutdown()  # type: ignore[no-untyped-call]
        return Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())


class WebsocketClient:
    name = "websocket-client"
    features: frozenset[str] = frozenset()

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[WebsocketClientConnection]:
        assert not deflate
        connection = await asyncio.to_thread(
            websocket.create_connection,
            url,
            timeout=TIMEOUT,
            sslopt={"ca_certs": str(tls.authority_pem)} if tls else None,
            http_no_proxy=["localhost"],
        )
        try:
            yield WebsocketClientConnection(connection)
        finally:
            connection.shutdown()  # type: ignore[no-untyped-call]


SERVERS: list[Server] = []
CLIENTS: list[Client] = [WebsocketClient()]
