"""Server connections that programs make themselves, as protocols of a transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosedError,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    connect,
)
from fullduplex.server import WebSocketServerProtocol

from ..kit.asyncio_peer import turns, until


class Registry:
    """The server that such programs give, with an attribute of its own."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.serving = True
        self.settings = {"debug": True}

    def register(self, connection: Any) -> None:
        self.connections.add(connection)

    def unregister(self, connection: Any) -> None:
        self.connections.discard(connection)

    def is_serving(self) -> bool:
        return self.serving


class Hosted(WebSocketServerProtocol):
    """A subclass that sets attributes of its own, of names that ours have too."""

    server: Any

    def __init__(self, registry: Registry, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport = None
        self.server = None
        self.ws_server = registry
        super().__init__(ws_handler=self.ws_handler, ws_server=registry, **options)
        self.server_header = None
        self.extra_headers = [("X-First", "1")]
        self.events: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.server = transport.get_extra_info("sockname")
        self.transport = transport
        self.events.append("made")
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        super().connection_lost(exc)

    async def process_request(self, path: str, request_headers: Any) -> Any:
        if "Upgrade" not in request_headers:
            raise InvalidUpgrade("Upgrade")
        await asyncio.sleep(0)
        self.extra_headers.append(("X-Second", "2"))
        if path == "/fail":
            self.fail_connection(1012)
        return (403, [], b"not here") if path == "/not-here" else None

    def process_subprotocol(self, headers: Any, available: Any) -> Any:
        return "theirs"

    async def ws_handler(self, connection: Any, path: str) -> None:
        self.events.append(path)
        async for message in connection:
            await connection.send(message)


@asynccontextmanager
async def hosted(**options: Any) -> AsyncIterator[tuple[Registry, str, list[Hosted]]]:
    registry = Registry()
    made: list[Hosted] = []

    def factory() -> Any:
        made.append(Hosted(registry, **options))
        return made[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0)
    try:
        yield registry, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", made
    finally:
        server.close()
        for connection in made:
            connection.transport.abort()
        await until(lambda: not registry.connections)


async def test_connection_of_no_server_is_served() -> None:
    async with hosted() as (registry, uri, made):
        async with connect(uri + "/path", subprotocols=["theirs"]) as ws:
            assert ws.subprotocol == "theirs"
            assert ws.response_headers["X-First"] == "1"
            assert ws.response_headers["X-Second"] == "2"
            assert "Server" not in ws.response_headers
            for message in ("text", b"b" * 300_000, ""):
                await ws.send(message)
                assert await ws.recv() == message
            assert registry.connections == set(made)
            assert made[0].server[0] == "127.0.0.1"
        await until(lambda: not registry.connections)
    assert made[0].events == ["made", "/path", "lost"]
    assert made[0].close_code == 1000


async def test_connection_of_no_server_may_refuse() -> None:
    async with hosted() as (_, uri, _made):
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(uri + "/not-here"):
                pass


async def test_connection_that_fails_before_it_is_open_is_cut() -> None:
    async with hosted() as (_, uri, _made):
        with pytest.raises((InvalidMessage, ConnectionError)):
            async with connect(uri + "/fail"):
                pass


async def test_connection_of_no_server_refuses_while_its_owner_closes() -> None:
    async with hosted() as (registry, uri, _made):
        registry.serving = False
        with pytest.raises(InvalidStatus, match="503"):
            async with connect(uri):
                pass


async def test_checks_of_the_handshake_in_a_method_refuse_with_their_status() -> None:
    async with hosted() as (_, uri, _made):
        port = int(uri.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 426 ")
        writer.close()
        await writer.wait_closed()


async def test_options_of_a_connection_of_no_server_are_honoured() -> None:
    async with (
        hosted(max_size=100, ping_interval=0.05, ping_timeout=5) as (_, uri, _made),
        connect(uri, subprotocols=["theirs"]) as ws,
    ):
        await ws.send("a" * 101)
        with pytest.raises(ConnectionClosedError, match="1009"):
            await ws.recv()


async def test_connection_of_no_server_fails_with_the_code_of_its_owner() -> None:
    async with hosted() as (_, uri, made):
        async with connect(uri, subprotocols=["theirs"]) as ws:
            await ws.send("a")
            await ws.recv()
            made[0].fail_connection(1012)
            with pytest.raises(ConnectionClosedError, match="1012"):
                await ws.recv()
        await turns(2)
