"""Pings, pongs, and telling a dead peer from a slow one."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
)

from ..kit.bytes import PING, PONG, TEXT
from ..kit.clock import Stopwatch
from .faces import Kit
from .registry import SLACK, behaviour


@behaviour()
async def ping_is_answered_and_measures_the_latency(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        assert ws.latency == 0
        ping = await ws.ping("hello")
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PING, "hello")
        await kit.sleep(0.02)
        waiting = kit.spawn(lambda: ws.pong_of(ping))
        peer.send(PONG, "hello")
        peer.send(TEXT, "after")
        assert await ws.recv() == "after"
        await waiting.result()
        assert 0.01 < ws.latency < 0.02 + SLACK


@behaviour()
async def pong_answers_all_earlier_pings(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        first = await ws.ping()
        second = await ws.ping(b"second")
        assert len((await kit.do(peer.read)).payload) == 4
        await kit.do(peer.read)
        peer.send(PONG, "unsolicited")
        peer.send(PONG, "second")
        peer.send(TEXT, "after")
        assert await ws.recv() == "after"
        await ws.pong_of(first)
        await ws.pong_of(second)


@behaviour()
async def ping_that_cannot_be_sent_is_refused(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        with pytest.raises(ProtocolError, match="125"):
            await ws.ping(bytes(126))
        with pytest.raises(TypeError):
            await ws.ping(1)
        await ws.ping("same")
        with pytest.raises(ConcurrencyError):
            await ws.ping("same")
        await ws.pong("unsolicited")
        assert (await kit.do(peer.read)).text == "same"
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PONG, "unsolicited")


@behaviour()
async def pings_are_answered_while_the_application_does_not_read(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=32) as (ws, peer):
        for number in range(30):
            peer.write(peer.frame(TEXT, "unread"), peer.frame(PING, f"{number}"))
            received = await kit.do(peer.read)
            assert (received.opcode, received.text) == (PONG, f"{number}")
        assert ws.open


@behaviour()
async def dead_peer_is_noticed(kit: Kit, side: str) -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.1}
    async with kit.ends(side, **options) as (ws, peer):
        clock = Stopwatch()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert 0.3 < clock.elapsed < 0.4 + SLACK
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011
        assert caught.value.sent.reason == "keepalive ping timeout"
        assert str(caught.value) == (
            "sent 1011 (internal error) keepalive ping timeout; no close frame received"
        )
        *pings, last = await kit.do(peer.rest)
        assert {received.opcode for received in pings} == {PING}
        assert (last.code, last.reason) == (1011, "keepalive ping timeout")


@behaviour()
async def peer_that_sends_but_answers_no_ping_is_alive(kit: Kit, side: str) -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.3, "close_timeout": 0.1}
    async with kit.ends(side, **options) as (ws, peer):
        clock = Stopwatch()
        while clock.elapsed < 0.8:
            peer.send(TEXT, "alive")
            assert await ws.recv() == "alive"
            await kit.sleep(0.02)
        assert ws.open


@behaviour()
async def application_that_does_not_read_is_never_closed(kit: Kit, side: str) -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.1,
        "close_timeout": 0.1,
        "max_queue": 4,
    }
    async with kit.ends(side, **options) as (ws, peer):
        peer.write(*[peer.frame(TEXT, f"{number}") for number in range(100)])
        answering = kit.spawn(lambda: kit.do(peer.echo))
        # Longer than it takes to find a peer dead, on every face.
        await kit.sleep(0.5)
        assert ws.open
        assert [await ws.recv() for _ in range(100)] == [f"{n}" for n in range(100)]
        await ws.close()
        assert ws.close_code == 1000
        await answering.result()


# The peer leaves while nothing is read

UNREAD = {"max_queue": 4, "close_timeout": 0.1}


async def fill(kit: Kit, ws: Any, peer: Any) -> None:
    """Let the peer send more than the queue takes, so that reading is paused."""
    await kit.do(peer.write, *[peer.frame(TEXT, f"{number}") for number in range(50)])
    await kit.until(lambda: ws._session.reading_paused)


@behaviour()
async def peer_that_leaves_a_full_queue_is_noticed(kit: Kit, side: str) -> None:
    for leave in ("close", "reset", "half_close"):
        async with kit.ends(side, **UNREAD) as (ws, peer):
            await fill(kit, ws, peer)
            await kit.do(getattr(peer, leave))
            clock = Stopwatch()
            await ws.wait_closed()
            assert clock.elapsed < 0.25 + 0.1 + SLACK, leave
            assert ws.close_code == 1006
            # What was queued before the end is still there, in order.
            assert [await ws.recv() for _ in range(4)] == ["0", "1", "2", "3"]
            with pytest.raises(ConnectionClosedError):
                while True:
                    await ws.recv()


@behaviour()
async def peer_that_leaves_waits_for_an_application_that_is_slow(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, **{**UNREAD, "close_timeout": 0.3}) as (ws, peer):
        await fill(kit, ws, peer)
        await kit.do(peer.send_close, 1000)
        await kit.do(peer.close)
        # The end is seen soon, and what is taken puts it off.
        for number in range(50):
            assert await ws.recv() == f"{number}"
            await kit.sleep(0.1 if number < 12 else 0)
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        assert ws.close_code == 1000


@behaviour()
async def sending_to_a_peer_that_half_closed_is_released(kit: Kit, side: str) -> None:
    options = {**UNREAD, "ping_interval": 0.2, "ping_timeout": 0.2}
    async with kit.ends(side, small=True, **options) as (ws, peer):
        await fill(kit, ws, peer)
        sending = kit.spawn(lambda: ws.send(bytes(16 * 2**20)))
        await kit.stuck(ws, sending)
        await kit.do(peer.half_close)
        clock = Stopwatch()
        with pytest.raises(ConnectionClosedError):
            await sending.result()
        assert clock.elapsed < 0.25 + 0.3 + 0.4 + SLACK


@behaviour()
async def sending_is_released_though_nothing_is_received(kit: Kit, side: str) -> None:
    options = {**UNREAD, "ping_interval": 0.2, "ping_timeout": 0.3}
    async with kit.ends(side, small=True, **options) as (ws, peer):
        await fill(kit, ws, peer)
        sending = kit.spawn(lambda: ws.send(bytes(16 * 2**20)))
        await kit.stuck(ws, sending)
        clock = Stopwatch()
        with pytest.raises(ConnectionClosedError):
            await sending.result()
        assert clock.elapsed < 0.2 + 0.3 + 0.3 + SLACK


@behaviour()
async def pings_go_on_without_ping_timeout(kit: Kit, side: str) -> None:
    options = {"ping_interval": 0.05, "ping_timeout": None}
    async with kit.ends(side, **options) as (ws, peer):
        for _ in range(5):
            assert (await kit.do(peer.read)).opcode == PING
        assert ws.open
