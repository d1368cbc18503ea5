"""Large messages in a row: however they come in, what was sent is what arrives.

Their payloads are read straight to their place, and a transport of ours waits for a
good part of one.  What comes before, between and behind must not suffer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosedError, ConnectionClosedOK, PayloadTooBig

from ..kit.asyncio_peer import turns, until
from ..kit.bytes import BINARY, CONT, PING, PONG, TEXT, close_frame, frame
from .kit import opened
from .server_kit import Client, serving

pytestmark = pytest.mark.variants("plain")

SIZES = [70_000, 300_000]


def content(size: int, start: int = 0) -> bytes:
    return (bytes(range(251)) * (size // 251 + 2))[start : start + size]


# What may come after messages of `size`: frames, and what recv returns.
Sequel = Callable[[int], tuple[list[tuple[int, bytes, bool]], list[Any]]]


def whole(opcode: int, *sizes: int) -> tuple[list[tuple[int, bytes, bool]], list[Any]]:
    sent = [content(size, i) for i, size in enumerate(sizes)]
    if opcode == TEXT:
        sent = [bytes(b & 0x7F for b in data) for data in sent]
        return [(TEXT, data, True) for data in sent], [data.decode() for data in sent]
    return [(opcode, data, True) for data in sent], list(sent)


def in_parts(size: int) -> tuple[list[tuple[int, bytes, bool]], list[Any]]:
    data = content(size, 7)
    half = size // 2
    return [
        (BINARY, data[:half], False),
        (PING, b"between", True),
        (CONT, data[half:], True),
    ], [data]


def after_ping(size: int) -> tuple[list[tuple[int, bytes, bool]], list[Any]]:
    frames, expected = whole(BINARY, size, size)
    return [(PING, b"first", True), *frames], expected


SEQUELS: dict[str, Sequel] = {
    "same": lambda size: whole(BINARY, size, size, size),
    "smaller": lambda size: whole(BINARY, size - 1, size),
    "larger": lambda size: whole(BINARY, size + 1, size),
    "tiny": lambda size: whole(BINARY, 0, 1, 5000, size),
    "text": lambda size: whole(TEXT, size, 10, size),
    "parts": in_parts,
    "ping": after_ping,
}


def cuts(size: int) -> list[list[int]]:
    """Where to interrupt what is sent."""
    return [
        [],
        [1],
        [9, 10],
        [13, 14, 15],
        [2000, size // 2],
        [size + 9, size + 10, size + 11],
        [size + 14, size + 15, size + 1000],
    ]


@pytest.mark.parametrize("sequel", SEQUELS)
@pytest.mark.parametrize("size", SIZES)
async def test_what_comes_after_large_messages_when_interrupted_anywhere_arrives(
    sequel: str, size: int
) -> None:
    first = frame(BINARY, content(size))
    frames, expected = SEQUELS[sequel](size)
    data = b"".join(frame(op, part, fin=fin) for op, part, fin in frames)
    async with opened() as (ws, peer):
        for places in cuts(size):
            for _ in range(2):
                peer.write(first)
                assert await ws.recv() == content(size)
            start = 0
            for place in [*places, len(data)]:
                peer.write(data[start:place])
                start = place
                await turns(5)
            assert [await ws.recv() for _ in expected] == expected


@pytest.mark.parametrize("sequel", SEQUELS)
async def test_what_a_client_sends_after_large_messages_arrives_unmasked(
    sequel: str,
) -> None:
    size = SIZES[0]
    frames, expected = SEQUELS[sequel](size)
    async with serving(max_size=2**21) as place:
        client: Client = await place.open()
        for places in cuts(size):
            for _ in range(2):
                client.send(BINARY, content(size))
                assert await answer(client) == content(size)
            data = b"".join(
                frame(op, part, fin=fin, mask=os.urandom(4)) for op, part, fin in frames
            )
            start = 0
            for end in [*places, len(data)]:
                client.write(data[start:end])
                start = end
                await turns(5)
            for message in expected:
                wanted = message.encode() if isinstance(message, str) else message
                assert await answer(client) == wanted


async def answer(client: Client) -> bytes:
    while (received := await client.read()).opcode == PONG:
        pass
    return received.payload


@pytest.mark.parametrize("size", SIZES)
async def test_the_end_instead_of_a_large_message_when_awaited_is_seen(
    size: int,
) -> None:
    async with opened() as (ws, peer):
        for _ in range(3):
            peer.write(frame(BINARY, content(size)))
            await ws.recv()
        peer.write(close_frame(1000))
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@pytest.mark.parametrize("part", [5, 10, 100, 60_000])
async def test_tcp_that_ends_within_a_large_message_when_read_is_an_error(
    part: int,
) -> None:
    size = SIZES[0]
    async with opened() as (ws, peer):
        for _ in range(2):
            peer.write(frame(BINARY, content(size)))
            await ws.recv()
        peer.write(frame(BINARY, content(size))[:part])
        await turns(5)
        peer.close()
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


async def test_a_limit_when_lowered_holds_for_the_next_message() -> None:
    size = SIZES[0]
    async with opened() as (ws, peer):
        for _ in range(2):
            peer.write(frame(BINARY, content(size)))
            await ws.recv()
        ws._session.reader.max_size = size - 1
        peer.write(frame(BINARY, content(size)))
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
        assert raised.value.sent is not None
        assert raised.value.sent.code == 1009
        assert isinstance(raised.value.__cause__, PayloadTooBig)


async def test_a_large_message_when_it_stalls_counts_what_has_come() -> None:
    # More is waited for than comes; after a while, what is there is read.
    size = 2_000_000
    data = frame(BINARY, content(size))
    async with opened(max_size=size) as (ws, peer):
        come = 0
        for part in (600_000, 100_000, 10, 300_000, 20_000):
            peer.write(data[come : come + part])
            come += part
            await until(lambda: ws._session.reader.total >= come)  # noqa: B023
        peer.write(data[come:])
        assert await ws.recv() == content(size)


@pytest.mark.parametrize("size", [100_000, 1_000_000, 9_000_000])
async def test_large_messages_of_many_sizes_when_sent_at_once_arrive(size: int) -> None:
    sizes = [size, 3, size, size, size, size // 3, size, size + 5, 0, size]
    async with opened(max_size=None) as (ws, peer):
        peer.write(*(frame(BINARY, content(n, i)) for i, n in enumerate(sizes)))
        for i, n in enumerate(sizes):
            assert await ws.recv() == content(n, i)
