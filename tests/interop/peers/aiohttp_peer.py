"""aiohttp: cannot send fragments; grants only what concerns its own compressor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from .base import PING, PONG, TLS, Client, Closed, Deflate, Running, Server, parse_close


class AiohttpServer:
    name = "aiohttp"
    features = frozenset(
        {
            "deflate",
            "offer:server_no_context_takeover",
            "offer:server_max_window_bits",
        }
    )

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        running = Running(0, tls is not None)

        async def handler(request: web.Request) -> web.WebSocketResponse:
            return await self.obey(request, deflate, running)

        application = web.Application()
        application.router.add_get("/", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            site = web.TCPSite(
                runner, "127.0.0.1", 0, ssl_context=tls.server if tls else None
            )
            await site.start()
            running.port = runner.addresses[0][1]
            yield running
        finally:
            await runner.cleanup()

    async def obey(
        self, request: web.Request, deflate: Deflate, running: Running
    ) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(
            autoping=False, compress=deflate is not None, max_msg_size=0
        )
        await connection.prepare(request)
        while True:
            message = await connection.receive()
            if message.type is WSMsgType.TEXT:
                if message.data == "!ping":
                    await connection.ping(PING)
                elif message.data.startswith("!close "):
                    code, reason = parse_close(message.data)
                    await connection.close(code=code, message=reason.encode())
                    assert connection.close_code is not None
                    # The answer's reason is not kept.
                    running.ends.put_nowait(Closed(connection.close_code, reason))
                    return connection
                else:
                    await connection.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await connection.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await connection.pong(message.data)
            elif message.type is WSMsgType.PONG:
                assert message.data == PING
                await connection.send_str(PONG)
            else:
                assert message.type is WSMsgType.CLOSE, message
                running.ends.put_nowait(Closed(message.data, message.extra or ""))
                return connection


class AiohttpConnection:
    def __init__(self, connection: ClientWebSocketResponse) -> None:
        self.connection = connection

    @property
    def extensions(self) -> str:
        headers = self.connection._response.headers
        return headers.get("Sec-WebSocket-Extensions", "")

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self.connection.send_str(message)
        else:
            await self.connection.send_bytes(message)

    async def recv(self) -> str | bytes:
        message = await self.connection.receive()
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message
        data: str | bytes = message.data
        return data

    async def close(self, code: int, reason: str) -> None:
        await self.connection.close(code=code, message=reason.encode())

    async def closed(self) -> Closed:
        message = await self.connection.receive()
        assert message.type is WSMsgType.CLOSE, message
        return Closed(message.data, message.extra or "")


class AiohttpClient:
    name = "aiohttp"
    features = frozenset({"deflate"})

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[AiohttpConnection]:
        async with (
            ClientSession() as session,
            session.ws_connect(
                url,
                ssl=tls.client if tls else True,
                compress=15 if deflate else 0,
                max_msg_size=0,
            ) as connection,
        ):
            yield AiohttpConnection(connection)


SERVERS: list[Server] = [AiohttpServer()]
CLIENTS: list[Client] = [AiohttpClient()]
