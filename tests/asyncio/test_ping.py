"""Pings, pongs and keepalive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosedError,
    ProtocolError,
)

from ..kit.asyncio_peer import until
from ..kit.bytes import PING, PONG, TEXT, Received, close_frame, frame
from .kit import opened

Data = tuple[int, bool, bytes]


def seen(received: Received) -> Data:
    assert received.masked
    return received.opcode, received.fin, received.payload


async def test_ping_result_is_the_round_trip_time_and_becomes_the_latency() -> None:
    async with opened() as (ws, peer):
        assert ws.latency == 0
        waiter = await ws.ping()
        received = await peer.read()
        assert received.opcode == PING
        assert len(received.payload) == 4
        peer.write(frame(PONG, received.payload))

        rtt = await waiter

        assert 0 < rtt < 1
        assert ws.latency == rtt


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ("é", "é".encode()),
        (b"\xff", b"\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        ("", b""),
        (b"x" * 125, b"x" * 125),
    ],
)
@pytest.mark.variants("plain")
async def test_ping_and_pong_send_their_data(data: Any, payload: bytes) -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping(data)
        await ws.pong(data)
        assert seen(await peer.read()) == (PING, True, payload)
        assert seen(await peer.read()) == (PONG, True, payload)
        peer.write(frame(PONG, payload))
        await waiter


@pytest.mark.variants("plain")
async def test_pong_without_data_is_empty() -> None:
    async with opened() as (ws, peer):
        await ws.pong()
        assert seen(await peer.read()) == (PONG, True, b"")


@pytest.mark.variants("plain")
async def test_ping_and_pong_refuse_bad_data_and_send_nothing() -> None:
    async with opened() as (ws, peer):
        for operation in (ws.ping(b"x" * 126), ws.pong("x" * 126), ws.ping("é" * 63)):
            with pytest.raises(ProtocolError):
                await operation
        for operation in (ws.ping(3), ws.pong(None), ws.pong([b"x"])):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await operation
        # What was refused is not pending.
        await ws.ping(b"x" * 125)
        assert seen(await peer.read()) == (PING, True, b"x" * 125)


async def test_ping_with_data_that_is_pending_is_refused() -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping("same")
        with pytest.raises(ConcurrencyError):
            await ws.ping(b"same")
        peer.write(frame(PONG, b"same"))
        await waiter
        await ws.ping("same")


async def test_pong_answers_its_ping_and_all_earlier_ones() -> None:
    async with opened() as (ws, peer):
        waiters = [await ws.ping(f"{number}") for number in range(3)]
        peer.write(frame(PONG, b"unknown"), frame(PONG, b"1"))
        await asyncio.gather(*waiters[:2])
        assert not asyncio.ensure_future(waiters[2]).done()
        peer.write(frame(PONG, b"2"))
        await waiters[2]


async def test_ping_result_when_cancelled_harms_nothing() -> None:
    async with opened() as (ws, peer):
        waiter = asyncio.ensure_future(await ws.ping("one"))
        waiter.cancel()
        other = await ws.ping("two")
        peer.write(frame(PONG, b"two"))

        assert await other > 0
        assert ws.open


async def test_ping_result_raises_when_the_connection_ends_first() -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping()
        # Nobody waits for this one, which must not be logged.
        await ws.ping()
        peer.close()

        with pytest.raises(ConnectionClosedError):
            await waiter


async def test_ping_from_the_peer_is_answered_with_its_data() -> None:
    async with opened() as (_ws, peer):
        peer.write(frame(PING), frame(PING, b"x" * 125))

        assert seen(await peer.read()) == (PONG, True, b"")
        assert seen(await peer.read()) == (PONG, True, b"x" * 125)


async def test_ping_from_the_peer_while_we_are_closing_is_answered() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        peer.write(frame(PING, b"still there?"))
        assert seen(await peer.read()) == (PONG, True, b"still there?")
        peer.write(close_frame())
        peer.close()
        await closing


async def test_keepalive_pings_again_and_again_and_measures_latency() -> None:
    async with opened(ping_interval=0.02, ping_timeout=5) as (ws, peer):
        for _ in range(4):
            received = await peer.read()
            assert received.opcode == PING
            peer.write(frame(PONG, received.payload))
        await until(lambda: ws.latency > 0)
        assert ws.open


async def test_keepalive_with_interval_zero_pings_as_fast_as_pongs_return() -> None:
    async with opened(ping_interval=0, ping_timeout=5) as (_, peer):
        for _ in range(20):
            received = await peer.read()
            peer.write(frame(PONG, received.payload))


async def test_keepalive_without_timeout_never_gives_up() -> None:
    async with opened(ping_interval=0.02, ping_timeout=None) as (ws, peer):
        await peer.read_until(PING)

        # Five intervals, in which a timeout as short would have passed.
        await asyncio.sleep(0.1)

        assert ws.open
        peer.write(frame(TEXT, "late"))
        assert await ws.recv() == "late"
