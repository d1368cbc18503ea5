"""Sending: frames go out whole, in order, or not at all."""

from __future__ import annotations

import array
import asyncio
import mmap
import random
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fullduplex import ConcurrencyError, ConnectionClosed, ConnectionClosedError

from ..kit.bytes import BINARY, CLOSE, CONT, DEFLATE, TEXT
from ..kit.clock import PATIENCE, Stopwatch
from .faces import Kit
from .registry import SLACK, behaviour

RELEASE: dict[str, Any] = {
    "ping_interval": 0.1,
    "ping_timeout": 0.2,
    "close_timeout": 0.2,
}


@behaviour()
async def messages_go_out_by_type_and_masked_by_clients_only(
    kit: Kit, side: str
) -> None:
    messages = ["é", b"x", bytearray(b"y"), memoryview(b"abcdef")[::2], "", b""]
    async with kit.ends(side) as (ws, peer):
        for message in messages:
            await ws.send(message)
        received = [await kit.do(peer.read) for _ in messages]
        assert [item.payload for item in received] == [
            "é".encode(), b"x", b"y", b"ace", b"", b"",
        ]  # fmt: skip
        assert [item.opcode for item in received] == [
            TEXT, BINARY, BINARY, BINARY, TEXT, BINARY,
        ]  # fmt: skip
        assert {item.masked for item in received} == {side == "client"}


