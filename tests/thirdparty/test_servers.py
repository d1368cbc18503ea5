"""Servers that other projects have built on websockets, unmodified.

The client is the published websockets: it shares no code with what is tested.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from .kit import OURS, PROGRAMS, Program, free_port, needs, program

FRAMEWORKS = ["fastapi", "starlette"]
WS = ["websockets", "websockets-sansio"]


@asynccontextmanager
async def uvicorn(framework: str, ws: str) -> AsyncIterator[tuple[Program, str]]:
    """Run uvicorn; gives it and its URI."""
    needs("uvicorn", framework)
    arguments = ["-m", "uvicorn", "--ws", ws, "--port", "0", f"{framework}_app:app"]
    async with program(*arguments) as running:
        line = await running.line("Uvicorn running on")
        found = re.search(r"http://([\d.:]+)", line)
        assert found
        yield running, f"ws://{found[1]}"


def connect(uri: str, **options: object) -> websockets.connect:
    return websockets.connect(uri, proxy=None, **options)  # type: ignore[arg-type]


async def first_line(uri: str) -> str:
    async with connect(uri) as ws:
        return str(await ws.recv())


async def http(uri: str) -> bytes:
    """Ask for the root over plain HTTP."""
    host, _, port = uri.removeprefix("ws://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def echoes(ws: ClientConnection) -> None:
    for message in ("text", "ü" * 100_000, b"", bytes(300_000)):
        await ws.send(message)
        assert await ws.recv() == message
    await ws.send(["in ", "three ", "parts"])
    assert await ws.recv() == "in three parts"
    await (await ws.ping())


@pytest.mark.parametrize("ws", WS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_uvicorn_serves(framework: str, ws: str) -> None:
    async with uvicorn(framework, ws) as (running, uri):
        assert await first_line(uri + "/whose") == OURS
        assert b'{"hello":"http"}' in await http(uri)
        async with connect(uri + "/echo") as client:
            assert client.response is not None
            assert client.response.headers["X-Served-By"] == framework
            assert client.response.headers["Server"] == "uvicorn"
            names = [extension.name for extension in client.protocol.extensions]
            assert names == ["permessage-deflate"]
            await echoes(client)
            await client.close(4000, "enough")
        assert "4000" in await running.line("disconnected")
        clients = [await connect(uri + "/echo") for _ in range(20)]
        await asyncio.gather(*(echoes(client) for client in clients))
        await asyncio.gather(*(client.close() for client in clients))


@pytest.mark.parametrize("ws", WS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_uvicorn_tells_the_application_of_the_request(
    framework: str, ws: str
) -> None:
    async with (
        uvicorn(framework, ws) as (_, uri),
        connect(
            uri + "/items/caf%C3%A9?token=t%20t",
            subprotocols=["one", "two"],
            additional_headers={"X-Count": "2"},
        ) as client,
    ):
        assert client.subprotocol == "one"
        got = [json.loads(message) async for message in remaining(client)]
        assert got == [
            {"name": "café", "token": "t t", "number": number} for number in range(2)
        ]
        assert (client.close_code, client.close_reason) == (4001, "that was all")


async def remaining(client: ClientConnection) -> AsyncIterator[str | bytes]:
    try:
        async for message in client:
            yield message
    except websockets.ConnectionClosedError:
        pass


@pytest.mark.parametrize("ws", WS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_uvicorn_refuses(framework: str, ws: str) -> None:
    async with uvicorn(framework, ws) as (running, uri):
        for path, status, body in (
            ("/reject", 403, b""),
            ("/nowhere", 403, b""),
            ("/deny", 429, b'{"retry":true}'),
            ("/items/x", 401, b'{"detail":"no token"}'),
        ):
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(uri + path)
            assert caught.value.response.status_code == status
            assert caught.value.response.body == body
        async with connect(uri + "/bug") as client:
            with pytest.raises(websockets.ConnectionClosedError):
                await client.recv()
        await running.line("a bug")


@pytest.mark.parametrize("ws", WS)
async def test_uvicorn_shuts_down(ws: str) -> None:
    async with uvicorn("starlette", ws) as (running, uri):
        client = await connect(uri + "/echo")
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert await running.process.wait() in (0, -signal.SIGTERM)


@pytest.mark.parametrize("ws", WS)
async def test_uvicorn_closes_what_is_too_large(ws: str) -> None:
    needs("uvicorn", "starlette")
    settings = ["--ws-max-size", "1000", "--ws", ws, "--port", "0"]
    async with program("-m", "uvicorn", *settings, "starlette_app:app") as running:
        line = await running.line("Uvicorn running on")
        found = re.search(r"http://([\d.:]+)", line)
        assert found
        async with connect(f"ws://{found[1]}/echo") as client:
            await client.send("a" * 1001)
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


@asynccontextmanager
async def sanic() -> AsyncIterator[tuple[Program, str]]:
    needs("sanic")
    port = free_port()
    async with program(PROGRAMS / "sanic_app.py", str(port)) as running:
        await running.line("started")
        yield running, f"ws://127.0.0.1:{port}"


async def test_sanic_serves() -> None:
    async with sanic() as (_, uri):
        assert await first_line(uri + "/whose") == OURS
        assert b"hello http" in await http(uri)
        async with connect(uri + "/echo", max_size=None) as client:
            await echoes(client)
            # Several of sanic's own pings pass meanwhile.
            await asyncio.sleep(0.5)
            await client.send("still")
            assert await client.recv() == "still"
        async with connect(uri + "/sub", subprotocols=["one", "two"]) as client:
            assert client.subprotocol == "two"
            assert await client.recv() == "two"
        clients = [await connect(uri + "/echo") for _ in range(20)]
        await asyncio.gather(*(echoes(client) for client in clients))
        await asyncio.gather(*(client.close() for client in clients))


async def test_sanic_streams_waits_and_closes() -> None:
    async with sanic() as (_, uri):
        async with connect(uri + "/stream", compression=None) as client:
            await client.send(["a", "b", "c"])
            got = ""
            while len(got) < 3:
                got += str(await client.recv())
            assert got == "abc"
        async with connect(uri + "/patience") as client:
            assert await client.recv() == "None"
            assert await client.recv() == "pong"
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4002
        async with connect(uri + "/echo") as client:
            await client.send("a" * 1_000_001)
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def test_sanic_shuts_down() -> None:
    async with sanic() as (running, uri):
        client = await connect(uri + "/echo")
        await client.send("open")
        assert await client.recv() == "open"
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        await running.process.wait()
