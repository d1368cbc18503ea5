"""A client made of bytes, for what no client of ours would send."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fullduplex import Server, ServerConnection, serve

from ..kit.asyncio_peer import Peer, connected
from ..kit.bytes import CLOSE, Received, request
from ..kit.clock import PATIENCE


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that is there once or not at all."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None


class Client(Peer):
    """The client's end of one TCP connection."""

    async def answer(self) -> Answer:
        """Read a response, and its body if it has a length."""
        head = (await self.read_head()).decode("iso-8859-1")
        first, *lines = head.split("\r\n")[:-2]
        protocol, status, reason = first.split(" ", 2)
        assert protocol == "HTTP/1.1"
        headers = []
        for line in lines:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        answer = Answer(int(status), reason, headers, b"")
        length = answer.header("Content-Length")
        if length is None:
            return answer
        body = await self.reader.readexactly(int(length))
        return Answer(int(status), reason, headers, body)

    async def ask(self, data: bytes) -> Answer:
        """Send a request and read the response."""
        self.write(data)
        async with asyncio.timeout(PATIENCE):
            return await self.answer()

    async def upgrade(self, *more: str, path: str = "/") -> Answer:
        """Open a WebSocket connection."""
        answer = await self.ask(request(f"GET {path} HTTP/1.1", *more))
        assert answer.status == 101, answer
        return answer

    async def closed_with(self) -> Received:
        """Read up to the close frame."""
        async with asyncio.timeout(PATIENCE):
            return await self.read_until(CLOSE)

    async def say_goodbye(self) -> Received:
        """Answer the server's close frame and close TCP once the server has."""
        received = await self.closed_with()
        self.send(CLOSE, received.payload)
        async with asyncio.timeout(PATIENCE):
            await self.gone()
        self.close()
        return received

    async def ended(self) -> bytes:
        """Read up to the end of TCP."""
        async with asyncio.timeout(PATIENCE):
            data = await self.gone()
        self.close()
        return data


@dataclass
class Place:
    """A running server and the raw clients of it."""

    server: Server
    clients: list[Client]
    secure: bool = False

    @property
    def port(self) -> int:
        port: int = self.server._listener.sockets[0].getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return f"ws{'s' if self.secure else ''}://localhost:{self.port}/"

    async def connect(
        self, *, small: bool = False, ssl: ssl.SSLContext | None = None
    ) -> Client:
        """
        Connect over TCP.

        Args:
            small: the client's system takes few bytes that the client does not read.
        """
        address = ("127.0.0.1", self.port)
        client: Client = await connected(address, small=small, ssl=ssl, kind=Client)
        self.clients.append(client)
        return client

    async def open(self, *more: str, small: bool = False, path: str = "/") -> Client:
        """Open a WebSocket connection."""
        client = await self.connect(small=small)
        await client.upgrade(*more, path=path)
        return client


async def echo(ws: ServerConnection) -> None:
    """Send back whatever comes."""
    async for message in ws:
        await ws.send(message)


@asynccontextmanager
async def serving(
    handler: Callable[..., Awaitable[None]] = echo, **options: Any
) -> AsyncIterator[Place]:
    """
    Serve on loopback, without compression and keepalive unless asked for.

    At the end nothing is left of the server and of the clients.
    """
    options.setdefault("compression", None)
    options.setdefault("ping_interval", None)
    # So that a test that fails does so soon.
    options.setdefault("close_timeout", 2)
    server = await serve(handler, "127.0.0.1", 0, **options)
    place = Place(server, [], options.get("ssl") is not None)
    try:
        yield place
    finally:
        for client in place.clients:
            client.abort()
        server.close(drain=0.1)
        async with asyncio.timeout(PATIENCE):
            await server.wait_closed()
        assert not server._connections


def basic(username: str, password: str) -> str:
    """Write an ``Authorization`` header."""
    text = base64.b64encode(f"{username}:{password}".encode()).decode()
    return f"Authorization: Basic {text}"


def records(caplog: Any, level: int = logging.INFO) -> list[str]:
    """The lines of the log from a level on."""
    return [item.getMessage() for item in caplog.records if item.levelno >= level]
