"""The failure contracts on trio: what holds when a task is cut or a peer misbehaves."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trio

from fullduplex import (
    ConnectionClosedError,
    ConnectionClosedOK,
)

from ..kit.bytes import CLOSE, CONT, MASK, PING, TEXT, close_frame, frame
from ..kit.trio_peer import until
from .kit import opened, served

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 2.0


async def turns(count: int) -> None:
    """Let the run go round."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


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


@pytest.mark.parametrize("how", ["from outside", "by a deadline", "streaming"])
async def test_recv_when_cancelled_at_random_loses_nothing_and_doubles_nothing(
    how: str,
) -> None:
    rng = random.Random(7)
    received: list[int] = []
    sent = 0
    stop = False
    async with opened() as (ws, peer), trio.open_nursery() as nursery:

        async def supply() -> None:
            nonlocal sent
            while not stop:
                data = numbered(sent)
                # Also in pieces that end anywhere.
                at = rng.randrange(len(data))
                await peer.write(data[:at])
                await turns(rng.randrange(3))
                await peer.write(data[at:])
                await turns(rng.randrange(6))
                sent += 1
            await peer.write(close_frame())
            await peer.read_until(CLOSE)
            await peer.close()

        async def cancel_soon(scope: trio.CancelScope) -> None:
            await turns(rng.randrange(4))
            scope.cancel()

        nursery.start_soon(supply)
        stream = ws.recv_streaming()
        parts: list[str] = []
        cuts = 0
        while cuts < 1000:
            with trio.CancelScope() as scope:
                if how == "by a deadline":
                    wait = rng.choice([-1, 0, 1e-5, 1e-4])
                    scope.deadline = trio.current_time() + wait
                else:
                    nursery.start_soon(cancel_soon, scope)
                if how == "streaming":
                    async for part in stream:
                        parts.append(str(part))
                    received.append(int("".join(parts)))
                    stream, parts = ws.recv_streaming(), []
                else:
                    received.append(int(await ws.recv()))
            cuts += scope.cancelled_caught
        stop = True
        if how == "streaming":
            with suppress(ConnectionClosedOK):
                async for part in stream:
                    parts.append(str(part))
                received.append(int("".join(parts)))
        async for message in ws:
            received.append(int(message))

    assert received == list(range(sent))


@pytest.mark.parametrize("side", ["client", "server"])
async def test_send_when_cancelled_sends_whole_frames_or_none(side: str) -> None:
    rng = random.Random(11)
    kind: Any = opened if side == "client" else served
    arrived: list[tuple[int, bytes]] = []
    bodies: list[bytes] = []
    completed = []
    async with kind(small=True, write_limit=1000) as (ws, peer):

        async def consume() -> None:
            while (received := await peer.read()).opcode != CLOSE:
                arrived.append((int(received.payload[:10]), received.payload[10:]))
                await turns(rng.randrange(8))
            mask = MASK if side == "server" else None
            await peer.write(frame(CLOSE, received.payload, mask=mask))
            await peer.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            cuts = 0
            while cuts < 200:
                body = rng.randbytes(rng.choice([0, 10, 3000, 20_000]))
                bodies.append(body)
                with trio.CancelScope() as scope:
                    wait = rng.choice([-1, 1e-5, 1e-4, 1e-3])
                    scope.deadline = trio.current_time() + wait
                    await ws.send(b"%010d" % (len(bodies) - 1) + body)
                    completed.append(len(bodies) - 1)
                cuts += scope.cancelled_caught
            nursery.start_soon(ws.aclose)

    numbers = [number for number, _ in arrived]
    assert numbers == sorted(set(numbers))
    assert set(completed) <= set(numbers)
    assert all(body == bodies[number] for number, body in arrived)


