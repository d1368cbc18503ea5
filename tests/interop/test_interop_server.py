"""The clients of other projects against our server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import serve
from fullduplex.exceptions import ConnectionClosed
from fullduplex.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from .peers import CLIENTS, TLS, Client, Closed, Deflate, Running
from .peers.base import PONG, obey
from .test_interop_client import CLOSES, COMPRESSIBLE, PARAMETERS, in_answer

pytestmark = pytest.mark.interop


def clients(*features: str) -> pytest.MarkDecorator:
    """Run a test with every client that has these features."""
    chosen = [client for client in CLIENTS if client.features.issuperset(features)]
    return pytest.mark.parametrize("client", chosen, ids=lambda client: client.name)


@asynccontextmanager
async def connected(
    client: Client, *, tls: TLS | None = None, deflate: Deflate = None
) -> AsyncIterator[tuple[Any, Running]]:
    """Yield the peer's connection and our server."""
    running = Running(0, tls is not None)

    async def handler(connection: Any) -> None:
        await obey(connection, running, ConnectionClosed)

    settings: Any = deflate
    async with serve(
        handler,
        "127.0.0.1",
        0,
        ssl=tls.server if tls else None,
        compression=None,
        extensions=(
            None if deflate is None else [ServerPerMessageDeflateFactory(**settings)]
        ),
        max_size=None,
    ) as server:
        running.port = server.sockets[0].getsockname()[1]
        async with client.connect(
            running.url, tls=tls, deflate=deflate is not None
        ) as connection:
            yield connection, running


@clients()
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
async def test_server_echoes_text(client: Client, size: int) -> None:
    async with connected(client) as (connection, _):
        message = "x" * size
        await connection.send(message)
        assert await connection.recv() == message


@clients()
async def test_server_echoes_text_beyond_ascii(client: Client) -> None:
    async with connected(client) as (connection, _):
        message = "\u00e9\u20ac\U0001f600\0" * 1000
        await connection.send(message)
        assert await connection.recv() == message


@clients()
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
async def test_server_echoes_binary(client: Client, size: int) -> None:
    async with connected(client) as (connection, _):
        message = os.urandom(size)
        await connection.send(message)
        assert await connection.recv() == message


@clients()
async def test_server_is_answered_when_it_pings(client: Client) -> None:
    async with connected(client) as (connection, _):
        await connection.send("!ping")
        assert await connection.recv() == PONG


@clients("deflate")
@pytest.mark.parametrize("parameter", ["none", *PARAMETERS])
async def test_server_compresses_as_agreed(client: Client, parameter: str) -> None:
    deflate = {} if parameter == "none" else {parameter: PARAMETERS[parameter]}
    async with connected(client, deflate=deflate) as (connection, _):
        assert "permessage-deflate" in connection.extensions
        for name, value in deflate.items():
            assert client.name == "ws" or in_answer(name, value) in (
                connection.extensions
            )
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message


@clients("deflate")
async def test_server_declines_compression_when_told_to(client: Client) -> None:
    running = Running(0, False)

    async def handler(connection: Any) -> None:
        await obey(connection, running, ConnectionClosed)

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        running.port = server.sockets[0].getsockname()[1]
        async with client.connect(running.url, deflate=True) as connection:
            assert connection.extensions == ""
            for message in COMPRESSIBLE:
                await connection.send(message)
                assert await connection.recv() == message


@clients()
@pytest.mark.parametrize("closed", CLOSES, ids=lambda closed: closed.code)
async def test_server_sees_the_close_of_the_client(
    client: Client, closed: Closed
) -> None:
    async with connected(client) as (connection, running):
        await connection.close(closed.code, closed.reason)
        assert await running.closed() == closed


@clients()
@pytest.mark.parametrize("closed", CLOSES, ids=lambda closed: closed.code)
async def test_client_sees_the_close_of_the_server(
    client: Client, closed: Closed
) -> None:
    async with connected(client) as (connection, running):
        await connection.send(f"!close {closed.code} {closed.reason}")
        assert await connection.closed() == closed
        answer = closed.code if "same_code" in client.features else 1000
        assert (await running.closed()).code == answer


@clients()
async def test_server_echoes_over_tls(client: Client, tls: TLS) -> None:
    async with connected(client, tls=tls) as (connection, running):
        for message in ("secr\u00e9t", b"\0" * 1_000_000):
            await connection.send(message)
            assert await connection.recv() == message
        await connection.close(1000, "done")
        assert await running.closed() == Closed(1000, "done")
