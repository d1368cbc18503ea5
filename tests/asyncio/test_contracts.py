"""The failure contracts: what holds when a peer, a task or a network misbehaves."""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    TooManyFragments,
)

from .kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    TEXT,
    Peer,
    Stopwatch,
    close_frame,
    frame,
    opened,
    turns,
    until,
)

pytestmark = pytest.mark.variants("all")

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 0.6
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def deflated(data: bytes) -> bytes:
    """Compress a message as RFC 7692, 7.2.1, wants it."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


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
        return (
            frame(TEXT, text, fin=False) + frame(PING, b"in between") + frame(CONT)
        )
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
        await peer_heard(ws, peer)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        peer.write(frame(CONT, "and half"))

        assert await ws.recv() == "half and half"


async def peer_heard(ws: ClientConnection, peer: Peer) -> None:
    """Wait until the library has read everything that the peer has sent."""
    peer.write(frame(PING, b"heard"))
    received = await peer.read_until(PONG)
    assert received.payload == b"heard"


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
    options = {"compression": "deflate" if deflate else None, "write_limit": 1000}
    async with opened(*headers, small=True, **options) as (ws, peer):
        inflate = zlib.decompressobj(wbits=-15)
        arrived: list[tuple[int, bytes]] = []

        async def consume() -> None:
            while (received := await peer.read()).opcode != CLOSE:
                payload = received.payload
                if deflate:
                    payload = inflate.decompress(payload + b"\0\0\xff\xff")
                arrived.append((int(payload[:10]), payload[10:]))
                await turns(rng.randrange(8))
            peer.write(close_frame())
            peer.close()

        consumer = asyncio.ensure_future(consume())
        cuts = 0
        sent = 0
        completed = []
        while cuts < 300:
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


async def test_close_when_cancelled_still_ends_within_close_timeout() -> None:
    async with opened(close_timeout=0.2) as (ws, peer):
        watch = Stopwatch()
        task = asyncio.ensure_future(ws.close())
        assert (await peer.read()).code == 1000
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not ws.closed

        await ws.wait_closed()

        assert 0.15 < watch.elapsed < 0.2 + SLACK
        assert ws.close_code == 1006
        await peer.gone()


async def test_close_when_the_peer_is_silent_takes_one_close_timeout() -> None:
    async with opened(close_timeout=0.3) as (ws, peer):
        reader = asyncio.ensure_future(ws.recv())
        waiter = asyncio.ensure_future(ws.wait_closed())
        watch = Stopwatch()

        await ws.close()

        assert 0.25 < watch.elapsed < 0.55
        with pytest.raises(ConnectionClosedError):
            await reader
        await waiter
        assert watch.elapsed < 0.6
        assert ws.closed
        assert [received.opcode for received in await peer.rest()] == [CLOSE]


async def test_close_when_tcp_stays_open_after_the_exchange_takes_one_timeout() -> None:
    async with opened(close_timeout=0.3) as (ws, peer):
        watch = Stopwatch()
        task = asyncio.ensure_future(ws.close())
        received = await peer.read()
        peer.write(frame(CLOSE, received.payload))

        await task

        assert 0.25 < watch.elapsed < 0.55
        assert ws.close_code == 1000
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_recv_when_tcp_stays_open_after_the_peers_close_is_released() -> None:
    async with opened(close_timeout=0.2) as (ws, peer):
        watch = Stopwatch()
        peer.write(close_frame(1001, "bye"))

        with pytest.raises(ConnectionClosedOK):
            await ws.recv()

        assert 0.15 < watch.elapsed < 0.2 + SLACK
        assert (ws.close_code, ws.close_reason) == (1001, "bye")
        assert (await peer.read()).code == 1001


async def test_recv_when_tcp_stays_open_after_a_failure_is_released() -> None:
    async with opened(close_timeout=0.2) as (ws, peer):
        watch = Stopwatch()
        peer.write(frame(3, b"no such opcode"))

        with pytest.raises(ConnectionClosedError):
            await ws.recv()

        assert 0.15 < watch.elapsed < 0.2 + SLACK
        assert (await peer.read()).code == 1002


async def test_close_when_the_peer_does_not_read_takes_one_close_timeout() -> None:
    async with opened(close_timeout=0.3, small=True) as (ws, peer):
        sender = asyncio.ensure_future(ws.send(bytes(16 * 2**20)))
        await turns(5)
        assert not sender.done()
        watch = Stopwatch()

        await ws.close()

        assert 0.25 < watch.elapsed < 0.55
        with pytest.raises(ConnectionClosedError):
            await sender
        assert watch.elapsed < 0.6


async def test_send_when_the_peer_stops_reading_is_released_by_keepalive() -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.2}
    async with opened(small=True, **options) as (ws, peer):
        watch = Stopwatch()

        with pytest.raises(ConnectionClosedError) as caught:
            await ws.send(bytes(16 * 2**20))
        await ws.close()

        assert watch.elapsed < 0.5 + SLACK
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert ws.close_code == 1006
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011


async def test_send_in_fragments_when_the_peer_stops_reading_is_released() -> None:
    options = {"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.2}
    async with opened(small=True, **options) as (ws, peer):
        watch = Stopwatch()

        with pytest.raises(ConnectionClosedError):
            await ws.send(bytes(2**20) for _ in range(64))

        assert watch.elapsed < 0.5 + SLACK


async def test_keepalive_when_the_peer_is_silent_fails_with_1011() -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.1, "close_timeout": 0.1}
    async with opened(**options) as (ws, peer):
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()

        frames = await peer.rest()
        assert {received.opcode for received in frames[:-1]} == {PING}
        assert frames[-1].code == 1011
        assert frames[-1].reason == "keepalive ping timeout"
        assert str(caught.value) == (
            "sent 1011 (internal error) keepalive ping timeout; "
            "no close frame received"
        )


async def test_keepalive_when_data_arrives_but_no_pong_keeps_the_connection() -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.1, "close_timeout": 0.1}
    async with opened(**options) as (ws, peer):
        for number in range(20):
            peer.write(frame(TEXT, f"{number}"))
            assert await ws.recv() == f"{number}"
            await asyncio.sleep(0.02)

        assert ws.open


async def test_send_when_the_peer_reads_slowly_is_never_cut() -> None:
    size = 1_500_000
    options = {"ping_interval": 0.05, "ping_timeout": 0.1, "close_timeout": 0.1}
    async with opened(small=True, **options) as (ws, peer):
        sender = asyncio.ensure_future(ws.send(bytes(size)))
        watch = Stopwatch()
        left = size + 14
        while left > 0:
            left -= len(await peer.reader.read(min(left, 60_000)))
            # As slow as this, and no pong: only the output moves.
            await asyncio.sleep(0.01)

        assert watch.elapsed > 0.3
        await sender
        assert ws.open


# The application does not read


async def test_pings_when_the_application_does_not_read_are_answered() -> None:
    async with opened(max_queue=32) as (ws, peer):
        for number in range(30):
            peer.write(frame(TEXT, "unread"), frame(PING, b"%d" % number))
            assert (await peer.read()).payload == b"%d" % number


async def test_unread_messages_are_bounded_in_number_and_none_is_lost() -> None:
    async with opened(max_queue=4) as (ws, peer):
        written = 0
        # What the peer can get rid of is what both systems and we keep.
        try:
            while written < 2_000_000:
                peer.write(b"".join(frame(TEXT, f"{n:06}") for n in range(
                    written, written + 1000)))
                written += 1000
                async with asyncio.timeout(0.1):
                    await peer.drain()
        except TimeoutError:
            pass
        assert written < 2_000_000

        task = asyncio.ensure_future(peer.drain())
        for number in range(written):
            assert await ws.recv() == f"{number:06}"
        await task


async def test_unread_messages_are_bounded_in_size() -> None:
    message = os.urandom(500_000)
    async with opened(max_queue=1000, read_limit=2**16) as (ws, peer):
        written = 0
        try:
            while written < 400:
                peer.write(frame(BINARY, message))
                written += 1
                async with asyncio.timeout(0.2):
                    await peer.drain()
        except TimeoutError:
            pass
        # 16 times read_limit, and what the two systems keep: far below 200 MB.
        assert written < 80

        task = asyncio.ensure_future(peer.drain())
        for _ in range(written):
            assert await ws.recv() == message
        await task


async def test_keepalive_when_the_application_does_not_read_never_closes() -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.1}
    async with opened(max_queue=4, **options) as (ws, peer):
        echo = asyncio.ensure_future(peer.echo())
        peer.write(*[frame(TEXT, f"{number}") for number in range(100)])
        # Several times as long as a dead peer would live.
        await asyncio.sleep(0.5)

        assert ws.open
        for number in range(100):
            assert await ws.recv() == f"{number}"
        await ws.close()
        await echo
        assert ws.close_code == 1000


async def test_close_when_the_queue_is_full_still_sees_the_peers_close() -> None:
    async with opened(max_queue=2, close_timeout=5) as (ws, peer):
        peer.write(*[frame(TEXT, f"{number}") for number in range(100)])
        await until(lambda: bool(ws._session.reading_paused))
        answer = asyncio.ensure_future(peer.answer_close())
        watch = Stopwatch()

        await ws.close()

        assert watch.elapsed < 1
        assert ws.close_code == 1000
        await answer


# Messages before a fault


FAULTS = {
    "opcode": (frame(3), 1002),
    "masked": (frame(TEXT, "x", mask=b"abcd"), 1002),
    "reserved bit": (frame(TEXT, "x", rsv=RSV1), 1002),
    "fragmented ping": (frame(PING, fin=False), 1002),
    "stray continuation": (frame(CONT, "x"), 1002),
    "utf-8": (frame(TEXT, b"\xff"), 1007),
    "close code": (close_frame(1005), 1002),
    "close payload": (frame(CLOSE, b"\x03"), 1002),
    "close reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "too big": (frame(TEXT, bytes(2000)), 1009),
    "the peer's close": (close_frame(1001), 1001),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_behind_messages_in_one_read_comes_after_them_and_the_replies(
    fault: str,
) -> None:
    data, code = FAULTS[fault]
    async with opened(max_size=1000, close_timeout=0.5) as (ws, peer):
        received = []

        async def reply() -> None:
            with pytest.raises(ConnectionClosed):
                while True:
                    received.append(await ws.recv())
                    await ws.send(f"got {received[-1]!r}")

        task = asyncio.ensure_future(reply())
        await turns(3)
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"), data, frame(TEXT, "late"))

        assert (await peer.read()).text == "got 'a'"
        assert (await peer.read()).text == "got 'b'"
        assert (await peer.answer_close()).code == code
        await task
        assert received == ["a", "b"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_messages_before_a_fault_are_received_after_the_end(fault: str) -> None:
    data, _ = FAULTS[fault]
    async with opened(max_size=1000, close_timeout=0.5) as (ws, peer):
        peer.write(frame(TEXT, "a"), frame(BINARY, b"b"), data)
        await peer.answer_close()
        await ws.wait_closed()

        assert await ws.recv() == "a"
        assert await ws.recv() == b"b"
        with pytest.raises(ConnectionClosed):
            await ws.recv()


async def test_messages_when_the_peer_vanishes_right_behind_are_received() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"))
        peer.close()
        await ws.wait_closed()

        assert [await ws.recv(), await ws.recv()] == ["a", "b"]
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert ws.close_code == 1006
        assert caught.value.__cause__ is not None


# Limits


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x82\x7f" + (2**63 - 1).to_bytes(8, "big"), 1009),
        (b"\x82\x7f" + (2**62).to_bytes(8, "big"), 1009),
        (b"\x82\x7f" + (2**32 + 1).to_bytes(8, "big"), 1009),
        (b"\x82\x7f" + (2**32).to_bytes(8, "big"), 1009),
        (b"\x82\x7f" + (2**31).to_bytes(8, "big"), 1009),
        (b"\x82\x7f" + (2**63).to_bytes(8, "big"), 1002),
        (b"\x82\x7f" + (2**64 - 1).to_bytes(8, "big"), 1002),
        (b"\x82\x7f" + (65535).to_bytes(8, "big"), 1002),
        (b"\x82\x7e" + (125).to_bytes(2, "big"), 1002),
        (b"\x89\x7e" + (126).to_bytes(2, "big"), 1002),
    ],
)
async def test_length_that_is_huge_or_not_minimal_is_refused_at_once(
    head: bytes, code: int
) -> None:
    async with opened() as (ws, peer):
        peer.write(head)

        assert (await peer.answer_close()).code == code
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        kind = PayloadTooBig if code == 1009 else ProtocolError
        assert isinstance(caught.value.__cause__, kind)


async def test_message_of_exactly_max_size_passes_and_one_more_byte_fails() -> None:
    async with opened(max_size=1000) as (ws, peer):
        peer.write(frame(BINARY, bytes(1000)))
        peer.write(frame(BINARY, bytes(400), fin=False), frame(CONT, bytes(600)))
        peer.write(frame(BINARY, bytes(1001)))

        assert await ws.recv() == bytes(1000)
        assert await ws.recv() == bytes(1000)
        assert (await peer.answer_close()).code == 1009


async def test_fragment_when_the_budget_is_used_up_is_refused() -> None:
    async with opened(max_size=1000) as (ws, peer):
        peer.write(frame(BINARY, bytes(1000), fin=False), frame(CONT, fin=False))
        await peer_heard(ws, peer)
        peer.write(frame(CONT, b"x", fin=False))

        assert (await peer.answer_close()).code == 1009


async def test_fragment_when_inflation_has_used_up_the_budget_is_refused() -> None:
    async with opened(DEFLATE, compression="deflate", max_size=1000) as (ws, peer):
        data = deflated(bytes(1001))
        whole = zlib.decompressobj(wbits=-15)
        at = next(n for n in range(len(data)) if len(whole.decompress(data[:n], 1)))
        peer.write(frame(BINARY, data[:at], fin=False, rsv=RSV1), frame(CONT, data[at:]))

        assert (await peer.answer_close()).code == 1009


async def test_max_size_zero_refuses_every_byte_but_no_empty_message() -> None:
    async with opened(max_size=0) as (ws, peer):
        peer.write(frame(TEXT), frame(PING, b"not a message"))
        assert await ws.recv() == ""
        assert (await peer.read()).opcode == PONG
        peer.write(frame(TEXT, "x"))

        assert (await peer.answer_close()).code == 1009


async def test_inflation_of_exactly_max_size_passes_and_a_bomb_fails() -> None:
    async with opened(DEFLATE, compression="deflate", max_size=10_000) as (ws, peer):
        peer.write(frame(BINARY, deflated(bytes(10_000)), rsv=RSV1))
        assert await ws.recv() == bytes(10_000)

        peer.write(frame(BINARY, deflated(bytes(50_000_000)), rsv=RSV1))

        assert (await peer.answer_close()).code == 1009
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, PayloadTooBig)


async def test_fragments_without_end_are_refused() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "x", fin=False), frame(CONT, fin=False) * 10_000)

        assert (await peer.answer_close()).code == 1009
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, TooManyFragments)


async def test_ping_flood_when_the_peer_reads_no_pongs_keeps_memory_bounded() -> None:
    async with opened(small=True, max_queue=None) as (ws, peer):
        pings = b"".join(frame(PING, b"%0125d" % number) for number in range(2000))
        for _ in range(40):
            peer.write(pings)
            await peer.drain()
        peer.write(frame(TEXT, "behind them"))
        assert await ws.recv() == "behind them"

        assert ws.transport.get_write_buffer_size() < 1_000_000

        # The latest ping is answered when the peer reads again.
        watch = time.monotonic()
        async with asyncio.timeout(5):
            while (await peer.read()).payload != b"%0125d" % 1999:
                pass
        assert time.monotonic() - watch < 5


async def test_ping_when_followed_by_thousands_in_one_read_answers_the_last() -> None:
    async with opened() as (ws, peer):
        peer.write(*[frame(PING, b"%d" % number) for number in range(5000)])

        while (await peer.read()).payload != b"4999":
            pass