async def test_send_when_cancelled_before_sends_nothing() -> None:
    async with opened() as (ws, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.send("never")
        assert scope.cancelled_caught
        await ws.send("after")
        assert (await peer.read()).text == "after"


async def test_send_when_cut_between_fragments_fails_with_1011() -> None:
    async with opened() as (ws, peer):

        async def pieces() -> AsyncIterator[str]:
            yield "first"
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.send, pieces())
            received = await peer.read()
            assert (received.opcode, received.fin) == (TEXT, False)
            nursery.cancel_scope.cancel()

        assert (await peer.answer_close()).code == 1011
        with pytest.raises(ConnectionClosedError):
            await ws.send("another")


async def test_aclose_when_cancelled_before_has_sent_the_close_frame() -> None:
    async with opened(close_timeout=0.2) as (ws, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await ws.aclose(1001)
        assert (await peer.answer_close()).code == 1001
        await ws.wait_closed()
        assert ws.close_code == 1001


async def test_send_when_the_peer_reads_slowly_is_never_closed() -> None:
    times: Any = {"ping_interval": 0.05, "ping_timeout": 0.15, "close_timeout": 0.2}
    size = 600_000
    async with opened(small=True, **times) as (ws, peer):

        async def sip() -> None:
            left = size + 14
            while left:
                left -= len(await peer.take(min(left, 20_000)))
                await trio.sleep(0.02)
            await peer.echo()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(sip)
            await ws.send(bytes(size))
            event = await ws.ping()
            await event.wait()
            await ws.aclose()

        assert ws.close_code == 1000


async def test_keepalive_when_the_peer_answers_goes_on_and_measures() -> None:
    async with opened(ping_interval=0.02, ping_timeout=1) as (ws, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.echo)
            await until(lambda: ws.latency > 0)
            await ws.aclose()
        assert ws.close_code == 1000


async def test_aclose_when_the_queue_is_full_still_sees_the_peers_close() -> None:
    async with opened(max_queue=2, close_timeout=5) as (ws, peer):
        await peer.write(*[frame(TEXT, f"{number}") for number in range(100)])
        await until(lambda: ws._session.reading_paused)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.answer_close)
            with trio.fail_after(1):
                await ws.aclose()
        assert ws.close_code == 1000


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_messages_when_the_peer_vanishes_right_behind_are_received(
    end: str,
) -> None:
    async with opened() as (ws, peer):
        await peer.write(frame(TEXT, "a"), frame(TEXT, "b"))
        await until(lambda: len(ws._session.messages) == 2)
        await (peer.close() if end == "close" else peer.reset())
        await ws.wait_closed()

        assert [await ws.recv(), await ws.recv()] == ["a", "b"]
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert ws.close_code == 1006
        assert isinstance(caught.value.__cause__, (EOFError, OSError))


async def test_ping_flood_when_the_peer_reads_no_pongs_keeps_memory_bounded() -> None:
    async with opened(small=True, max_queue=None) as (ws, peer):
        pings = b"".join(frame(PING, b"%0125d" % number) for number in range(2000))
        for _ in range(40):
            await peer.write(pings)
        await peer.write(frame(TEXT, "behind them"))
        assert await ws.recv() == "behind them"

        assert ws._driver.backlog.size < 1_000_000

        # The latest ping is answered when the peer reads again.
        with trio.fail_after(5):
            while (await peer.read()).payload != b"%0125d" % 1999:
                pass


async def test_ping_when_the_connection_ends_raises_or_is_set_as_asked() -> None:
    async with opened() as (ws, peer):
        strict = await ws.ping()
        lenient = await ws.ping(ack_on_close=True)
        await peer.reset()

        with pytest.raises(ConnectionClosedError):
            await strict.wait()
        assert await lenient.wait() is None
        assert (strict.is_set(), lenient.is_set()) == (False, True)


async def test_ping_when_answered_tells_the_round_trip() -> None:
    async with opened() as (ws, peer), trio.open_nursery() as nursery:
        nursery.start_soon(peer.echo)
        first = await ws.ping("one")
        second = await ws.ping(b"two")
        rtt = await second.wait()
        assert rtt is not None
        assert 0 < rtt < 5
        assert first.is_set()
        assert second.rtt == rtt
        with pytest.raises(TypeError):
            await ws.ping(3)  # type: ignore[arg-type]
        await ws.aclose()
