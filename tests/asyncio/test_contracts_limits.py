"""The failure contracts: what comes before a fault, and what is refused."""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosed,
    ConnectionClosedError,
    PayloadTooBig,
    ProtocolError,
    TooManyFragments,
)

from ..kit.asyncio_peer import Stopwatch, turns, until
from ..kit.bytes import (
    BINARY,
    CLOSE,
    CONT,
    DEFLATE,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_frame,
    deflated,
    frame,
)
from .kit import opened

pytestmark = pytest.mark.variants("all")

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 2.0


# The application does not read


async def test_pings_when_the_application_does_not_read_are_answered() -> None:
    async with opened(max_queue=32) as (_ws, peer):
        for number in range(30):
            peer.write(frame(TEXT, "unread"), frame(PING, b"%d" % number))
            assert (await peer.read()).payload == b"%d" % number


async def test_unread_messages_are_bounded_in_number_and_none_is_lost() -> None:
    async with opened(max_queue=4) as (ws, peer):
        written = 0
        # What the peer can get rid of is what both systems and we keep.
        try:
            while written < 200_000:
                numbers = range(written, written + 1000)
                peer.write(*[frame(TEXT, f"{number:0200}") for number in numbers])
                written += 1000
                async with asyncio.timeout(0.1):
                    await peer.drain()
        except TimeoutError:
            pass
        assert written < 200_000

        task = asyncio.ensure_future(peer.drain())
        for number in range(written):
            assert await ws.recv() == f"{number:0200}"
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
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.05,
        "close_timeout": 0.1,
    }
    async with opened(max_queue=4, **options) as (ws, peer):
        echo = asyncio.ensure_future(peer.echo())
        peer.write(*[frame(TEXT, f"{number}") for number in range(100)])
        # Several times as long as a dead peer would live.
        await asyncio.sleep(0.3)

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
            try:
                while True:
                    received.append(await ws.recv())
                    await ws.send(f"got {received[-1]!r}")
            except ConnectionClosed:
                received.append("the end")

        task = asyncio.ensure_future(reply())
        await turns(3)
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"), data, frame(TEXT, "late"))

        assert (await peer.read()).text == "got 'a'"
        assert (await peer.read()).text == "got 'b'"
        assert (await peer.answer_close()).code == code
        await task
        assert received == ["a", "b", "the end"]


@pytest.mark.variants("plain")
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
    async with opened(max_size=1000) as (_ws, peer):
        peer.write(frame(BINARY, bytes(1000), fin=False), frame(CONT, fin=False))
        await peer.heard()
        peer.write(frame(CONT, b"x", fin=False))

        assert (await peer.answer_close()).code == 1009


async def test_fragment_when_inflation_has_used_up_the_budget_is_refused() -> None:
    async with opened(DEFLATE, compression="deflate", max_size=1000) as (_ws, peer):
        data = deflated(bytes(1001))
        whole = zlib.decompressobj(wbits=-15)
        at = next(n for n in range(len(data)) if len(whole.decompress(data[:n], 1)))
        peer.write(
            frame(BINARY, data[:at], fin=False, rsv=RSV1), frame(CONT, data[at:])
        )

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
        receiving = asyncio.ensure_future(ws.recv())
        peer.write(frame(TEXT, "x", fin=False), frame(CONT, fin=False) * 10_000)

        assert (await peer.answer_close()).code == 1009
        with pytest.raises(ConnectionClosedError) as caught:
            await receiving
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
    async with opened() as (_ws, peer):
        peer.write(*[frame(PING, b"%d" % number) for number in range(5000)])

        while (await peer.read()).payload != b"4999":
            pass
