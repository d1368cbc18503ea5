"""Fairness on asyncio: iterations of the loop, joined writes, nested loops.

What holds on every face is in ``tests/contract/fairness.py``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosed, ServerConnection, broadcast, serve
from fullduplex.asyncio._time_slice import CALLS, STRIDE, UNTIMED

from ..kit.bytes import BINARY, TEXT, frame
from ..kit.clock import PATIENCE
from ..kit.peer import client
from .kit import opened, served

pytestmark = pytest.mark.variants("all")


class Beats:
    """How often the loop has run."""

    def __init__(self) -> None:
        self.count = 0
        self._task = asyncio.ensure_future(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def blocked_until(function: Callable[[], object]) -> None:
    """Compute, as far as the loop can tell, until a peer has done something."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it did not arrive during the computation"


async def test_receiver_of_a_long_queue_lets_the_loop_run() -> None:
    total = 5 * CALLS
    async with opened(max_queue=None) as (ws, peer):
        peer.write(*[frame(BINARY, b"%d" % number) for number in range(total)])
        await ws.recv()
        beats = Beats()
        await asyncio.sleep(0.05)  # so that much has arrived
        longest = current = 0
        before = beats.count
        for number in range(1, total):
            assert await ws.recv() == b"%d" % number
            current = current + 1 if beats.count == before else 0
            before = beats.count
            longest = max(longest, current)
        await beats.stop()

    assert longest <= CALLS + STRIDE


async def test_receiver_that_is_cancelled_whenever_it_yields_loses_nothing() -> None:
    total = 3 * CALLS
    async with opened(max_queue=None) as (ws, peer):
        peer.write(*[frame(BINARY, b"%d" % number) for number in range(total)])
        received: list[Any] = []

        async def receive() -> None:
            while len(received) < total:
                received.append(await ws.recv())

        while len(received) < total:
            receiving = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.wait([receiving])

    assert received == [b"%d" % number for number in range(total)]


async def test_second_receiver_is_refused_while_the_first_one_yields() -> None:
    async with opened(max_queue=None) as (ws, peer):
        peer.write(*[frame(BINARY, b"%d" % number) for number in range(3 * CALLS)])
        received: list[Any] = []

        async def receive() -> None:
            while len(received) < 3 * CALLS:
                received.append(await ws.recv())

        first = asyncio.ensure_future(receive())
        second = asyncio.ensure_future(receive())
        done, _ = await asyncio.wait({first, second}, return_when="FIRST_EXCEPTION")
        refused = [task for task in done if task.exception() is not None]
        assert len(refused) == 1
        await asyncio.wait({first, second})

    assert received == [b"%d" % number for number in range(3 * CALLS)]


@pytest.mark.variants("transports")  # to make tasks takes long in debug mode
async def test_messages_of_tasks_leave_in_the_order_of_the_tasks() -> None:
    total = CALLS + 1000
    async with opened() as (ws, peer):
        tasks = [asyncio.ensure_future(ws.send(b"%d" % i)) for i in range(total)]
        received = [(await peer.read()).payload for _ in range(total)]
        await asyncio.wait(tasks)

    assert received == [b"%d" % number for number in range(total)]


async def test_sender_that_computes_between_messages_suspends_soon() -> None:
    async with opened() as (ws, _):
        beats = Beats()
        await asyncio.sleep(0)
        before = beats.count
        calls = 0
        while beats.count == before:
            threading.Event().wait(0.001)
            await ws.send("x")
            calls += 1
        await beats.stop()

    # The first calls are not timed; those after them take a whole slice each.
    assert calls <= UNTIMED + 3


async def test_later_messages_of_a_step_are_joined() -> None:
    async with served() as (ws, peer):
        peer.write(frame(TEXT, "go", mask=b"abcd"))
        await ws.recv()
        for number in range(20):
            await ws.send(f"{number}")

        data = await peer.reader.read(100_000)
        assert data.startswith(frame(TEXT, "0"))
        rest = b"".join(frame(TEXT, f"{number}") for number in range(20))
        while len(data) < len(rest):
            data += await peer.reader.read(100_000)
        assert data == rest


