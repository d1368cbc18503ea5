"""Keepalive against real faults: who is closed, who is not, and what is said."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import time
import tracemalloc
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import ConnectionClosedError
from fullduplex.core.endpoint.keepalive import Verdict

from ..kit.asyncio_peer import Peer, Stopwatch, until
from ..kit.bytes import BINARY, CLOSE, PING, PONG, TEXT, frame
from .kit import opened, served

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what TCP tells is of Linux"
)
pytestmark = [pytest.mark.variants("two")]

FAST: dict[str, Any] = {
    "ping_interval": 0.1,
    "ping_timeout": 0.3,
    "close_timeout": 0.2,
}
# Seconds that a busy machine may take longer than it should.
SLACK = 2.0


def vanish(peer: Peer) -> None:
    """Let the peer's system drop every packet: no answer, no acknowledgement."""
    sock = peer.writer.get_extra_info("socket")
    # One instruction of a packet filter (linux/filter.h): keep 0 bytes.
    instruction = struct.pack("HBBI", 0x06, 0, 0, 0)
    address = _address_of(instruction)
    SO_ATTACH_FILTER = 26
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, address))


_kept: list[Any] = []


def _address_of(data: bytes) -> int:
    import ctypes

    buffer = ctypes.create_string_buffer(data, len(data))
    _kept.append(buffer)
    return ctypes.addressof(buffer)


async def ended(ws: Any) -> ConnectionClosedError:
    with pytest.raises(ConnectionClosedError) as caught:
        while True:
            await ws.recv()
    return caught.value


# Dead links


@LINUX
@pytest.mark.parametrize("sends", [False, True])
async def test_link_that_drops_every_packet_is_dead_on_time(sends: bool) -> None:
    async with opened(**FAST) as (ws, peer):
        vanish(peer)
        if sends:
            await ws.send(bytes(100_000))
        watch = Stopwatch()

        exc = await ended(ws)

        assert watch.elapsed < 0.1 + 0.3 + 0.2 + SLACK
        assert str(exc.__cause__).startswith("dead link: no pong within 0.3 s ")
        assert exc.sent is not None
        assert exc.sent.code == 1011
        assert ws.stats.verdict is Verdict.DEAD_LINK


@LINUX
async def test_link_that_is_dead_is_found_while_the_program_keeps_sending(
    server_tls: Any, client_tls: Any
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls, **FAST) as (ws, peer):
        vanish(peer)
        watch = Stopwatch()

        with pytest.raises(ConnectionClosedError) as caught:
            while True:
                await ws.send("x" * 100)
                await asyncio.sleep(0.01)

        assert watch.elapsed < 0.1 + 0.3 + 0.2 + SLACK
        assert "dead link" in str(caught.value.__cause__)


async def test_peer_that_answers_nothing_is_closed_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "fullduplex.client"):
        async with opened(**FAST) as (ws, peer):
            reading = asyncio.ensure_future(peer.rest())
            exc = await ended(ws)
            frames = await reading

    assert [received.opcode for received in frames] == [PING, CLOSE]
    assert frames[-1].code == 1011
    assert str(exc.__cause__).startswith("dead link: no pong within 0.3 s ")
    [record] = [r for r in caplog.records if "dead link" in r.getMessage()]
    assert record.levelno == logging.WARNING


# Peers that do not read


@pytest.mark.parametrize("side", ["client", "server"])
async def test_peer_that_never_reads_is_stalled_and_closed_on_time(side: str) -> None:
    connection = opened if side == "client" else served
    async with connection(small=True, **FAST) as (ws, _peer):
        watch = Stopwatch()
        with pytest.raises(ConnectionClosedError) as caught:
            while True:
                await ws.send(bytes(2**20))

        assert watch.elapsed < 0.1 + 0.3 * 1.25 + 0.2 + SLACK
        assert str(caught.value.__cause__).startswith("stalled peer: ")
        assert "bytes of output have not moved for 0.3 s" in str(caught.value.__cause__)
        assert ws.stats.verdict is Verdict.STALLED_PEER


async def test_peer_that_reads_slowly_is_never_closed() -> None:
    # Each step of TCP's window is shown to us; a pong never comes.
    size = 2_000_000
    options = {**FAST, "ping_timeout": 0.4}
    async with opened(small=True, **options) as (ws, peer):
        sender = asyncio.ensure_future(ws.send(bytes(size)))
        watch = Stopwatch()
        left = size
        while watch.elapsed < 1.5 and left > 0:
            left -= len(await peer.reader.read(4096))
            await asyncio.sleep(0.02)
        assert ws.open
        assert ws.stats.verdict is Verdict.ALIVE
        while left > 0:
            left -= len(await peer.reader.read(2**16))
        await sender
        assert ws.open


async def test_peer_that_sends_but_does_not_read_is_alive() -> None:
    async with opened(small=True, **FAST) as (ws, peer):
        sender = asyncio.ensure_future(ws.send(bytes(2**24)))
        watch = Stopwatch()
        while watch.elapsed < 1.2:
            peer.write(frame(TEXT, "tick"))
            assert await ws.recv() == "tick"
            await asyncio.sleep(0.05)

        assert ws.open
        assert not sender.done()
        sender.cancel()


