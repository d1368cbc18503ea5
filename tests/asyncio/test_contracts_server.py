"""The failure contracts on the server's end, with a client of ours."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    State,
)

from ..kit.asyncio_peer import Stopwatch, turns
from ..kit.bytes import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, frame
from .kit import served

pytestmark = pytest.mark.variants("two")

SLACK = 2.0


def masked(opcode: int, payload: bytes | str = b"", *, fin: bool = True) -> bytes:
    return frame(opcode, payload, fin=fin, mask=MASK)


def masked_close(code: int) -> bytes:
    return masked(CLOSE, code.to_bytes(2, "big"))


async def test_messages_go_both_ways_and_ours_are_not_masked() -> None:
    async with served() as (ws, peer):
        peer.write(masked(TEXT, "é"), masked(BINARY, bytes(range(256)) * 300))
        assert await ws.recv() == "é"
        assert await ws.recv() == bytes(range(256)) * 300
        await ws.send("x" * 70_000)
        received = await peer.read()
        assert (received.text, received.masked) == ("x" * 70_000, False)


async def test_frame_without_mask_is_refused() -> None:
    async with served() as (_, peer):
        peer.write(frame(TEXT, "x"))
        assert (await peer.read()).code == 1002


async def test_server_closes_tcp_first() -> None:
    async with served(close_timeout=5) as (ws, peer):
        peer.write(masked_close(1000))
        assert (await peer.read()).code == 1000
        # Its half of TCP, before ours.
        assert await peer.reader.read(1) == b""
        assert ws.state is State.CLOSING
        peer.close()
        await ws.wait_closed()
        assert ws.close_code == 1000


async def test_server_closes_tcp_after_its_own_close_was_answered() -> None:
    async with served(close_timeout=5) as (ws, peer):
        closing = asyncio.ensure_future(ws.close(1001))
        assert (await peer.read()).code == 1001
        peer.write(masked_close(1001))
        assert await peer.reader.read(1) == b""
        peer.close()
        await closing


async def test_close_when_the_client_is_silent_takes_one_close_timeout() -> None:
    async with served(close_timeout=0.4) as (ws, peer):
        watch = Stopwatch()
        await ws.close()
        assert 0.35 < watch.elapsed < 0.75
        assert ws.close_code == 1006
        assert [item.opcode for item in await peer.rest()] == [CLOSE]


async def test_close_when_the_client_keeps_tcp_open_takes_one_close_timeout() -> None:
    async with served(close_timeout=0.4) as (ws, peer):
        watch = Stopwatch()
        peer.write(masked_close(1000))
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        assert 0.35 < watch.elapsed < 0.75


async def test_close_when_the_client_does_not_read_takes_one_close_timeout() -> None:
    async with served(close_timeout=0.4, small=True) as (ws, _peer):
        sending = asyncio.ensure_future(ws.send(bytes(16 * 2**20)))
        await turns(5)
        assert not sending.done()
        watch = Stopwatch()
        await ws.close()
        assert 0.35 < watch.elapsed < 0.75
        with pytest.raises(ConnectionClosedError):
            await sending


async def test_send_when_the_client_stops_reading_is_released_by_keepalive() -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.1,
        "ping_timeout": 0.2,
        "close_timeout": 0.2,
    }
    async with served(small=True, **options) as (ws, _peer):
        watch = Stopwatch()
        with pytest.raises(ConnectionClosedError):
            await ws.send(bytes(16 * 2**20))
        await ws.close()
        assert watch.elapsed < 0.5 + SLACK


async def test_send_when_the_client_reads_slowly_is_never_cut() -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.1,
        "close_timeout": 0.1,
    }
    size = 1_500_000
    async with served(small=True, **options) as (ws, peer):
        sending = asyncio.ensure_future(ws.send(bytes(size)))
        watch = Stopwatch()
        left = size
        while left > 0:
            data = await peer.reader.read(min(left, 60_000))
            assert data, "the connection was cut"
            left -= len(data)
            if watch.elapsed < 0.5:
                await asyncio.sleep(0.01)
        await sending
        assert ws.open


async def test_recv_when_cancelled_at_random_loses_nothing() -> None:
    rng = random.Random(5)
    got: list[int] = []
    async with served() as (ws, peer):
        cuts = count = 0
        while cuts < 300:
            receiving = asyncio.ensure_future(ws.recv())
            if rng.random() < 0.5:
                peer.write(masked(TEXT, f"{count}"))
                count += 1
            await turns(rng.randrange(4))
            receiving.cancel()
            try:
                got.append(int(await receiving))
            except asyncio.CancelledError:
                cuts += 1
        while len(got) < count:
            got.append(int(await ws.recv()))
    assert got == list(range(count))


async def test_pings_are_answered_while_the_handler_does_not_read() -> None:
    async with served() as (ws, peer):
        for number in range(30):
            peer.write(masked(TEXT, "unread"), masked(PING, f"{number}"))
            received = await peer.read()
            assert (received.opcode, received.text) == (PONG, f"{number}")
        assert ws.open


async def test_keepalive_when_the_handler_does_not_read_never_closes() -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.05,
        "close_timeout": 0.1,
    }
    async with served(max_queue=4, **options) as (ws, peer):
        peer.write(*[masked(TEXT, f"{number}") for number in range(100)])

        async def answer() -> None:
            while (received := await peer.read()).opcode == PING:
                peer.write(masked(PONG, received.payload))

        answering = asyncio.ensure_future(answer())
        # Several times as long as a dead peer would live.
        await asyncio.sleep(0.3)
        assert ws.open
        assert [await ws.recv() for _ in range(100)] == [f"{n}" for n in range(100)]
        answering.cancel()
        await asyncio.wait([answering])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (frame(TEXT, "x"), 1002),
        (masked(3), 1002),
        (masked(TEXT, b"\xff"), 1007),
        (masked(TEXT, bytes(2000)), 1009),
        (b"\x82\xff" + (2**63 - 1).to_bytes(8, "big"), 1009),
        (masked_close(1001), 1001),
    ],
)
async def test_fault_behind_messages_comes_after_them_and_the_replies(
    fault: bytes, code: int
) -> None:
    async with served(max_size=1000, close_timeout=0.5) as (ws, peer):
        received: list[Any] = []

        async def reply() -> None:
            try:
                while True:
                    received.append(await ws.recv())
                    await ws.send(f"got {received[-1]}")
            except ConnectionClosed as exc:
                received.append(type(exc.__cause__))

        replying = asyncio.ensure_future(reply())
        await turns(3)
        peer.write(masked(TEXT, "a"), masked(TEXT, "b"), fault)

        assert (await peer.read()).text == "got a"
        assert (await peer.read()).text == "got b"
        assert (await peer.read()).code == code
        peer.close()
        await replying
        assert received[:2] == ["a", "b"]
        assert (received[2] is PayloadTooBig) == (code == 1009)


async def test_fragments_without_end_are_refused() -> None:
    async with served() as (ws, peer):
        # What nobody reads is not parsed.
        reading = asyncio.ensure_future(ws.recv())
        peer.write(masked(TEXT, "x", fin=False), masked(CONT, fin=False) * 10_000)
        assert (await peer.read()).code == 1009
        peer.close()
        with pytest.raises(ConnectionClosedError):
            await reading
