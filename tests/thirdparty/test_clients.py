"""Clients that other projects have built on websockets, unmodified.

They talk to servers of ours that answer as those of the services do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest

from fullduplex import ServerConnection, serve

from .kit import OURS, needs, program, run

Reply = Callable[[ServerConnection], Any]


@asynccontextmanager
async def service(handler: Any, **options: Any) -> AsyncIterator[str]:
    """Run a server; gives its URI."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# gql


async def graphql(ws: ServerConnection) -> None:
    """Speak both subprotocols of GraphQL over WebSocket."""
    assert ws.request_headers.get("X-Client") == "gql"
    begin = json.loads(await ws.recv())
    assert begin == {"type": "connection_init", "payload": {"token": "secret"}}
    await ws.send('{"type": "connection_ack"}')
    newer = ws.subprotocol == "graphql-transport-ws"
    item = "next" if newer else "data"
    async for message in ws:
        event = json.loads(message)
        kind = event["type"]
        if kind == "ping":
            await ws.send('{"type": "pong"}')
        if kind not in ("subscribe", "start"):
            continue
        results: list[dict[str, Any]] = [{"hello": "x" * 10}]
        if "countdown" in event["payload"]["query"]:
            results = [{"countdown": number} for number in range(5, 0, -1)]
        for result in results:
            answer = {"type": item, "id": event["id"], "payload": {"data": result}}
            await ws.send(json.dumps(answer))
        await ws.send(json.dumps({"type": "complete", "id": event["id"]}))


async def test_gql_queries_and_subscribes() -> None:
    needs("gql")

    def refuse(connection: Any, request: Any) -> Any:
        if request.path == "/refused":
            return connection.respond(HTTPStatus.FORBIDDEN, "no\n")
        return None

    protocols: Any = ["graphql-transport-ws", "graphql-ws"]
    async with service(graphql, subprotocols=protocols, process_request=refuse) as uri:
        lines = await run("gql_client.py", uri)
    once = [
        "{'hello': 'xxxxxxxxxx'}",
        *(f"{{'countdown': {number}}}" for number in range(5, 0, -1)),
        "2",
    ]
    for name in protocols:
        got, lines = lines[:7], lines[7:]
        assert got == [f"{name} {once[0]}", *once[1:]]
    (refused,) = lines
    assert refused.startswith("refused")
    assert "403" in refused


# Chromium


async def test_pyppeteer_drives_chromium() -> None:
    needs("pyppeteer")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    assert await run("browser.py", chromium) == [
        "a page",
        "it was",
        "3000000",
        "[2, 2, 2, 2, 2]",
        "b'PNG'",
        "closed",
    ]


# SDKs


class Supabase:
    """A server of Phoenix channels, as far as broadcasts go."""

    def __init__(self) -> None:
        self.joined = 0

    async def __call__(self, ws: ServerConnection) -> None:
        assert ws.path.startswith("/realtime/v1/websocket?apikey=secret")
        async for message in ws:
            event = json.loads(message)
            kind = event["event"]
            if kind in ("phx_join", "phx_leave", "heartbeat"):
                self.joined += kind == "phx_join"
                answer = {"status": "ok", "response": {}}
                await ws.send(
                    json.dumps({**event, "event": "phx_reply", "payload": answer})
                )
            elif event["payload"].get("event") == "leave":
                ws.transport.abort()
            elif kind == "broadcast":
                await ws.send(json.dumps({**event, "ref": None}))


async def test_supabase_realtime_joins_and_comes_back() -> None:
    needs("realtime")
    supabase = Supabase()
    async with service(supabase) as uri:
        lines = await run("realtime_client.py", uri + "/realtime/v1")
    assert [line for line in lines if line.startswith(("{", "closed"))] == [
        *(f"{{'number': {number}}}" for number in range(3)),
        "{'number': 'again'}",
        "closed",
    ]
    assert supabase.joined == 2


