"""Receiving: recv, recv_streaming and iteration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
)

from ..kit.asyncio_peer import turns, until
from ..kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame
from .kit import opened

# recv


async def test_recv_returns_text_as_str_and_binary_as_bytes() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "é"), frame(BINARY, b"\xff"), frame(TEXT), frame(BINARY))

        assert [await ws.recv() for _ in range(4)] == ["é", b"\xff", "", b""]


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 300_000, 1_000_000])
async def test_recv_of_any_size_returns_what_was_sent(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, data[:size]), frame(TEXT, "x" * size))

        assert await ws.recv() == data[:size]
        assert await ws.recv() == "x" * size


async def test_recv_of_fragments_joins_them_around_control_frames() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, b"\xe2\x82", fin=False),
            frame(PING, b"between"),
            frame(CONT, b"\xac", fin=False),
            frame(CONT, fin=False),
            frame(PONG, b"unsolicited"),
            frame(CONT, b"!"),
            frame(BINARY, b"a", fin=False),
            frame(CONT, b"b"),
        )

        assert await ws.recv() == "€!"
        assert await ws.recv() == b"ab"
        assert (await peer.read()).payload == b"between"


async def test_recv_byte_by_byte_returns_what_was_sent() -> None:
    async with opened() as (ws, peer):
        task = asyncio.ensure_future(ws.recv())
        for byte in frame(TEXT, "a" * 200):
            peer.write(bytes([byte]))
            await turns(2)

        assert await task == "a" * 200


async def test_recv_with_decode_returns_the_type_that_was_asked_for() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "é") * 3, frame(BINARY, "é".encode()) * 3)

        assert await ws.recv(decode=False) == "é".encode()
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=None) == "é"
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(False) == "é".encode()
        assert await ws.recv() == "é".encode()


async def test_recv_with_decode_of_fragments_joins_them() -> None:
    async with opened() as (ws, peer):
        text = frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9")
        binary = frame(BINARY, b"\xc3", fin=False) + frame(CONT, b"\xa9")
        peer.write(text, text, binary, binary)

        assert await ws.recv(decode=False) == "é".encode()
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=False) == "é".encode()


async def test_recv_with_decode_of_bytes_that_are_no_text_fails_with_1007() -> None:
    async with opened(close_timeout=0.5) as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        peer.write(frame(BINARY, b"\xff"))

        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv(decode=True)

        assert (await answer).code == 1007
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)


@pytest.mark.parametrize("factory", ["python", "subclass"])
async def test_recv_in_a_task_of_another_kind_waits_and_can_be_cut(
    factory: str,
) -> None:
    class Sub(asyncio.Task[Any]):
        pass

    kind: Any = Sub if factory == "subclass" else asyncio.tasks._PyTask  # type: ignore[attr-defined]
    async with opened() as (ws, peer):
        for cut in (False, True):
            task = kind(ws.recv(), loop=asyncio.get_running_loop())
            await turns(2)
            if cut:
                assert task.cancel("enough")
                with pytest.raises(asyncio.CancelledError):
                    await task
            peer.write(frame(TEXT, "a"))
            assert await (ws.recv() if cut else task) == "a"


async def test_recv_by_hand_that_is_closed_lets_the_next_one_in() -> None:
    async with opened() as (ws, peer):
        coroutine = ws.recv()
        coroutine.send(None)
        coroutine.close()
        peer.write(frame(TEXT, "a"))
        assert await ws.recv() == "a"


async def test_recv_by_two_tasks_refuses_the_second_and_serves_the_first() -> None:
    async with opened() as (ws, peer):
        first = asyncio.ensure_future(ws.recv())
        await turns(1)

        with pytest.raises(ConcurrencyError):
            await ws.recv()
        with pytest.raises(RuntimeError):
            await anext(ws)
        with pytest.raises(ConcurrencyError):
            await anext(ws.recv_streaming())

        peer.write(frame(TEXT, "x"))
        assert await first == "x"


async def test_recv_when_our_own_close_is_under_way_raises_once_it_is_done() -> None:
    async with opened() as (ws, peer):
        pending = asyncio.ensure_future(ws.recv())
        await turns(1)
        closing = asyncio.ensure_future(ws.close(1000, "done"))
        received = await peer.read()
        assert not pending.done()
        peer.write(frame(CLOSE, received.payload))
        await until(lambda: ws._session.protocol.close_rcvd is not None)
        await turns(2)
        assert not pending.done()
        peer.close()
        await closing

        with pytest.raises(ConnectionClosedOK) as caught:
            await pending
        assert str(caught.value) == "sent 1000 (OK) done; then received 1000 (OK) done"


async def test_recv_of_what_arrives_behind_our_close_frame_still_returns_it() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        peer.write(frame(TEXT, "one"), frame(TEXT, "two"), close_frame())
        peer.close()

        assert await ws.recv() == "one"
        await closing
        assert await ws.recv() == "two"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_recv_of_what_arrives_behind_the_peers_close_frame_is_discarded() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "one"), close_frame(), frame(TEXT, "two"))
        peer.close()

        assert await ws.recv() == "one"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_recv_after_the_end_raises_each_time() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(4000, "why"))
        peer.close()
        for _ in range(3):
            with pytest.raises(ConnectionClosedError) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "why")
            assert caught.value.rcvd_then_sent is True
            assert (caught.value.code, caught.value.reason) == (4000, "why")


@pytest.mark.parametrize("max_queue", [0, 1, 2, None, (4, 1), (None, 2), (3, None)])
async def test_recv_with_any_max_queue_returns_everything(max_queue: Any) -> None:
    async with opened(max_queue=max_queue) as (ws, peer):
        for number in range(200):
            peer.write(frame(TEXT, f"{number}"))

        assert [await ws.recv() for _ in range(200)] == [f"{n}" for n in range(200)]


# recv_streaming


async def test_recv_streaming_gives_a_part_for_each_frame() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, b"a\xe2\x82", fin=False),
            frame(CONT, fin=False),
            frame(CONT, b"\xacb", fin=False),
            frame(CONT),
            frame(TEXT, "next"),
        )

        assert [part async for part in ws.recv_streaming()] == ["a", "", "€b", ""]
        assert [part async for part in ws.recv_streaming()] == ["next"]


async def test_recv_streaming_gives_parts_before_the_message_is_complete() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(BINARY, b"first", fin=False))
        assert await anext(stream) == b"first"
        peer.write(frame(CONT, b"last"))
        assert await anext(stream) == b"last"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_recv_streaming_with_decode_converts_each_part() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False), frame(CONT, "b"))
        peer.write(frame(BINARY, b"a", fin=False), frame(CONT, b"b"))

        assert [part async for part in ws.recv_streaming(decode=False)] == [b"a", b"b"]
        assert [part async for part in ws.recv_streaming(decode=True)] == ["a", "b"]


async def test_recv_streaming_with_decode_of_a_split_character_waits_for_it() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, b"\xc3", fin=False), frame(CONT, b"\xa9"))

        parts = [part async for part in ws.recv_streaming(decode=True)]

        assert parts == ["", "é"]


async def test_recv_streaming_when_cut_goes_on_where_it_was() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(TEXT, "a", fin=False))
        assert await anext(stream) == "a"
        task = asyncio.ensure_future(anext(stream))
        await turns(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.write(frame(CONT, "b", fin=False), frame(CONT, "c"))

        assert [part async for part in stream] == ["b", "c"]


async def test_recv_streaming_when_open_keeps_recv_out() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(TEXT, "a", fin=False), frame(CONT, "b"), frame(TEXT, "c"))
        assert await anext(stream) == "a"

        with pytest.raises(ConcurrencyError):
            await ws.recv()

        assert [part async for part in stream] == ["b"]
        assert await ws.recv() == "c"


async def test_recv_streaming_when_abandoned_discards_the_rest() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False))
        async for part in ws.recv_streaming():
            assert part == "a"
            break
        peer.write(frame(CONT, "b", fin=False), frame(CONT, "c"), frame(TEXT, "next"))

        assert await ws.recv() == "next"


async def test_recv_streaming_when_the_connection_ends_inside_raises() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False))
        peer.close()
        stream = ws.recv_streaming()
        assert await anext(stream) == "a"

        with pytest.raises(ConnectionClosedError):
            await anext(stream)


# Iteration


async def test_iteration_ends_when_the_connection_is_closed_well() -> None:
    for code in (1000, 1001, None):
        async with opened() as (ws, peer):
            peer.write(frame(TEXT, "a"), frame(BINARY, b"b"), close_frame(code))
            peer.close()

            assert [message async for message in ws] == ["a", b"b"]


async def test_iteration_raises_when_the_connection_ends_otherwise() -> None:
    for code in (1002, 1011, 3000, 4999):
        async with opened() as (ws, peer):
            peer.write(frame(TEXT, "a"), close_frame(code))
            peer.close()

            assert await anext(ws) == "a"
            with pytest.raises(ConnectionClosedError):
                await anext(ws)


async def test_iteration_joins_fragments() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, "a", fin=False),
            frame(CONT, "b"),
            frame(TEXT, "c"),
            frame(BINARY, b"d", fin=False),
            frame(CONT, b"e"),
            close_frame(),
        )
        peer.close()

        assert [message async for message in ws] == ["ab", "c", b"de"]
