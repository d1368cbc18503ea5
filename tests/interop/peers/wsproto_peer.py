"""wsproto has no I/O of its own: a server over asyncio streams, made for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate

from .base import (
    FRAGMENTS,
    PING,
    PONG,
    TLS,
    Client,
    Closed,
    Deflate,
    Running,
    Server,
    parse_close,
)


class Conversation:
    """One connection."""

    def __init__(
        self, writer: asyncio.StreamWriter, deflate: Deflate, running: Running
    ) -> None:
        self.protocol = WSConnection(ConnectionType.SERVER)
        self.writer = writer
        self.deflate = deflate
        self.running = running
        self.pieces: list[Any] = []
        self.close_sent = False
        self.finished = False

    def send(self, event: Event) -> None:
        self.writer.write(self.protocol.send(event))

    def feed(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events():
            self.handle(event)

    def handle(self, event: Event) -> None:
        if isinstance(event, Request):
            settings: Any = self.deflate
            extensions: list[Extension] = (
                [] if self.deflate is None else [PerMessageDeflate(**settings)]
            )
            self.send(AcceptConnection(extensions=extensions))
        elif isinstance(event, TextMessage | BytesMessage):
            self.pieces.append(event.data)
            if event.message_finished:
                message = self.pieces[0][:0].join(self.pieces)
                self.pieces.clear()
                self.obey(message)
        elif isinstance(event, Ping):
            self.send(event.response())
        elif isinstance(event, Pong):
            assert event.payload == PING
            self.send(TextMessage(PONG))
        elif isinstance(event, CloseConnection):
            if not self.close_sent:
                self.send(event.response())
            self.running.ends.put_nowait(Closed(event.code, event.reason or ""))
            self.finished = True
        else:
            raise AssertionError(event)

    def obey(self, message: Any) -> None:
        if message == "!fragments":
            for number, fragment in enumerate(FRAGMENTS, 1):
                last = number == len(FRAGMENTS)
                self.send(TextMessage(fragment, message_finished=last))
        elif message == "!ping":
            self.send(Ping(PING))
        elif isinstance(message, str) and message.startswith("!close "):
            code, reason = parse_close(message)
            self.close_sent = True
            self.send(CloseConnection(code, reason))
        elif isinstance(message, str):
            self.send(TextMessage(message))
        else:
            self.send(BytesMessage(bytes(message)))


class WsprotoServer:
    name = "wsproto"
    features = frozenset(
        {
            "fragments",
            "same_code",
            "deflate",
            "offer:server_no_context_takeover",
            "offer:client_no_context_takeover",
            "offer:server_max_window_bits",
            "offer:client_max_window_bits",
            "ask:server_no_context_takeover",
            "ask:client_no_context_takeover",
            "ask:client_max_window_bits",
        }
    )

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        running = Running(0, tls is not None)

        async def handler(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            conversation = Conversation(writer, deflate, running)
            try:
                while not conversation.finished:
                    data = await reader.read(2**20)
                    if not data:
                        break
                    conversation.feed(data)
                    await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(
            handler, "127.0.0.1", 0, ssl=tls.server if tls else None
        )
        async with server:
            running.port = server.sockets[0].getsockname()[1]
            yield running


SERVERS: list[Server] = [WsprotoServer()]
CLIENTS: list[Client] = []
