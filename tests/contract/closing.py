"""Closing: it ends, on time and with the right code, whoever begins."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosedError, ConnectionClosedOK, ProtocolError, State
from fullduplex.core.endpoint._hot import RECEIVING

from ..kit.bytes import CLOSE, CONT, PING, PONG, TEXT
from ..kit.clock import PATIENCE, Stopwatch
from ..kit.peer import Peer
from .faces import Kit
from .registry import SLACK, behaviour


@behaviour()
async def closing_exchanges_close_frames(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        assert ws.state is State.OPEN
        closing = kit.spawn(lambda: ws.close(4000, "é"))
        received = await kit.do(peer.answer_close)
        assert (received.code, received.reason) == (4000, "é")
        await closing.result()
        assert ws.closed
        assert (ws.close_code, ws.close_reason) == (4000, "é")
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@behaviour()
async def closing_twice_or_at_the_same_time_does_no_harm(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        closings = [kit.spawn(lambda: ws.close(1000)) for _ in range(3)]
        assert (await kit.do(peer.answer_close)).code == 1000
        for closing in closings:
            await closing.result()
        await ws.close(4000)
        assert ws.close_code == 1000


@behaviour()
async def code_that_must_not_travel_leaves_the_connection_open(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        wrong: list[tuple[Any, ...]] = [(1005,), (1006,), (999,), (1000, "x" * 124)]
        for arguments in wrong:
            with pytest.raises(ProtocolError):
                await ws.close(*arguments)
        assert ws.open
        peer.send(TEXT, "still there")
        assert await ws.recv() == "still there"


@behaviour()
async def close_of_the_peer_is_echoed_without_the_application(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send_close(3001, "why")
        received = await kit.do(peer.read)
        assert (received.code, received.reason) == (3001, "why")
        peer.close()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (3001, "why")


@behaviour()
async def closing_releases_whoever_waits(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        receiving = kit.spawn(ws.recv)
        waiting = kit.spawn(ws.wait_closed)
        await kit.receiving(ws, receiving)
        closing = kit.spawn(lambda: ws.close(1001))
        await kit.do(peer.answer_close)
        await closing.result()
        with pytest.raises(ConnectionClosedOK):
            await receiving.result()
        await waiting.result()


@behaviour()
async def silent_peer_costs_one_close_timeout(kit: Kit, side: str) -> None:
    async with kit.ends(side, close_timeout=0.4) as (ws, peer):
        receiving = kit.spawn(ws.recv)
        waiting = kit.spawn(ws.wait_closed)
        await kit.receiving(ws, receiving)
        clock = Stopwatch()
        await ws.close()
        assert 0.35 < clock.elapsed < 0.4 + SLACK
        with pytest.raises(ConnectionClosedError):
            await receiving.result()
        await waiting.result()
        assert ws.closed
        assert ws.close_code == 1006
        assert [item.opcode for item in await kit.do(peer.rest)] == [CLOSE]


@behaviour()
async def tcp_that_stays_open_costs_one_close_timeout(kit: Kit, side: str) -> None:
    async with kit.ends(side, close_timeout=0.4) as (ws, peer):
        clock = Stopwatch()
        peer.send_close(1001, "bye")
        with pytest.raises(ConnectionClosedOK) as caught:
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (1001, "bye")
        assert (await kit.do(peer.read)).code == 1001
        if side == "server" and kit.face.name == "trio-tls":
            # trio's TLS closes TCP behind its close_notify, as servers may.
            return
        assert 0.35 < clock.elapsed < 0.4 + SLACK
        # All went well, but for TCP.
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert "close_timeout" in str(caught.value.__cause__)


@behaviour()
async def peer_that_does_not_read_costs_one_close_timeout(kit: Kit, side: str) -> None:
    async with kit.ends(side, close_timeout=0.4, small=True) as (ws, _):
        sending = kit.spawn(lambda: ws.send(bytes(16 * 2**20)))
        await kit.stuck(ws, sending)
        clock = Stopwatch()
        await ws.close()
        assert 0.35 < clock.elapsed < 0.4 + SLACK
        with pytest.raises(ConnectionClosedError):
            await sending.result()


@behaviour(cancels=True)
async def closing_that_is_cancelled_still_ends_on_time(kit: Kit, side: str) -> None:
    async with kit.ends(side, close_timeout=0.3) as (ws, peer):
        clock = Stopwatch()
        closing = kit.spawn(ws.close)
        assert (await kit.do(peer.read)).code == 1000
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing.result()
        assert not ws.closed
        await ws.wait_closed()
        assert 0.25 < clock.elapsed < 0.3 + SLACK
        assert ws.close_code == 1006


@behaviour()
async def closing_with_a_full_queue_sees_the_close_of_the_peer(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=2) as (ws, peer):
        peer.write(*[peer.frame(TEXT, "unread") for _ in range(20)])
        closing = kit.spawn(lambda: ws.close(1000))
        assert (await kit.do(peer.answer_close)).code == 1000
        await closing.result()
        assert ws.close_code == 1000


@behaviour()
async def close_frame_that_came_before_output_failed_still_counts(
    kit: Kit, side: str
) -> None:
    if kit.face.name == "trio-tls":
        return  # trio's TLS reads nothing more once a write has failed
    async with kit.ends(side) as (ws, peer):
        # In one segment: what the peer's system still keeps is lost by a reset.
        messages = [peer.frame(TEXT, f"{number}") for number in range(3)]
        peer.write(*messages, peer.frame(CLOSE, (4001).to_bytes(2) + b"gone"))
        peer.reset()
        # On a loop, nothing has been read yet when this fails.
        try:
            await ws.send("too late")
        except ConnectionClosedError:
            pass
        assert [await ws.recv() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4001, "gone")
        assert caught.value.rcvd is not None


@behaviour()
async def ensure_open_tells_whether_messages_can_be_exchanged(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        await ws.ensure_open()
        closing = kit.spawn(ws.close)
        await kit.do(peer.read)
        waiting = kit.spawn(ws.ensure_open)
        await kit.do(peer.send, PING)
        await kit.do(peer.read_until, PONG)
        assert not waiting.done()
        await kit.do(peer.send_close, 1000)
        await kit.do(peer.close)
        for task in (waiting, kit.spawn(ws.ensure_open)):
            with pytest.raises(ConnectionClosedOK):
                await task.result()
        await closing.result()


@behaviour()
async def failing_the_connection_tells_the_peer_and_waits_for_nothing(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        with pytest.raises(ProtocolError):
            ws.fail_connection(1005)
        assert ws.open
        ws.fail_connection(1011, "why")
        assert not ws.open
        assert not ws.closed
        received = await kit.do(peer.answer_close)
        assert (received.code, received.reason) == (1011, "why")
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1011


@behaviour()
async def failing_the_connection_with_1006_ends_tcp_without_a_word(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, close_timeout=None) as (ws, peer):
        receiving = kit.spawn(ws.recv)
        await kit.receiving(ws, receiving)
        ws.fail_connection()
        assert await kit.do(peer.rest) == []
        with pytest.raises(ConnectionClosedError):
            await receiving.result()
        assert ws.close_code == 1006


@behaviour()
async def peer_that_half_closes_gets_what_waits(kit: Kit, side: str) -> None:
    async with kit.ends(side, small=True) as (ws, peer):
        size = 8 * 2**20
        sending = kit.spawn(lambda: ws.send(bytes(size)))
        await kit.stuck(ws, sending)
        peer.half_close()
        assert await kit.do(peer.drain) > size
        await ws.wait_closed()
        assert ws.close_code == 1006


@behaviour()
async def faults_fail_with_their_code(kit: Kit, side: str) -> None:
    faults: dict[str, tuple[Callable[[Peer], bytes], int]] = {
        "opcode": (lambda peer: peer.frame(3), 1002),
        "rsv": (lambda peer: peer.frame(TEXT, "x", rsv=2), 1002),
        "long ping": (lambda peer: peer.frame(9, bytes(126)), 1002),
        "ping in parts": (lambda peer: peer.frame(9, b"", fin=False), 1002),
        "continuation of nothing": (lambda peer: peer.frame(CONT, "x"), 1002),
        "close of one byte": (lambda peer: peer.frame(CLOSE, b"\x03"), 1002),
        "close with a code that must not travel": (
            lambda peer: peer.frame(CLOSE, (1005).to_bytes(2)),
            1002,
        ),
        "close with a reason that is no text": (
            lambda peer: peer.frame(CLOSE, (1000).to_bytes(2) + b"\xff"),
            1007,
        ),
        "text in parts that is no text": (
            lambda peer: peer.frame(TEXT, b"\xc3", fin=False) + peer.frame(CONT, b"x"),
            1007,
        ),
    }
    for name, (make, code) in faults.items():
        async with kit.ends(side) as (ws, peer):
            peer.write(make(peer))
            assert (await kit.do(peer.read)).code == code, name
            peer.close()
            with pytest.raises(ConnectionClosedError) as caught:
                await ws.recv()
            assert caught.value.__cause__ is not None, name
            assert ws.close_code == 1006, name


@behaviour()
async def frame_with_the_wrong_masking_fails_with_1002(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.masks = not peer.masks
        peer.send(TEXT, "x")
        assert (await kit.do(peer.read)).code == 1002
        peer.close()
        await ws.wait_closed()


async def lived(kit: Kit, side: str, end: str) -> weakref.ref[Any]:
    """Let a connection live to its end; nothing here knows it afterwards."""
    async with kit.ends(side, close_timeout=0.3) as (ws, peer):
        known: weakref.ref[Any] = weakref.ref(ws.ws)
        peer.send(TEXT, "hello")
        assert await ws.recv() == "hello"
        if end == "closed by us":
            closing = kit.spawn(ws.close)
            await kit.do(peer.answer_close)
            await closing.result()
        elif end == "closed by the peer":
            peer.send_close(1000)
            await kit.do(peer.read)
            peer.close()
        elif end == "cut":
            peer.close()
        elif end == "reset":
            peer.reset()
        elif end == "reset while receiving":
            # The task must not be the one with the error: that would lead to itself.

            async def reset() -> None:
                await kit.until(lambda: ws._session.recv_blockers & RECEIVING)
                peer.reset()

            resetting = kit.spawn(reset)
            with pytest.raises(ConnectionClosedError):
                await ws.recv()
            await resetting.result()
        elif end == "reset while sending":
            peer.reset()
            with pytest.raises(ConnectionClosedError):
                while True:
                    await ws.send("x")
                    await kit.sleep(0.001)
        elif end == "fault":
            peer.send(3, "no such opcode")
            await kit.do(peer.read)
            peer.close()
        elif end == "left in the middle":
            ws.fail_connection()
        await ws.wait_closed()
    return known


@behaviour()
async def memory_is_free_at_the_end_without_the_collector(kit: Kit, side: str) -> None:
    if (
        kit.face.name.startswith("trio")
        and side == "server"
        and sys.version_info >= (3, 13)
    ):
        pytest.skip("on Python 3.13 and later, the collector frees it")
    for end in (
        "closed by us",
        "closed by the peer",
        "cut",
        "reset",
        "reset while receiving",
        "reset while sending",
        "fault",
        "left in the middle",
    ):
        gc.collect()
        gc.disable()
        try:
            known = await lived(kit, side, end)
            deadline = time.monotonic() + PATIENCE
            while known() is not None:
                assert time.monotonic() < deadline, f"{end}: {known()}"
                await kit.sleep(0.002)
        finally:
            gc.enable()
