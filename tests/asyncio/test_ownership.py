"""Who owns what: buffers, tasks, memory, and connections that are forgotten."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import pytest

from fullduplex import ConnectionClosed, ServerConnection, connect, serve

from ..kit.asyncio_peer import Stopwatch, turns, until
from ..kit.bytes import BINARY, CLOSE, CONT, DEFLATE, PING, TEXT, close_frame, frame
from .kit import opened
from .server_kit import serving


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_buffer_may_be_changed_once_the_client_has_sent_it(kind: Any) -> None:
    async with opened(write_limit=2**30, max_size=None) as (ws, peer):
        buffer = bytearray(b"a" * 3_000_000)
        await ws.send(kind(buffer))
        buffer[:] = b"b" * len(buffer)

        assert set((await peer.read()).payload) == {ord("a")}


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_buffer_may_be_changed_once_the_server_has_sent_it(kind: Any) -> None:
    changed = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        buffer = bytearray(b"a" * 3_000_000)
        await ws.send(kind(buffer))
        buffer[:] = b"b" * len(buffer)
        changed.set()

    async with serve(
        handler, "127.0.0.1", 0, compression=None, write_limit=2**30
    ) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(
            f"ws://127.0.0.1:{port}/", compression=None, max_size=None
        ) as ws:
            await changed.wait()
            message = await ws.recv()
    assert isinstance(message, bytes)
    assert set(message) == {ord("a")}


@pytest.mark.parametrize("size", [10, 1000, 100_000, 3_000_000])
async def test_received_message_does_not_change_when_more_arrives(size: int) -> None:
    async with opened(max_size=None) as (ws, peer):
        peer.write(frame(BINARY, b"a" * size))
        message = await ws.recv()
        peer.write(frame(BINARY, b"b" * size))
        await ws.recv()

        assert message == b"a" * size


async def test_connections_of_one_loop_do_not_disturb_each_other() -> None:
    async with opened() as (one, first), opened() as (two, second):
        halves = frame(TEXT, "one" * 1000), frame(TEXT, "two" * 1000)
        first.write(halves[0][:1500])
        await turns(3)
        second.write(halves[1][:700])
        await turns(3)
        first.write(halves[0][1500:])
        await turns(3)
        second.write(halves[1][700:])

        assert await one.recv() == "one" * 1000
        assert await two.recv() == "two" * 1000


async def test_connection_is_freed_once_it_is_closed_and_forgotten() -> None:
    async def use() -> weakref.ref[Any]:
        async with opened(DEFLATE, compression="deflate", ping_interval=20) as (
            ws,
            peer,
        ):
            peer.write(frame(TEXT, "x"))
            await ws.recv()
            await ws.ping()
            answer = asyncio.ensure_future(peer.answer_close())
            await ws.close()
            await answer
            return weakref.ref(ws)

    reference = await use()
    await turns(5)
    gc.collect()

    assert reference() is None


@pytest.mark.variants("plain")
@pytest.mark.parametrize("leaves", ["client", "handler"])
async def test_connection_that_has_ended_leaves_nothing_to_collect(leaves: str) -> None:
    references: list[weakref.ref[Any]] = []

    async def handler(ws: ServerConnection) -> None:
        references.extend([weakref.ref(ws), weakref.ref(ws._session)])
        if leaves == "client":
            await ws.wait_closed()

    async with serving(handler) as place:
        gc.disable()
        try:
            async with connect(place.uri) as ws:
                references.extend([weakref.ref(ws), weakref.ref(ws._session)])
                if leaves == "handler":
                    await ws.wait_closed()
            del ws
            await until(lambda: not any(item() for item in references))
        finally:
            gc.enable()
    assert len(references) == 4


async def test_message_of_more_fragments_than_the_queue_holds_is_received() -> None:
    async with opened(max_queue=2) as (ws, peer):
        peer.write(frame(TEXT, "x", fin=False), *[frame(CONT, "y", fin=False)] * 3000)
        peer.write(frame(CONT, "z"), frame(TEXT, "next"))

        assert await ws.recv() == "x" + "y" * 3000 + "z"
        assert await ws.recv() == "next"


async def test_flood_behind_our_close_frame_is_neither_kept_nor_waited_for() -> None:
    async with opened(max_queue=4, close_timeout=0.4) as (ws, peer):

        async def flood() -> None:
            try:
                while True:
                    peer.write(*[frame(BINARY, bytes(10_000))] * 10)
                    await peer.drain()
            except ConnectionError:
                pass

        task = asyncio.ensure_future(flood())
        await turns(3)
        watch = Stopwatch()

        await ws.close()

        assert watch.elapsed < 3  # close_timeout, and what a busy machine adds
        task.cancel()
        await asyncio.wait([task])
        kept = 0
        with pytest.raises(ConnectionClosed):
            while await ws.recv():
                kept += 1
        # The queue, and what one or two reads add.
        assert kept < 60


async def test_flood_behind_a_fault_is_not_read_and_not_waited_for() -> None:
    async with opened(close_timeout=0.4) as (ws, peer):

        async def flood() -> None:
            peer.write(frame(3))
            try:
                while True:
                    peer.write(*[frame(BINARY, bytes(10_000))] * 10)
                    await peer.drain()
            except ConnectionError:
                pass

        task = asyncio.ensure_future(flood())
        watch = Stopwatch()
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert watch.elapsed < 3  # close_timeout, and what a busy machine adds
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.variants("all")
async def test_reader_that_closes_at_once_may_go_on_receiving() -> None:
    async with opened() as (ws, peer):
        received = []

        async def read() -> None:
            async for message in ws:
                received.append(message)
                if len(received) == 1:
                    await ws.close()

        task = asyncio.ensure_future(read())
        await turns(2)
        peer.write(*[frame(TEXT, f"{number}") for number in range(5)])
        assert (await peer.answer_close()).code == 1000
        await task
        assert received == [f"{number}" for number in range(5)]


@pytest.mark.variants("all")
async def test_reader_that_aborts_the_transport_at_once_is_harmless() -> None:
    async with opened() as (ws, peer):

        async def read() -> None:
            await ws.recv()
            ws.transport.abort()
            await ws.wait_closed()

        task = asyncio.ensure_future(read())
        await turns(2)
        peer.write(frame(TEXT, "a"), frame(PING), frame(TEXT, "b"), frame(3))
        await task
        assert ws.closed
        assert await ws.recv() == "b"


@pytest.mark.variants("all")
async def test_reader_of_one_connection_may_talk_on_another() -> None:
    async with opened() as (one, first), opened() as (two, second):

        async def forward() -> None:
            while True:
                await two.send(await one.recv())
                await one.send(await two.recv())

        task = asyncio.ensure_future(forward())
        for number in range(100):
            first.write(frame(TEXT, f"{number}"))
            assert (await second.read()).text == f"{number}"
            second.write(frame(TEXT, f"-{number}"))
            assert (await first.read()).text == f"-{number}"
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.variants("all")
async def test_reader_that_waits_for_both_a_message_and_something_else() -> None:
    """The waiter is cancelled and made again, as `asyncio.wait` users do."""
    async with opened() as (ws, peer):
        queue: asyncio.Queue[str] = asyncio.Queue()
        got: list[Any] = []

        async def both() -> None:
            receiving = asyncio.ensure_future(ws.recv())
            getting = asyncio.ensure_future(queue.get())
            while len(got) < 200:
                done, _ = await asyncio.wait(
                    [receiving, getting], return_when=asyncio.FIRST_COMPLETED
                )
                if receiving in done:
                    got.append(receiving.result())
                    receiving = asyncio.ensure_future(ws.recv())
                if getting in done:
                    got.append(getting.result())
                    getting = asyncio.ensure_future(queue.get())
            receiving.cancel()
            getting.cancel()
            await asyncio.wait([receiving, getting])

        task = asyncio.ensure_future(both())
        for number in range(100):
            peer.write(frame(TEXT, f"{number}"))
            queue.put_nowait("queued")
            await turns(number % 5)
        await task
        assert [item for item in got if item != "queued"] == [
            f"{number}" for number in range(100)
        ]


@pytest.mark.variants("all")
async def test_ping_future_that_resumes_a_task_which_closes_is_harmless() -> None:
    async with opened() as (ws, peer):

        async def measure() -> None:
            await (await ws.ping("p"))
            await ws.close()

        task = asyncio.ensure_future(measure())
        received = await peer.read()
        peer.write(frame(10, received.payload), frame(TEXT, "behind"))
        await peer.answer_close()
        await task
        assert await ws.recv() == "behind"


async def test_cancelled_ping_call_leaves_the_connection_usable() -> None:
    async with opened(small=True, write_limit=1000) as (ws, peer):
        sending = asyncio.ensure_future(ws.send(bytes(10_000_000)))
        await turns(3)
        pinging = asyncio.ensure_future(ws.ping("p"))
        await turns(3)
        pinging.cancel()
        await asyncio.wait([pinging])
        assert len((await peer.read()).payload) == 10_000_000
        await sending
        await ws.send("next")
        opcodes = {(received := await peer.read()).opcode}
        if received.opcode == PING:
            opcodes.add((await peer.read()).opcode)
        assert TEXT in opcodes


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_deflate_with_a_shared_context_survives_cancelled_receives(
    opcode: int,
) -> None:
    async with opened(DEFLATE, compression="deflate") as (ws, peer):
        echo = asyncio.ensure_future(peer.echo())
        payload: Any = "abc" * 1000 if opcode == TEXT else b"abc" * 1000
        for number in range(50):
            receiving = asyncio.ensure_future(ws.recv())
            await turns(number % 3)
            receiving.cancel()
            await asyncio.wait([receiving])
            await ws.send(payload)
            if receiving.cancelled():
                assert await ws.recv() == payload
        await ws.close()
        await echo


async def test_ping_behind_a_close_frame_is_not_answered() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(PING, b"1"), close_frame(1000), frame(PING, b"2"))
        frames = [await peer.read(), await peer.read()]
        peer.close()
        await ws.wait_closed()

        # Nothing behind a close frame is answered.
        assert [(item.opcode, item.payload[:1]) for item in frames] == [
            (10, b"1"),
            (CLOSE, b"\x03"),
        ]


EXIT = """
    import asyncio, socket, sys, threading
    import uvloop
    from fullduplex import connect
    from fullduplex.asyncio import _transports
    from tests.asyncio.kit import opened
    from tests.kit.bytes import TEXT, frame

    if sys.argv[1] == "loop":
        _transports.TcpTransport = None

    async def main():
        async with opened() as (ws, peer):
            async def read():
                await ws.recv()
                raise SystemExit(42)
            task = asyncio.ensure_future(read())
            await asyncio.sleep(0)
            peer.write(frame(TEXT, "x"))
            await asyncio.sleep(5)

    if sys.argv[2] == "uvloop":
        uvloop.run(main())
    else:
        asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("transport", "loop"), [("own", "asyncio"), ("loop", "uvloop")]
)
def test_exit_raised_by_a_reader_ends_the_program(transport: str, loop: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EXIT), transport, loop],
        cwd=Path(__file__).parents[2],
        timeout=20,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 42, ended.stderr.decode()[-2000:]
