"""The failure contracts: what holds when a task is cut or a peer misbehaves."""

from __future__ import annotations

import asyncio
import contextvars
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    ConnectionClosedError,
    ConnectionClosedOK,
)

from ..kit.asyncio_peer import Stopwatch, turns, until
from ..kit.bytes import CLOSE, CONT, DEFLATE, PING, TEXT, close_frame, frame
from .kit import opened

pytestmark = pytest.mark.variants("all")

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 2.0


# recv cancelled


async def cancelled_task(ws: ClientConnection, rng: random.Random) -> Any:
    task = asyncio.ensure_future(ws.recv())
    await turns(rng.randrange(4))
    task.cancel()
    return await task


async def timed_out(ws: ClientConnection, rng: random.Random) -> Any:
    async with asyncio.timeout(rng.choice([-1, 0, 1e-5, 1e-4])):
        return await ws.recv()


async def waited_for(ws: ClientConnection, rng: random.Random) -> Any:
    return await asyncio.wait_for(ws.recv(), rng.choice([1e-6, 1e-5, 1e-4]))


def numbered(number: int) -> bytes:
    """A message that says its number, in any of the ways that it may travel."""
    text = f"{number}"
    if number % 5 == 1:
        return frame(TEXT, text[:1], fin=False) + frame(CONT, text[1:])
    if number % 5 == 2:
        return frame(TEXT, text, fin=False) + frame(PING, b"in between") + frame(CONT)
    if number % 97 == 3:
        return frame(TEXT, text.rjust(100_000))
    return frame(TEXT, text)


@pytest.mark.parametrize("cut", [cancelled_task, timed_out, waited_for])
async def test_recv_when_cancelled_at_random_loses_nothing_and_doubles_nothing(
    cut: Callable[[ClientConnection, random.Random], Awaitable[Any]],
) -> None:
    rng = random.Random(7)
    received: list[int] = []
    async with opened() as (ws, peer):
        stop = asyncio.Event()

        async def supply() -> int:
            count = 0
            while not stop.is_set():
                data = numbered(count)
                # Also in pieces that end anywhere.
                at = rng.randrange(len(data))
                peer.write(data[:at])
                await turns(rng.randrange(3))
                peer.write(data[at:])
                await turns(rng.randrange(6))
                await peer.drain()
                count += 1
            peer.write(close_frame())
            return count

        supplier = asyncio.ensure_future(supply())
        cuts = 0
        while cuts < 1000:
            try:
                received.append(int(await cut(ws, rng)))
            except (asyncio.CancelledError, TimeoutError):
                cuts += 1
        stop.set()
        sent = await supplier
        ending = asyncio.ensure_future(peer.end_after_close())
        async for message in ws:
            received.append(int(message))
        await ending

    assert received == list(range(sent))


async def test_recv_when_cancelled_in_a_message_of_fragments_keeps_them() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "half ", fin=False))
        task = asyncio.ensure_future(ws.recv())
        await peer.heard()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        peer.write(frame(CONT, "and half"))

        assert await ws.recv() == "half and half"


async def test_recv_when_resumed_runs_in_its_own_task_and_context() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    async with opened() as (ws, peer):

        async def receive(who: str) -> tuple[str, asyncio.Task[Any] | None]:
            name.set(who)
            await ws.recv()
            return name.get(), asyncio.current_task()

        task = asyncio.create_task(receive("reader"))
        await turns(2)
        peer.write(frame(TEXT, "go"))

        assert await task == ("reader", task)
        assert name.get() == "nobody"


async def test_recv_when_the_reader_raises_does_not_harm_the_connection() -> None:
    async with opened() as (ws, peer):

        async def receive() -> None:
            raise LookupError(await ws.recv())

        task = asyncio.ensure_future(receive())
        await turns(2)
        peer.write(frame(TEXT, "one"), frame(TEXT, "two"))
        with pytest.raises(LookupError, match="one"):
            await task

        assert await ws.recv() == "two"
        assert ws.open


async def test_recv_when_the_reader_sends_and_starts_tasks_at_once_works() -> None:
    async with opened() as (ws, peer):

        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(50):
                    message = await ws.recv()
                    group.create_task(ws.send(message))

        task = asyncio.ensure_future(serve())
        for number in range(50):
            peer.write(frame(TEXT, f"{number}"))
            assert (await peer.read()).text == f"{number}"
        await task


