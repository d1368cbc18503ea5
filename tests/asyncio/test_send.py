"""Sending messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosedError,
    ConnectionClosedOK,
)

from ..kit.asyncio_peer import turns
from ..kit.bytes import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Received,
    close_frame,
    frame,
)
from ..kit.names import label
from .kit import opened

Data = tuple[int, bool, bytes]


def seen(received: Received) -> Data:
    assert received.masked
    return received.opcode, received.fin, received.payload


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("é", (TEXT, True, "é".encode())),
        ("", (TEXT, True, b"")),
        (b"\xff", (BINARY, True, b"\xff")),
        (b"", (BINARY, True, b"")),
        (bytearray(b"ab"), (BINARY, True, b"ab")),
        (memoryview(b"abcd"), (BINARY, True, b"abcd")),
        (memoryview(b"abcd")[::2], (BINARY, True, b"ac")),
        (memoryview(b"abcdefgh").cast("I"), (BINARY, True, b"abcdefgh")),
        ("x" * 126, (TEXT, True, b"x" * 126)),
        (bytes(65536), (BINARY, True, bytes(65536))),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.variants("plain")
async def test_send_sends_one_frame(message: Any, expected: Data) -> None:
    async with opened() as (ws, peer):
        await ws.send(message)

        assert seen(await peer.read()) == expected


@pytest.mark.parametrize(
    ("message", "text", "opcode"),
    [
        ("a", True, TEXT),
        ("a", False, BINARY),
        (b"a", True, TEXT),
        (b"a", False, BINARY),
        (b"a", None, BINARY),
    ],
)
@pytest.mark.variants("plain")
async def test_send_with_text_chooses_the_opcode(
    message: Any, text: bool | None, opcode: int
) -> None:
    async with opened() as (ws, peer):
        await ws.send(message, text=text)
        assert seen(await peer.read()) == (opcode, True, b"a")

        await ws.send([message, message], text=text)
        frames = [seen(await peer.read()) for _ in range(3)]
        assert frames == [(opcode, False, b"a"), (CONT, False, b"a"), (CONT, True, b"")]


async def pieces(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize("source", [list, iter, pieces], ids=lambda f: f.__name__)
async def test_send_of_an_iterable_sends_a_fragment_for_each_item(
    source: Callable[..., Any],
) -> None:
    def make(*items: Any) -> Any:
        return pieces(*items) if source is pieces else source(items)

    async with opened() as (ws, peer):
        await ws.send(make("a", "", "b"))
        await ws.send(make(b"a", bytearray(b"b"), memoryview(b"c")))
        await ws.send(make())
        await ws.send("next")

        assert [seen(await peer.read()) for _ in range(9)] == [
            (TEXT, False, b"a"),
            (CONT, False, b""),
            (CONT, False, b"b"),
            (CONT, True, b""),
            (BINARY, False, b"a"),
            (CONT, False, b"b"),
            (CONT, False, b"c"),
            (CONT, True, b""),
            (TEXT, True, b"next"),
        ]


@pytest.mark.parametrize(
    "message",
    [{"a": 1}, {}, 3, None, 1.5, object(), [3], [None], [["nested"]], [{}]],
    ids=label,
)
@pytest.mark.variants("plain")
async def test_send_of_another_type_is_a_type_error_and_sends_nothing(
    message: Any,
) -> None:
    async with opened() as (ws, peer):
        with pytest.raises(TypeError):
            await ws.send(message)
        with pytest.raises(TypeError):
            await ws.send(pieces(*message) if isinstance(message, list) else message)

        assert ws.open
        await ws.send({"key": 1}.keys())
        assert seen(await peer.read()) == (TEXT, False, b"key")


@pytest.mark.variants("plain")
async def test_send_of_a_lone_surrogate_is_an_error_and_sends_nothing() -> None:
    async with opened() as (ws, peer):
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        with pytest.raises(UnicodeEncodeError):
            await ws.send(["\ud800"])

        await ws.send("next")
        assert seen(await peer.read()) == (TEXT, True, b"next")


@pytest.mark.parametrize(
    "items", [("a", b"b"), (b"a", "b"), ("a", 3), ("a", None)], ids=repr
)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.variants("plain")
async def test_send_of_mixed_items_is_a_type_error_and_fails_with_1011(
    items: tuple[Any, ...], asynchronous: bool
) -> None:
    async with opened(close_timeout=0.5) as (ws, peer):
        with pytest.raises(TypeError):
            await ws.send(pieces(*items) if asynchronous else items)

        assert (await peer.answer_close()).code == 1011
        await ws.wait_closed()


@pytest.mark.variants("plain")
async def test_send_of_a_source_that_raises_fails_only_inside_a_message() -> None:
    def broken(*items: str) -> Iterator[str]:
        yield from items
        raise LookupError("no more")

    async def abroken(*items: str) -> AsyncIterator[str]:
        for item in items:
            yield item
        raise LookupError("no more")

    for source in (broken, abroken):
        async with opened(close_timeout=0.5) as (ws, peer):
            with pytest.raises(LookupError):
                await ws.send(source())
            assert ws.open

            with pytest.raises(LookupError):
                await ws.send(source("a"))
            assert (await peer.answer_close()).code == 1011


async def test_send_while_fragments_are_sent_waits_but_control_frames_do_not() -> None:
    async with opened() as (ws, peer):
        more = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            yield "a"
            await more.wait()
            yield "b"

        fragmented = asyncio.ensure_future(ws.send(slow()))
        assert seen(await peer.read()) == (TEXT, False, b"a")
        others = [
            asyncio.ensure_future(ws.send("c")),
            asyncio.ensure_future(ws.send(["d", "e"])),
        ]
        await turns(3)
        await ws.ping(b"ping")
        await ws.pong(b"pong")
        assert not any(other.done() for other in others)
        more.set()
        await asyncio.gather(fragmented, *others)

        assert [seen(await peer.read()) for _ in range(8)] == [
            (PING, True, b"ping"),
            (PONG, True, b"pong"),
            (CONT, False, b"b"),
            (CONT, True, b""),
            (TEXT, True, b"c"),
            (TEXT, False, b"d"),
            (CONT, False, b"e"),
            (CONT, True, b""),
        ]


async def test_send_by_many_tasks_sends_whole_messages() -> None:
    async with opened(small=True, write_limit=1000) as (ws, peer):

        async def talk(name: str) -> None:
            for number in range(20):
                await ws.send(f"{name} {number} " + "x" * 3000)

        task = asyncio.ensure_future(
            asyncio.wait([asyncio.ensure_future(talk(name)) for name in "abcde"])
        )
        arrived: dict[str, list[int]] = {}
        for _ in range(100):
            name, number, rest = (await peer.read()).text.split(" ")
            assert rest == "x" * 3000
            arrived.setdefault(name, []).append(int(number))
        await task

        assert arrived == {name: list(range(20)) for name in "abcde"}


async def test_send_above_write_limit_waits_until_the_peer_reads() -> None:
    async with opened(small=True, write_limit=2**16) as (ws, peer):
        # Fill both systems first.
        fillers: list[asyncio.Future[None]] = []
        while len(fillers) < 500:
            filler = asyncio.ensure_future(ws.send(bytes(50_000)))
            fillers.append(filler)
            await turns(2)
            if not filler.done():
                break
        last = asyncio.ensure_future(ws.send("last"))
        # The loop and the transport have had their turn.
        peer.write(frame(TEXT, "meanwhile"))
        assert await ws.recv() == "meanwhile"
        assert not last.done()
        # write_limit, and what one message adds.
        assert ws.transport.get_write_buffer_size() < 2**16 + 60_000

        for _ in fillers:
            assert len((await peer.read()).payload) == 50_000
        assert (await peer.read()).text == "last"
        await asyncio.gather(*fillers, last)


async def test_send_in_a_burst_keeps_order_and_loses_nothing() -> None:
    async with opened() as (ws, peer):
        for number in range(1000):
            await ws.send(f"{number}")
            if number % 100 == 50:
                await ws.ping(f"ping {number}")

        got = [await peer.read() for _ in range(1010)]
        assert [r.text for r in got if r.opcode == TEXT] == [
            f"{n}" for n in range(1000)
        ]
        at = [n for n, r in enumerate(got) if r.opcode == PING]
        assert at == [51 + 101 * n for n in range(10)]


async def test_send_while_closing_raises_once_the_connection_is_closed() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        sending = asyncio.ensure_future(ws.send("late"))
        fragments = asyncio.ensure_future(ws.send(["late"]))
        pinging = asyncio.ensure_future(ws.ping())
        await peer.heard()
        assert not sending.done()
        peer.write(close_frame())
        peer.close()
        await closing

        for task in (sending, fragments, pinging):
            with pytest.raises(ConnectionClosedOK):
                await task


async def test_send_after_the_end_raises_at_once() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(4000))
        peer.close()
        await ws.wait_closed()

        for operation in (
            ws.send("x"),
            ws.send(b"x"),
            ws.send(["x"]),
            ws.ping(),
            ws.pong(),
        ):
            with pytest.raises(ConnectionClosedError):
                await operation


async def test_send_of_fragments_overtaken_by_close_raises_and_says_1011() -> None:
    async with opened() as (ws, peer):
        more = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            yield "a"
            await more.wait()
            yield "b"

        sending = asyncio.ensure_future(ws.send(slow()))
        await peer.read()
        closing = asyncio.ensure_future(ws.close())
        received = await peer.read()
        assert received.code == 1011
        more.set()
        peer.write(frame(CLOSE, received.payload))
        peer.close()
        await closing

        with pytest.raises(ConnectionClosedError):
            await sending


async def test_send_and_recv_with_compression_exchange_messages() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: permessage-deflate", compression="deflate"
    ) as (ws, peer):
        task = asyncio.ensure_future(peer.echo())
        assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
        for message in ("", "text" * 1000, b"", bytes(100_000)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["a" * 100, "b" * 100])
        assert await ws.recv() == "a" * 100 + "b" * 100
        await ws.close()
        await task


async def test_send_with_compression_sets_rsv1_on_the_first_frame_only() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: permessage-deflate", compression="deflate"
    ) as (ws, peer):
        await ws.send(["a", "b"])
        await ws.ping()
        frames = [await peer.read() for _ in range(4)]

        assert [received.rsv1 for received in frames] == [True, False, False, False]
