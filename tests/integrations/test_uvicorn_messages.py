"""Messages through uvicorn: every kind, order, and back-pressure in both directions."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from fullduplex import ConcurrencyError

from ..kit.asyncio_peer import until
from ..kit.bytes import CLOSE, CONT, MASK, PING, PONG, RSV1, TEXT, deflated, frame
from ..kit.clock import PATIENCE
from .kit import accepted, echo, site


@pytest.mark.parametrize(
    "message",
    ["", "text", "ü" * 70_000, b"", b"bytes", bytes(range(256)) * 4096],
    ids=["no text", "text", "long text", "no bytes", "bytes", "1 MiB"],
)
async def test_message_of_any_kind_is_echoed(message: str | bytes) -> None:
    async with site(echo) as here, here.connected(max_size=None) as ws:
        await ws.send(message)

        assert await ws.recv() == message


async def test_messages_sent_at_once_are_echoed_in_order() -> None:
    async with site(echo) as here, here.connected() as ws:
        wanted = [str(number) for number in range(1000)]

        async def send() -> None:
            for message in wanted:
                await ws.send(message)

        sending = asyncio.create_task(send())
        assert [await ws.recv() for _ in wanted] == wanted
        await sending


async def test_fragments_are_one_event_for_the_application() -> None:
    async with site(echo) as here, here.opened() as peer:
        peer.write(frame(TEXT, "a", fin=False, mask=MASK))
        peer.write(frame(CONT, b"\xc3", fin=False, mask=MASK))
        peer.write(frame(PING, "now", mask=MASK))
        peer.write(frame(CONT, b"\xbc", mask=MASK))

        assert (await peer.read()).opcode == PONG
        received = await peer.read()
        assert (received.opcode, received.text) == (TEXT, "aü")


async def test_frames_before_accept_are_received_after_it() -> None:
    proceed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await proceed.wait()
        await echo(scope, receive, send)

    async with site(app) as here, here.peer() as peer:
        await until(lambda: len(here.state.tasks) == 1)
        for number in range(20):
            peer.write(frame(TEXT, str(number) * 10_000, mask=MASK))
        proceed.set()

        await peer.reader.readuntil(b"\r\n\r\n")
        got = [(await peer.read()).text[-1] for _ in range(20)]
        assert got == [str(number)[-1] for number in range(20)]


async def test_compression_is_negotiated_unless_it_is_switched_off() -> None:
    async with site(echo) as here, here.connected(compression="deflate") as ws:
        assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
        await ws.send("a" * 1000)
        assert await ws.recv() == "a" * 1000
    async with (
        site(echo, ws_per_message_deflate=False) as here,
        here.connected(compression="deflate") as ws,
    ):
        assert ws.extensions == []


async def test_compressed_message_is_echoed_compressed() -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    async with site(echo) as here, here.opened(offer) as peer:
        peer.write(frame(TEXT, deflated(b"a" * 1000), rsv=RSV1, mask=MASK))

        received = await peer.read()
        assert received.rsv1
        assert len(received.payload) < 100


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, ValueError),
        ({"text": None, "bytes": None}, ValueError),
        ({"text": 1}, TypeError),
        ({"bytes": ["a", "b"]}, TypeError),
    ],
)
async def test_message_that_is_none_is_refused_and_nothing_is_sent(
    event: Any, error: type[Exception]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        with pytest.raises(error):
            await send({"type": "websocket.send", **event})
        await send({"type": "websocket.send", "text": None, "bytes": bytearray(b"ok")})

    async with site(app) as here, here.connected() as ws:
        assert await ws.recv() == b"ok"


@pytest.mark.variants("loops")
async def test_send_waits_while_the_client_does_not_read() -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await accepted(receive, send)
        for _ in range(1000):
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            sent += 1

    async with site(app) as here, here.opened(small=True) as peer:
        (connection,) = here.state.connections
        await until(lambda: connection.session.writing_paused)  # type: ignore[union-attr]
        assert 0 < sent < 1000

        for _ in range(1000):
            await peer.read()
        assert sent == 1000


@pytest.mark.variants("loops")
async def test_reading_pauses_while_the_application_does_not_receive() -> None:
    proceed = asyncio.Event()
    got: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await proceed.wait()
        while (event := await receive())["type"] == "websocket.receive":
            got.append(len(event["bytes"]))

    async with (
        site(app, ws_max_queue=4, ws_ping_interval=None) as here,
        here.connected() as ws,
    ):
        message = bytes(200_000)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(200):
                await ws.send(message)
                sent += 1

        sending = asyncio.create_task(send())
        (connection,) = here.state.connections
        await until(lambda: connection.session.reading_paused)  # type: ignore[union-attr]
        assert 0 < sent < 200
        assert len(connection.session.messages) < 10  # type: ignore[union-attr]

        proceed.set()
        await sending
        await until(lambda: len(got) == 200)
    assert set(got) == {200_000}


async def test_ping_is_answered_while_the_application_is_busy() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await asyncio.Event().wait()

    async with site(app) as here, here.opened() as peer:
        peer.write(frame(TEXT, "unread", mask=MASK) + frame(PING, "ping", mask=MASK))

        assert (await peer.read()).payload == b"ping"


@pytest.mark.variants("loops")
async def test_receive_that_is_cancelled_loses_no_message() -> None:
    got: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        chance = random.Random(1)
        while len(got) < 300:
            waiting = asyncio.create_task(receive())
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                waiting.cancel()
            try:
                got.append((await waiting)["text"])
            except asyncio.CancelledError:
                pass
        await send({"type": "websocket.send", "text": "all"})

    async with site(app) as here, here.connected() as ws:
        for number in range(300):
            await ws.send(str(number))
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            assert await ws.recv() == "all"
    assert got == [str(number) for number in range(300)]


async def test_second_receiver_is_told_that_there_is_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await receive()
        await send({"type": "websocket.send", "text": (await first)["text"]})

    async with site(app) as here, here.connected() as ws:
        await ws.send("for the first")
        assert await ws.recv() == "for the first"


async def test_application_may_send_from_many_tasks() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                event = {"type": "websocket.send", "text": str(number) * 1000}
                group.create_task(send(event))

    async with site(app) as here, here.connected() as ws:
        got = {await ws.recv() for _ in range(50)}
    assert got == {str(number) * 1000 for number in range(50)}


async def test_burst_above_the_mark_is_received_in_order_then_the_end() -> None:
    proceed = asyncio.Event()
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await proceed.wait()
        while (event := await receive())["type"] == "websocket.receive":
            received.append(event["text"])
        received.append(event["code"])

    wanted = [str(number) for number in range(500)]
    frames = b"".join(frame(TEXT, item, mask=MASK) for item in wanted)
    async with site(app, ws_max_queue=4) as here, here.opened() as peer:
        peer.write(frames + frame(CLOSE, b"\x03\xe9", mask=MASK))
        await asyncio.sleep(0)
        proceed.set()
        assert (await peer.read()).opcode == CLOSE
        peer.close()
        await until(lambda: received[-1:] == [1001])
    assert received == [*wanted, 1001]