@pytest.mark.parametrize("way", ["task", "callback"])
async def test_first_broadcast_of_each_task_leaves_before_a_computation(
    way: str,
) -> None:
    members: list[ServerConnection] = []

    async def handler(ws: ServerConnection) -> None:
        members.append(ws)
        await ws.wait_closed()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        address = server.sockets[0].getsockname()
        peers = [await asyncio.to_thread(client, address) for _ in range(3)]
        while len(members) < 3:
            await asyncio.sleep(0)

        async def say(text: str) -> None:
            broadcast(members, text)
            blocked_until(lambda: [peer.read_until(TEXT) for peer in peers])

        if way == "task":
            # Both run in one iteration of the loop.
            await asyncio.gather(say("one"), say("two"))
        else:
            asyncio.get_running_loop().call_soon(broadcast, members, "one")
            await asyncio.sleep(0)
            blocked_until(lambda: [peer.read_until(TEXT) for peer in peers])
        # A second one of the same step may wait for the end of the iteration.
        broadcast(members, "three")
        broadcast(members, "four")
        for member in members:
            await member.flush()
        blocked_until(lambda: [peer.read() for peer in peers for _ in range(2)])
        for peer in peers:
            peer.close()


async def test_close_frames_of_a_server_leave_before_a_computation() -> None:
    done = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        async for message in ws:
            if message == "close":
                server.close()
                blocked_until(lambda: [peer.read_until(8) for peer in peers])
                done.set()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        address = server.sockets[0].getsockname()
        peers = [await asyncio.to_thread(client, address) for _ in range(3)]
        while len(server.connections) < 3:
            await asyncio.sleep(0)
        peers[1].send(TEXT, "close")
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        for peer in peers:
            peer.close()


async def test_step_that_raises_in_the_read_callback_takes_nobody_with_it() -> None:
    async def handler(ws: ServerConnection) -> None:
        async for message in ws:
            if message == "raise":
                raise LookupError("mine")
            await ws.send(message)

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        address = server.sockets[0].getsockname()
        peers = [await asyncio.to_thread(client, address) for _ in range(10)]
        await asyncio.sleep(0.01)

        def talk() -> None:
            for number, peer in enumerate(peers):
                peer.send(TEXT, "raise" if number % 2 else "echo")
            assert [peer.read().text for peer in peers[::2]] == ["echo"] * 5
            assert [peer.read().code for peer in peers[1::2]] == [1011] * 5

        await asyncio.to_thread(talk)
        for peer in peers:
            peer.close()


async def test_send_to_a_transport_that_is_closing_waits_for_the_end() -> None:
    async with opened() as (ws, _):
        ws.transport.abort()
        calls = 0
        with pytest.raises(ConnectionClosed):
            while calls < 100:
                await ws.send("x")
                calls += 1
        assert calls <= 1


NESTED = """
    import asyncio
    import fullduplex
    import nest_asyncio

    async def handler(ws):
        async for message in ws:
            if message == "nested":
                message = loop.run_until_complete(ask())
                await ws.send("first")
                await ws.send("second")
                loop.run_until_complete(asyncio.sleep(0))
            await ws.send(message)

    async def ask():
        # Through the same server, whose connections share one reader.
        async with fullduplex.connect(uri) as other:
            await other.send("plain")
            return await other.recv()

    async def again(ws):
        await ws.send("again")
        return await ws.recv()

    async def main():
        global uri
        nest_asyncio.apply(loop)
        async with fullduplex.serve(handler, "127.0.0.1", 0) as server:
            uri = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
            async with fullduplex.connect(uri) as ws:
                await ws.send("plain")
                assert await ws.recv() == "plain"
                await ws.send("nested")
                for wanted in ("first", "second", "plain"):
                    assert await ws.recv() == wanted
                for _ in range(3):
                    assert loop.run_until_complete(again(ws)) == "again"

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    if early:
        nest_asyncio.apply(loop)
    loop.run_until_complete(main())
"""


@pytest.mark.parametrize("implementation", ["auto", "pure"])
@pytest.mark.parametrize("early", [True, False])
def test_handlers_and_readers_may_run_the_loop_from_within(
    early: bool, implementation: str
) -> None:
    pytest.importorskip("nest_asyncio")
    done = subprocess.run(
        [sys.executable, "-c", f"early = {early}\n" + textwrap.dedent(NESTED)],
        env={**os.environ, "FULLDUPLEX_IMPL": implementation},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