@LINUX
async def test_rule_of_tcp_is_lifted_while_a_living_peer_does_not_read() -> None:
    async def read_and_live() -> None:
        while await peer.reader.read(2**16):
            peer.write(frame(PONG, b""))

    async with opened(small=True, **FAST) as (ws, peer):
        assert user_timeout(ws) == 10_000
        sender = asyncio.ensure_future(ws.send(bytes(2**23)))
        while user_timeout(ws):
            peer.write(frame(TEXT, "tick"))
            await ws.recv()
            await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(read_and_live())
        await asyncio.wait_for(sender, 10)

        await until(lambda: user_timeout(ws) == 10_000)
        reading.cancel()


# Applications that do not read


async def test_application_that_does_not_read_stays_open_and_is_warned_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "fullduplex.client"):
        async with opened(max_queue=8, **FAST) as (ws, peer):
            flood = asyncio.ensure_future(pour(peer))
            await until(lambda: ws._session.reading_paused)
            tracemalloc.start()
            await until(lambda: ws.stats.stalls == 1)
            before, _ = tracemalloc.get_traced_memory()
            # Long enough for another warning.
            await asyncio.sleep(2.5 * FAST["ping_timeout"])
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()

            assert ws.open
            assert ws.stats.stalls == 1
            assert str(ws.stats.verdict) == "stalled application"
            assert after - before < 200_000
            # More than wait: one read may bring a hundred and more.
            for number in range(300):
                assert (await ws.recv())[:8] == b"%08d" % number
            assert ws.stats.verdict is Verdict.ALIVE
            flood.cancel()

    [record] = [r for r in caplog.records if "stalled" in r.getMessage()]
    assert record.levelno == logging.WARNING
    assert "received messages are not taken; messages waiting: " in record.getMessage()
    assert hasattr(record, "websocket")


async def pour(peer: Peer) -> None:
    """Send numbered messages and never read."""
    number = 0
    while True:
        peer.write(frame(BINARY, b"%08d" % number + bytes(1000)))
        await peer.drain()
        number += 1


async def test_slow_consumer_keeps_its_connection() -> None:
    # Whenever the queue has room again, the peer gets another whole timeout.
    options = {**FAST, "ping_timeout": 0.15}
    async with opened(max_queue=4, **options) as (ws, peer):
        flood = asyncio.ensure_future(pour(peer))
        for number in range(20):
            assert (await ws.recv())[:8] == b"%08d" % number
            await asyncio.sleep(0.05)

        assert ws.open
        flood.cancel()


# Programs that are busy elsewhere


@pytest.mark.variants("transports")
async def test_program_that_was_busy_reads_before_it_judges() -> None:
    async with opened(**FAST) as (ws, peer):
        ping = await peer.read_until(PING)
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        done = loop.create_future()

        def busy() -> None:
            """Run where input is handled: uvloop looks at its timers next."""
            loop.remove_reader(ours)
            time.sleep(0.6)
            # The pong arrives while the deadline has gone by.
            peer.write(frame(PONG, ping.payload))
            done.set_result(None)

        with ours, theirs:
            loop.add_reader(ours, busy)
            theirs.send(b"x")
            await done
        echo = asyncio.ensure_future(peer.echo())

        # Timers have had their turn.
        await (await ws.ping())
        assert ws.open
        assert ws.stats.verdict is Verdict.ALIVE
        await ws.close()
        await echo


# What TCP is told


@LINUX
@pytest.mark.variants("transports")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_tcp_watches_too(side: str) -> None:
    connection: Any = opened if side == "client" else served
    async with connection(ping_interval=20, ping_timeout=20) as (ws, _peer):
        sock = ws.transport.get_extra_info("socket")

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 40
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4
        assert user_timeout(ws) == 80_000


@LINUX
async def test_without_keepalive_tcp_is_left_alone() -> None:
    async with opened(ping_interval=None) as (ws, _peer):
        sock = ws.transport.get_extra_info("socket")

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert user_timeout(ws) == 0


def user_timeout(ws: Any) -> int:
    sock = ws.transport.get_extra_info("socket")
    value: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    return value


# Counters


@asynccontextmanager
async def echoing() -> Any:
    async with opened(**{**FAST, "ping_interval": 0.02}) as (ws, peer):
        echo = asyncio.ensure_future(peer.echo())
        yield ws
        await ws.close()
        await echo


async def test_stats_of_a_connection_that_talks() -> None:
    async with echoing() as ws:
        assert ws.stats.messages_received == 0
        for number in range(10):
            await ws.send(f"{number}")
            assert await ws.recv() == f"{number}"
        await until(lambda: ws.stats.rtt.count >= 3)

        stats = ws.stats
        assert (stats.messages_sent, stats.messages_received) == (10, 10)
        assert (stats.payload_sent, stats.payload_received) == (10, 10)
        assert stats.bytes_sent == 10 * 7 + stats.pings_sent * 10
        assert stats.bytes_received == 10 * 3 + stats.pings_answered * 6
        assert stats.received_age is not None
        assert stats.sent_age is not None
        assert 0 <= stats.received_age < SLACK
        assert 0 <= stats.sent_age < SLACK
        assert stats.rtt.min is not None
        assert stats.rtt.p99 is not None
        assert 0 < stats.rtt.min <= stats.rtt.p99 < SLACK
        assert stats.rtt.last == pytest.approx(ws.latency, rel=1e-4, abs=1e-7)
        assert stats.verdict is Verdict.ALIVE
    assert ws.stats == ws.stats