# send cancelled


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_send_when_cancelled_sends_whole_frames_or_none(deflate: bool) -> None:
    rng = random.Random(11)
    headers = [DEFLATE] if deflate else []
    options: dict[str, Any] = {
        "compression": "deflate" if deflate else None,
        "write_limit": 1000,
    }
    async with opened(*headers, small=True, **options) as (ws, peer):
        inflate = zlib.decompressobj(wbits=-15)
        arrived: list[tuple[int, bytes]] = []

        async def consume() -> None:
            while (received := await peer.read()).opcode != CLOSE:
                payload = received.payload
                if received.rsv1:
                    payload = inflate.decompress(payload + b"\0\0\xff\xff")
                arrived.append((int(payload[:10]), payload[10:]))
                await turns(rng.randrange(8))
            peer.write(close_frame())
            peer.close()

        consumer = asyncio.ensure_future(consume())
        cuts = 0
        sent = 0
        completed = []
        while cuts < 200:
            body = rng.randbytes(rng.choice([0, 10, 3000, 20_000]))
            task = asyncio.ensure_future(ws.send(b"%010d" % sent + body))
            sent += 1
            await turns(rng.randrange(3))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cuts += 1
            else:
                completed.append(sent - 1)
        await ws.close()
        await consumer

    numbers = [number for number, _ in arrived]
    assert numbers == sorted(set(numbers))
    assert set(completed) <= set(numbers)


async def test_send_when_cut_between_fragments_fails_with_1011() -> None:
    async with opened() as (ws, peer):
        more = asyncio.Event()

        async def pieces() -> AsyncIterator[str]:
            yield "first"
            await more.wait()
            yield "never"

        task = asyncio.ensure_future(ws.send(pieces()))
        received = await peer.read()
        assert (received.opcode, received.fin, received.text) == (TEXT, False, "first")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await peer.answer_close()).code == 1011
        with pytest.raises(ConnectionClosedError):
            await ws.send("another")


# close


@pytest.mark.variants("two")
async def test_close_when_the_peer_is_silent_takes_one_close_timeout() -> None:
    async with opened(close_timeout=0.4) as (ws, peer):
        reader = asyncio.ensure_future(ws.recv())
        waiter = asyncio.ensure_future(ws.wait_closed())
        watch = Stopwatch()

        await ws.close()

        assert 0.35 < watch.elapsed < 0.75
        with pytest.raises(ConnectionClosedError):
            await reader
        await waiter
        assert watch.elapsed < 0.8
        assert ws.closed
        assert [received.opcode for received in await peer.rest()] == [CLOSE]


@pytest.mark.variants("two")
async def test_close_when_tcp_stays_open_after_the_exchange_takes_one_timeout() -> None:
    async with opened(close_timeout=0.4) as (ws, peer):
        watch = Stopwatch()
        task = asyncio.ensure_future(ws.close())
        received = await peer.read()
        peer.write(frame(CLOSE, received.payload))

        await task

        assert 0.35 < watch.elapsed < 0.75
        assert ws.close_code == 1000
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@pytest.mark.variants("two")
async def test_recv_when_tcp_stays_open_after_a_failure_is_released() -> None:
    async with opened(close_timeout=0.2) as (ws, peer):
        watch = Stopwatch()
        peer.write(frame(3, b"no such opcode"))

        with pytest.raises(ConnectionClosedError):
            await ws.recv()

        assert 0.15 < watch.elapsed < 0.2 + SLACK
        assert (await peer.read()).code == 1002


@pytest.mark.variants("transports")
async def test_close_when_the_peer_does_not_read_takes_one_close_timeout() -> None:
    async with opened(close_timeout=0.4, small=True) as (ws, _peer):
        sender = asyncio.ensure_future(ws.send(bytes(16 * 2**20)))
        await turns(5)
        assert not sender.done()
        watch = Stopwatch()

        await ws.close()

        assert 0.35 < watch.elapsed < 0.75
        with pytest.raises(ConnectionClosedError):
            await sender
        assert watch.elapsed < 0.8


@pytest.mark.variants("two")
@pytest.mark.parametrize("send", ["bytearray", "text"])
async def test_send_of_any_kind_waits_when_the_peer_does_not_read(send: str) -> None:
    async with opened(small=True, close_timeout=0.2) as (ws, _peer):
        size = 16 * 2**20
        message = bytearray(size) if send == "bytearray" else bytes(size)
        text = True if send == "text" else None

        task = asyncio.ensure_future(ws.send(message, text))

        await until(lambda: ws._session.writing_paused)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ws.close()


@pytest.mark.variants("transports")
async def test_keepalive_when_data_arrives_but_no_pong_keeps_the_connection() -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.1,
        "close_timeout": 0.1,
    }
    async with opened(**options) as (ws, peer):
        for number in range(12):
            peer.write(frame(TEXT, f"{number}"))
            assert await ws.recv() == f"{number}"
            await asyncio.sleep(0.03)

        assert ws.open


@pytest.mark.variants("transports")
async def test_send_when_the_peer_reads_slowly_is_never_cut() -> None:
    size = 16_000_000
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.1,
        "close_timeout": 0.1,
    }
    async with opened(small=True, **options) as (ws, peer):
        sender = asyncio.ensure_future(ws.send(bytes(size)))
        watch = Stopwatch()
        left = size + 14
        while left > 0:
            data = await peer.reader.read(min(left, 60_000))
            assert data, "the connection was cut"
            left -= len(data)
            if watch.elapsed < 0.8:
                # As slow as this, and no pong: only the output moves.
                await asyncio.sleep(0.03)
        await sender
        assert ws.open