@behaviour()
async def text_chooses_the_kind(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        await ws.send(b"text", text=True)
        await ws.send("binary", text=False)
        received = [await kit.do(peer.read) for _ in range(2)]
        assert [(item.opcode, item.payload) for item in received] == [
            (TEXT, b"text"),
            (BINARY, b"binary"),
        ]


@behaviour()
async def iterable_goes_out_as_the_fragments_of_one_message(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        await ws.send(iter(["a", "b"]))
        received = [await kit.do(peer.read) for _ in range(3)]
        assert [(item.opcode, item.text, item.fin) for item in received] == [
            (TEXT, "a", False),
            (CONT, "b", False),
            (CONT, "", True),
        ]
        await ws.send([])
        await ws.send("next")
        assert (await kit.do(peer.read)).text == "next"


@behaviour(sides=())
async def compress_chooses_for_one_message(kit: Kit) -> None:
    inflate = zlib.decompressobj(wbits=-15).decompress
    async with kit.opened(DEFLATE, compression="deflate") as (ws, peer):
        for compress in (False, True, None, False):
            await ws.send("again and again", compress=compress)
            received = await kit.do(peer.read)
            assert received.rsv1 == (compress is not False)
            if received.rsv1:
                assert inflate(received.payload + b"\0\0\xff\xff") == b"again and again"
            else:
                assert received.text == "again and again"


@behaviour(sides=())
async def compress_chooses_for_all_fragments_of_a_message(kit: Kit) -> None:
    async with kit.opened(DEFLATE, compression="deflate") as (ws, peer):
        await ws.send(iter(["a", "b"]), compress=False)
        await ws.send(iter(["a", "b"]), compress=True)
        received = [await kit.do(peer.read) for _ in range(6)]
        assert [item.rsv1 for item in received] == [
            False, False, False, True, False, False,
        ]  # fmt: skip
        assert [item.payload for item in received[:3]] == [b"a", b"b", b""]
        data = b"".join(item.payload for item in received[3:]) + b"\0\0\xff\xff"
        assert zlib.decompressobj(wbits=-15).decompress(data) == b"ab"


@behaviour()
async def compress_without_the_extension_changes_nothing(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        await ws.send("a", compress=True)
        await ws.send(b"b", compress=False)
        received = [await kit.do(peer.read) for _ in range(2)]
        assert [(item.payload, item.rsv1) for item in received] == [
            (b"a", False),
            (b"b", False),
        ]


@behaviour()
async def what_is_no_message_is_refused_and_nothing_is_sent(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        for wrong in (1, None, {"a": 1}, [1], object()):
            with pytest.raises(TypeError):
                await ws.send(wrong)
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        await ws.send("still there")
        assert (await kit.do(peer.read)).text == "still there"


@behaviour()
async def message_that_breaks_off_fails_with_1011(kit: Kit, side: str) -> None:
    def pieces() -> Iterator[str]:
        yield "first"
        raise LookupError

    async with kit.ends(side) as (ws, peer):
        with pytest.raises(LookupError):
            await ws.send(pieces())
        assert (await kit.do(peer.read)).text == "first"
        assert (await kit.do(peer.answer_close)).code == 1011
        with pytest.raises(ConnectionClosedError):
            await ws.send("another")


@behaviour()
async def fragments_of_two_kinds_fail_with_1011(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        with pytest.raises(TypeError):
            await ws.send(iter(["text", b"bytes"]))
        await kit.do(peer.read)
        assert (await kit.do(peer.answer_close)).code == 1011


@behaviour()
async def senders_at_the_same_time_keep_their_messages_whole(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):

        async def whole(message: Any) -> None:
            """Send a message; threads are refused while another one sends fragments."""
            while True:
                try:
                    await ws.send(message() if callable(message) else message)
                except ConcurrencyError:
                    assert kit.face.package == "sync"
                    await kit.sleep(0.001)
                else:
                    return

        async def send(number: int) -> None:
            for _ in range(20):
                await whole(bytes([number]) * 5000)
                await whole(lambda: iter([f"{number}"] * 3))

        senders = [kit.spawn(lambda n=n: send(n)) for n in range(4)]  # type: ignore[misc]

        def read() -> list[bytes]:
            messages: list[bytes] = []
            message = b""
            while len(messages) < 160:
                received = peer.read()
                message += received.payload
                if received.fin:
                    messages.append(message)
                    message = b""
            return messages

        messages = await kit.do(read)
        for sender in senders:
            await sender.result()
        for number in range(4):
            assert messages.count(bytes([number]) * 5000) == 20
            assert messages.count(b"%d" % number * 3) == 20


@behaviour()
async def sending_when_closed_raises_what_closed_it(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send_close(1008, "go")
        await kit.do(peer.read_until, CLOSE)
        peer.close()
        await ws.wait_closed()
        for _ in range(2):
            with pytest.raises(ConnectionClosedError, match="1008"):
                await ws.send("x")


@behaviour()
async def sending_waits_for_a_peer_that_does_not_read(kit: Kit, side: str) -> None:
    async with kit.ends(side, small=True, close_timeout=0.2) as (ws, _):
        sending = kit.spawn(lambda: ws.send(bytes(16 * 2**20)))
        await kit.stuck(ws, sending)
        await ws.close()
        with pytest.raises(ConnectionClosed):
            await sending.result()


@behaviour()
async def sending_to_a_peer_that_stops_reading_is_released(kit: Kit, side: str) -> None:
    async with kit.ends(side, small=True, **RELEASE) as (ws, _):
        clock = Stopwatch()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.send(bytes(16 * 2**20))
        await ws.close()
        # The blocking face looks once a second.
        assert clock.elapsed < 0.5 + SLACK + (0 if kit.face.cancels else 1)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert ws.close_code == 1006


@behaviour()
async def sending_fragments_to_a_peer_that_stops_reading_is_released(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, small=True, **RELEASE) as (ws, _):
        clock = Stopwatch()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.send(bytes(2**20) for _ in range(64))
        await ws.close()
        assert clock.elapsed < 0.5 + SLACK + (0 if kit.face.cancels else 1)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011
        assert isinstance(caught.value.__cause__, TimeoutError)


@behaviour()
async def sending_to_a_peer_that_reads_slowly_is_never_cut(kit: Kit, side: str) -> None:
    size = 1_500_000
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.15,
        "close_timeout": 0.1,
    }
    async with kit.ends(side, small=True, **options) as (ws, peer):
        sending = kit.spawn(lambda: ws.send(bytes(size)))
        clock = Stopwatch()
        left = size
        while left > 0:
            count = await kit.do(peer.read_some, min(left, 60_000))
            assert count, "the connection was cut"
            left -= count
            if clock.elapsed < 0.5:
                await kit.sleep(0.01)
        await sending.result()
        assert ws.open


@behaviour(cancels=True)
async def sending_that_is_cancelled_sends_whole_frames_or_none(
    kit: Kit, side: str
) -> None:
    rng = random.Random(11)
    async with kit.ends(side, small=True, write_limit=1000) as (ws, peer):
        arrived: list[int] = []

        def consume() -> None:
            while (received := peer.read()).opcode != CLOSE:
                body = received.payload[10:]
                assert body == received.payload[9:10] * len(body)
                arrived.append(int(received.payload[:10]))
            peer.send(CLOSE, received.payload)
            peer.close()

        consuming = kit.spawn(lambda: kit.do(consume))
        cuts = sent = 0
        completed = []
        while cuts < 60:
            head = b"%010d" % sent
            body = head[-1:] * rng.choice([0, 10, 3000, 20_000])
            sending = kit.spawn(lambda data=head + body: ws.send(data))  # type: ignore[misc]
            sent += 1
            for _ in range(rng.randrange(3)):
                await kit.sleep(0)
            sending.cancel()
            try:
                await sending.result()
            except asyncio.CancelledError:
                cuts += 1
            else:
                completed.append(sent - 1)
        await ws.close()
        await consuming.result()
    assert arrived == sorted(set(arrived))
    assert set(completed) <= set(arrived)


@behaviour()
async def sender_during_the_fragments_of_another_one_is_not_kept_for_ever(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        go_on = threading.Event()

        def slow() -> Iterator[str]:
            yield "a"
            assert go_on.wait(PATIENCE)
            yield "b"

        async def patient() -> AsyncIterator[str]:
            yield "a"
            await kit.do(go_on.wait, PATIENCE)
            yield "b"

        blocking = kit.face.package == "sync"
        fragments = kit.spawn(lambda: ws.send(slow() if blocking else patient()))
        assert (await kit.do(peer.read)).text == "a"
        if blocking:
            # A thread could wait for ever, and for itself.
            for message in ("whole", iter(["in", "parts"])):
                with pytest.raises(ConcurrencyError, match="fragments"):
                    await ws.send(message)
        else:
            whole = kit.spawn(lambda: ws.send("whole"))
        await ws.ping("between")
        assert (await kit.do(peer.read)).text == "between"
        go_on.set()
        await fragments.result()
        assert (await kit.do(peer.read)).text == "b"
        if blocking:
            await kit.do(peer.read)  # the final frame
            await ws.send("whole")
        else:
            await kit.do(peer.read)
            await whole.result()
        assert (await kit.do(peer.read)).text == "whole"


@behaviour()
async def buffers_of_all_kinds_go_out_as_their_bytes(kit: Kit, side: str) -> None:
    numbers = array.array("H", range(100))
    memory = mmap.mmap(-1, 200)
    memory[:] = numbers.tobytes()
    kinds: list[Any] = [numbers, memoryview(numbers), memory]
    async with kit.ends(side) as (ws, peer):
        for value in kinds:
            await ws.send(value)
            received = await kit.do(peer.read)
            assert (received.opcode, received.payload) == (BINARY, numbers.tobytes())
            await ws.send([value, b"."])
            parts = [await kit.do(peer.read) for _ in range(3)]
            assert parts[0].payload == numbers.tobytes()
        for value in (numbers[:50], memoryview(numbers[:49])):
            await ws.pong(value)
            assert (await kit.do(peer.read)).payload == value.tobytes()
            await ws.ping(value)
            assert (await kit.do(peer.read)).payload == value.tobytes()