async def test_python_binance_follows_and_comes_back() -> None:
    needs("binance")
    received = asyncio.Event()
    opened = 0

    async def trades(ws: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        assert ws.path == "/stream?streams=btcusdt@trade/ethusdt@trade"
        for number in range(3):
            data = {"e": "trade", "p": str(number)}
            await ws.send(json.dumps({"stream": "btcusdt@trade", "data": data}))
        if opened == 1:
            # The SDK drops what it has not looked at when a connection ends.
            await received.wait()
            ws.transport.abort()
        await ws.wait_closed()

    async with service(trades) as uri, program("binance_client.py", uri) as running:
        await running.line("btcusdt@trade 2")
        received.set()
        lines = (await running.rest()).splitlines()
    assert lines[0] == OURS
    assert lines[1:4] == [f"btcusdt@trade {number}" for number in range(3)]
    assert lines[-2:] == ["again 0", "closed"]
    assert opened == 2


@pytest.mark.parametrize("name", ["openai_client.py", "openai_blocking.py"])
async def test_openai_realtime_converses(name: str) -> None:
    needs("openai", "fullduplex.sync.client")
    audio = 0

    async def model(ws: ServerConnection) -> None:
        nonlocal audio
        assert ws.request_headers["Authorization"] == "Bearer secret"
        assert ws.path.endswith("/realtime?model=a-model")
        await ws.send('{"type": "session.created", "session": {"type": "realtime"}}')
        async for message in ws:
            event = json.loads(message)
            if event["type"] == "session.update":
                answer = {"type": "session.updated", "session": event["session"]}
                await ws.send(json.dumps(answer))
            elif event["type"] == "input_audio_buffer.append":
                audio = len(event["audio"])
            elif event["type"] == "response.create":
                for delta in ("hel", "lo ", "you"):
                    part = {"type": "response.output_text.delta", "delta": delta}
                    await ws.send(json.dumps(part))
                await ws.send('{"type": "response.done", "response": {}}')

    async with service(model) as uri:
        lines = await run(name, uri)
    assert lines == ["session.created", "session.updated", "hello you", "closed"]
    assert audio == 133_336


async def test_deepgram_listens() -> None:
    needs("deepgram", "fullduplex.sync.client")
    media = 0

    def check(connection: Any, request: Any) -> Any:
        if "model=refused" in request.path:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no\n")
        return None

    async def listen(ws: ServerConnection) -> None:
        nonlocal media
        assert ws.request_headers["Authorization"] == "Token secret"
        async for message in ws:
            if isinstance(message, bytes):
                media += len(message)
            elif json.loads(message)["type"] == "CloseStream":
                metadata = {
                    "type": "Metadata",
                    "transaction_key": "deprecated",
                    "request_id": "00000000-0000-0000-0000-000000000000",
                    "sha256": "0",
                    "created": "2020-01-01T00:00:00Z",
                    "duration": 1.0,
                    "channels": 1,
                }
                await ws.send(json.dumps(metadata))
                return

    async with service(listen, process_request=check) as uri:
        lines = await run("deepgram_client.py", uri)
    assert media == 80_000
    assert lines[-2:] == ["close", "refused 401"]
    assert any("Metadata" in line for line in lines), lines


# elevenlabs


async def speak(ws: ServerConnection) -> None:
    """Turn the text of each message into the audio of another one."""
    assert ws.request_headers["xi-api-key"] == "secret"
    if ws.path.startswith("/v1/text-to-speech/refused/"):
        await ws.close(3000, "no such voice")
        return
    async for message in ws:
        text = json.loads(message)["text"]
        if not text:
            return
        audio = base64.b64encode(text.encode()).decode() if text.strip() else None
        await ws.send(json.dumps({"audio": audio}))


async def converse(ws: ServerConnection) -> None:
    """Greet, ask for a sign of life, and answer what the user says."""
    begin = json.loads(await ws.recv())
    assert begin["type"] == "conversation_initiation_client_data"
    kind = "conversation_initiation_metadata"
    await ws.send(json.dumps({"type": kind, f"{kind}_event": {"conversation_id": "c"}}))
    await ws.send(json.dumps({"type": "ping", "ping_event": {"event_id": 7}}))
    assert json.loads(await ws.recv()) == {"type": "pong", "event_id": 7}
    text = "hello"
    while True:
        event = {"agent_response": text}
        answer = {"type": "agent_response", "agent_response_event": event}
        await ws.send(json.dumps(answer))
        asked = json.loads(await ws.recv())["text"]
        if asked == "end":
            return
        text = f"re: {asked}"


async def transcribe(ws: ServerConnection) -> None:
    """Count the chunks of audio until they are committed."""
    assert ws.request_headers["xi-api-key"] == "secret"
    chunks = 0
    async for message in ws:
        if not json.loads(message)["commit"]:
            chunks += 1
            continue
        answer = {"message_type": "committed_transcript", "text": f"{chunks} chunks"}
        await ws.send(json.dumps(answer))


async def test_elevenlabs_speaks_talks_and_listens() -> None:
    needs("elevenlabs")
    services = {
        "/v1/text-to-speech": speak,
        "/v1/convai": converse,
        "/v1/speech-to-text": transcribe,
    }

    async def handler(ws: ServerConnection) -> None:
        await services["/".join(ws.path.split("/")[:3])](ws)

    async with service(handler) as uri:
        lines = await run("elevenlabs_client.py", uri)
    assert lines == [
        "b'Hello world. Bye. '",
        "ApiError 3000",
        "disconnected user",
        "c ['hello', 're: how are you?']",
        "hello",
        "c",
        "1 chunks",
        "{'code': 1000, 'reason': 'User ended conversation'}",
    ]


# async-substrate-interface


async def test_async_substrate_interface_asks_again_when_the_server_fails() -> None:
    needs("async_substrate_interface")
    asked: set[tuple[str, str]] = set()

    async def chain(ws: ServerConnection) -> None:
        async for message in ws:
            request = json.loads(message)
            method = request["method"]
            first = (ws.path, method) not in asked
            asked.add((ws.path, method))
            if first and method == "silence":
                continue
            if first and method == "leave":
                ws.transport.abort()
                return
            result = f"{method} answered"
            answer = {"jsonrpc": "2.0", "id": request["id"], "result": result}
            await ws.send(json.dumps(answer))

    async with service(chain) as uri:
        lines = await run("substrate_client.py", f"{uri}/")
    assert lines == [
        "system_chain answered",
        "silence answered",
        "False 1012",
        "leave answered",
        *(f"{name} answered" for name in ("system_chain", "leave", "silence")),
        "done",
    ]


# websockets-proxy


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """Run a proxy that opens tunnels; gives its address, and where they lead."""
    tunnels: list[str] = []

    async def carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                to.write(data)
        finally:
            to.close()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, place, *_ = head.decode().split()
        assert method == "CONNECT"
        tunnels.append(place)
        host, _, port = place.rpartition(":")
        source, to = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(
            carry(reader, to), carry(source, writer), return_exceptions=True
        )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tunnels
    finally:
        server.close()


async def test_websockets_proxy_connects_through_its_proxy() -> None:
    needs("websockets_proxy")

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with service(echo) as uri, proxy() as (address, tunnels):
        lines = await run("proxy_client.py", uri, address)
    assert lines == ["await", "async with", "async for 0", "async for 1"]
    assert tunnels == [uri.removeprefix("ws://")] * 4
