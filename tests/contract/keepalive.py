"""Pings, pongs, and telling a dead peer from a slow one."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex import ConcurrencyError, ConnectionClosedError, ProtocolError

from ..asyncio.raw import PING, PONG, TEXT
from .faces import Kit
from .registry import SLACK, Clock, behaviour


@behaviour()
async def ping_is_answered_and_measures_the_latency(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        assert ws.latency == 0
        ping = await ws.ping("hello")
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PING, "hello")
        await kit.sleep(0.02)
        waiting = kit.spawn(lambda: ws.pong_of(ping))
        peer.write(PONG, "hello")
        peer.write(TEXT, "after")
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
        peer.write(PONG, "unsolicited")
        peer.write(PONG, "second")
        peer.write(TEXT, "after")
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
    async with kit.ends(side) as (ws, peer):
        for number in range(3):
            peer.send(peer.frame(TEXT, "unread"), peer.frame(PING, f"{number}"))
            received = await kit.do(peer.read)
            assert (received.opcode, received.text) == (PONG, f"{number}")
        assert ws.open


@behaviour()
async def dead_peer_is_noticed(kit: Kit, side: str) -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.1}
    async with kit.ends(side, **options) as (ws, peer):
        clock = Clock()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert 0.3 < clock.elapsed < 0.4 + SLACK
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011
        assert caught.value.sent.reason == "keepalive ping timeout"
        assert (await kit.do(peer.read)).opcode == PING


@behaviour()
async def peer_that_sends_but_answers_no_ping_is_alive(kit: Kit, side: str) -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.3, "close_timeout": 0.1}
    async with kit.ends(side, **options) as (ws, peer):
        clock = Clock()
        while clock.elapsed < 0.8:
            peer.write(TEXT, "alive")
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
        peer.send(*[peer.frame(TEXT, f"{number}") for number in range(100)])
        over = False

        def answer() -> None:
            while not over:
                received = peer.read()
                if received.opcode == PING:
                    peer.write(PONG, received.payload)

        answering = kit.spawn(lambda: kit.do(answer))
        # Longer than it takes to find a peer dead, on every face.
        await kit.sleep(0.5)
        assert ws.open
        assert [await ws.recv() for _ in range(100)] == [f"{n}" for n in range(100)]
        over = True
        await ws.ping()
        await answering.result()
