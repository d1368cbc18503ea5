"""picows, twice: its callbacks (no compression), and its copy of websockets' API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
    ws_create_server,
)
from picows import websockets as compatible

from .base import (
    FRAGMENTS,
    PING,
    PONG,
    TLS,
    Client,
    Closed,
    CompatibleConnection,
    Deflate,
    Running,
    Server,
    obey,
    parse_close,
)

MAX_FRAME_SIZE = 2**27  # bytes


def parse_close_frame(frame: WSFrame) -> Closed:
    payload = frame.get_payload_as_bytes()
    return Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())


def send_close(transport: WSTransport, closed: Closed) -> None:
    code: Any = closed.code  # any number is sent as it is, members and others
    transport.send_close(code, closed.reason.encode())


class EchoListener(WSListener):
    def __init__(self, running: Running) -> None:
        self.running = running
        self.fragments: list[bytes] = []
        self.kind = WSMsgType.TEXT
        self.close_sent = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            closed = parse_close_frame(frame)
            if not self.close_sent:
                send_close(transport, closed)
            self.running.ends.put_nowait(closed)
            transport.disconnect()
        elif frame.msg_type is WSMsgType.PONG:
            assert frame.get_payload_as_bytes() == PING
            transport.send(WSMsgType.TEXT, PONG.encode())
        else:
            if frame.msg_type is not WSMsgType.CONTINUATION:
                self.kind = frame.msg_type
            self.fragments.append(frame.get_payload_as_bytes())
            if frame.fin:
                message = b"".join(self.fragments)
                self.fragments.clear()
                self.obey(transport, self.kind, message)

    def obey(self, transport: WSTransport, kind: WSMsgType, message: bytes) -> None:
        if kind is WSMsgType.TEXT and message == b"!fragments":
            kinds = [WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CONTINUATION]
            for number, fragment in enumerate(FRAGMENTS):
                last = number == len(FRAGMENTS) - 1
                transport.send(kinds[number], fragment.encode(), fin=last)
        elif kind is WSMsgType.TEXT and message == b"!ping":
            transport.send_ping(PING)
        elif kind is WSMsgType.TEXT and message.startswith(b"!close "):
            self.close_sent = True
            send_close(transport, Closed(*parse_close(message.decode())))
        else:
            transport.send(kind, message)


class PicowsServer:
    name = "picows"
    features = frozenset({"fragments", "same_code"})

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        assert deflate is None
        running = Running(0, tls is not None)
        server = await ws_create_server(
            lambda request: EchoListener(running),
            "127.0.0.1",
            0,
            ssl=tls.server if tls else None,
            max_frame_size=MAX_FRAME_SIZE,
        )
        running.port = server.sockets[0].getsockname()[1]
        try:
            yield running
        finally:
            server.close()


class PicowsCompatibleServer:
    name = "picows.websockets"
    features = frozenset({"fragments", "same_code", "deflate"})

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        running = Running(0, tls is not None)

        async def handler(connection: Any) -> None:
            await obey(connection, running, compatible.ConnectionClosed)

        async with compatible.serve(
            handler,
            "127.0.0.1",
            0,
            ssl=tls.server if tls else None,
            compression=None if deflate is None else "deflate",
            max_size=None,
        ) as server:
            running.port = next(iter(server.sockets)).getsockname()[1]
            yield running


class QueueListener(WSListener):
    """Keeps whole messages and the close frame for a task that waits."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.ends: asyncio.Queue[Closed] = asyncio.Queue()
        self.close_sent = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.messages.put_nowait(frame.get_payload_as_utf8_text())
        elif frame.msg_type is WSMsgType.BINARY:
            self.messages.put_nowait(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            closed = parse_close_frame(frame)
            if not self.close_sent:
                send_close(transport, closed)
            self.ends.put_nowait(closed)
            transport.disconnect()


class PicowsConnection:
    def __init__(self, transport: WSTransport, listener: QueueListener) -> None:
        self.transport = transport
        self.listener = listener

    @property
    def extensions(self) -> str:
        return str(self.transport.response.headers.get("Sec-WebSocket-Extensions", ""))

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.transport.send(WSMsgType.TEXT, message.encode())
        else:
            self.transport.send(WSMsgType.BINARY, message)

    async def recv(self) -> str | bytes:
        return await self.listener.messages.get()

    async def close(self, code: int, reason: str) -> None:
        self.listener.close_sent = True
        send_close(self.transport, Closed(code, reason))
        await self.transport.wait_disconnected()

    async def closed(self) -> Closed:
        return await self.listener.ends.get()


class PicowsClient:
    name = "picows"
    features = frozenset({"same_code"})

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[PicowsConnection]:
        assert not deflate
        listener = QueueListener()
        transport, _ = await ws_connect(
            lambda: listener,
            url,
            ssl_context=tls.client if tls else None,
            max_frame_size=MAX_FRAME_SIZE,
        )
        try:
            yield PicowsConnection(transport, listener)
        finally:
            transport.disconnect()
            await transport.wait_disconnected()


class PicowsCompatibleClient:
    name = "picows.websockets"
    features = frozenset({"same_code", "deflate"})

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[CompatibleConnection]:
        async with compatible.connect(
            url,
            ssl=tls.client if tls else None,
            compression="deflate" if deflate else None,
            max_size=None,
        ) as connection:
            yield CompatibleConnection(connection)


SERVERS: list[Server] = [PicowsServer(), PicowsCompatibleServer()]
CLIENTS: list[Client] = [PicowsClient(), PicowsCompatibleClient()]
