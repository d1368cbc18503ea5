"""What trio's programs count on: checkpoints, no leftovers, plain exceptions."""

from __future__ import annotations

import contextvars
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from fullduplex import ConnectionClosed, ConnectionClosedOK
from fullduplex.trio import ServerConnection, broadcast, connect

from ..kit.bytes import CLOSE, TEXT, frame
from ..kit.trio_peer import until
from .conftest import system_tasks
from .kit import dialed, opened, served, serving


def tasks_below_us() -> int:
    """How many tasks run in the nurseries of this task."""
    nurseries = trio.lowlevel.current_task().child_nurseries
    return sum(len(nursery.child_tasks) for nursery in nurseries)


# Checkpoints


async def test_every_call_is_a_checkpoint_when_it_need_not_wait() -> None:
    async with opened() as (ws, peer):
        await peer.write(*[frame(TEXT, f"{number}") for number in range(20)])
        await peer.heard()
        calls: list[Callable[[], Awaitable[Any]]] = [
            ws.recv,
            lambda: ws.recv(decode=False),
            lambda: anext(aiter(ws)),
            lambda: anext(ws.recv_streaming()),
            lambda: ws.send("text"),
            lambda: ws.send(bytearray(b"binary")),
            lambda: ws.send(["one", "two"]),
            ws.ping,
            ws.pong,
            lambda: broadcast([ws], "to all"),
            lambda: broadcast([], "to nobody"),
            ws.recv_streaming().aclose,
        ]
        for call in calls:
            with assert_checkpoints():
                await call()


async def test_every_call_is_a_checkpoint_when_the_connection_is_closed() -> None:
    async with opened() as (ws, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.answer_close)
            await ws.aclose()
        for call in (ws.aclose, ws.wait_closed):
            with assert_checkpoints():
                await call()


@pytest.mark.parametrize("call", ["recv", "send", "ping", "pong", "wait_closed"])
async def test_call_when_cancelled_already_raises_and_does_nothing(call: str) -> None:
    async with opened() as (ws, peer):
        await peer.write(frame(TEXT, "kept"))
        await peer.heard()
        arguments = ["never"] if call == "send" else []
        with trio.CancelScope() as scope:
            scope.cancel()
            await getattr(ws, call)(*arguments)

        assert scope.cancelled_caught
        assert await ws.recv() == "kept"
        await ws.send("the next")
        assert (await peer.read()).text == "the next"


async def test_others_run_while_one_receives_without_waiting() -> None:
    async with opened(max_queue=None) as (ws, peer):
        await peer.write(*[frame(TEXT, "x")] * 1000)
        await peer.heard()
        seen = 0

        async def count() -> None:
            nonlocal seen
            while True:
                await trio.lowlevel.checkpoint()
                seen += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            for _ in range(1000):
                await ws.recv()
            nursery.cancel_scope.cancel()
        assert seen > 500


# Blocks


class Mine(Exception):
    """What the application raises."""


async def test_exception_of_the_block_comes_out_as_it_is_and_closes_with_1011() -> None:
    error = Mine("as it is")
    async with opened() as (_, peer), serving(echo) as server:
        with pytest.raises(Mine) as caught:
            async with connect(uri_of(server)):
                raise error
        assert caught.value is error
        group = ExceptionGroup("the application's own", [Mine(), LookupError()])
        with pytest.raises(ExceptionGroup) as grouped:
            async with connect(uri_of(server)):
                raise group
        assert grouped.value is group
        await peer.close()


async def test_block_when_left_has_no_task_and_no_socket_any_more() -> None:
    async with serving(echo) as server:
        before = tasks_below_us()
        async with connect(uri_of(server)) as ws:
            await ws.send("x" * 100_000)
            assert len(await ws.recv()) == 100_000
            assert tasks_below_us() > before
        assert tasks_below_us() == before
        assert ws.closed
        assert ws.close_code == 1000


async def test_block_when_cancelled_ends_at_once_and_says_so_to_the_peer() -> None:
    closing: list[int | None] = []
    async with serving(echo_and_note(closing)) as server:
        with trio.fail_after(1):
            with trio.CancelScope() as scope:
                async with connect(uri_of(server), close_timeout=10) as ws:
                    await ws.send("hello")
                    await ws.recv()
                    scope.cancel()
                    await trio.sleep_forever()
            assert scope.cancelled_caught
        assert ws.closed
        await until(lambda: closing == [1011])


async def test_block_when_cancelled_may_still_use_the_connection_under_a_shield() -> (
    None
):
    async with serving(echo) as server:
        with trio.CancelScope() as scope:
            async with connect(uri_of(server)) as ws:
                try:
                    scope.cancel()
                    await ws.recv()
                finally:
                    with trio.CancelScope(shield=True):
                        await ws.send("last words")
                        assert await ws.recv() == "last words"
                        await ws.aclose()
                        assert ws.close_code == 1000


async def test_block_when_the_peer_closes_raises_nothing_by_itself() -> None:
    async def leave(ws: ServerConnection) -> None:
        await ws.aclose(1001, "bye")

    async with serving(leave) as server:
        async with connect(uri_of(server)) as ws:
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()
        assert (ws.close_code, ws.close_reason) == (1001, "bye")


async def test_connect_object_is_not_awaitable_and_serves_one_block_at_a_time() -> None:
    async with serving(echo) as server:
        connecting = connect(uri_of(server))
        assert not isinstance(connecting, Awaitable)
        async with connecting:
            with pytest.raises(RuntimeError, match="in use"):
                async with connecting:
                    pass
        async with connecting as ws:
            assert ws.open


async def test_connection_in_a_nursery_of_the_program_ends_with_it() -> None:
    closing: list[int | None] = []
    async with serving(echo_and_note(closing)) as server:
        async with trio.open_nursery() as nursery:
            ws = await connect(uri_of(server)).connect(nursery)
            await ws.send("x")
            assert await ws.recv() == "x"
            await ws.aclose()
        async with trio.open_nursery() as nursery:
            ws = await connect(uri_of(server)).connect(nursery)
            await ws.send("x")
            await ws.recv()
            nursery.cancel_scope.cancel()
        assert ws.closed
        await until(lambda: closing == [1000, 1001])


# Loops


async def test_loop_reconnects_and_closes_each_connection() -> None:
    closing: list[int | None] = []
    async with serving(echo_and_note(closing)) as server:
        seen: list[Any] = []
        async for ws in connect(uri_of(server)):
            seen.append(ws)
            await ws.send("x")
            await ws.recv()
            if len(seen) == 3:
                break
        assert [ws.closed for ws in seen[:2]] == [True, True]
        del ws
        last = seen.pop()
        assert last.open
        seen.append(None)
        del last
        await until(lambda: closing == [1000, 1000, 1001])


async def test_loop_when_left_leaves_no_task_and_the_scopes_in_order() -> None:
    async with serving(echo) as server:
        before = system_tasks()
        with trio.move_on_after(5):
            async for ws in connect(uri_of(server)):
                async with trio.open_nursery():
                    await ws.send("x")
                break
        del ws
        await until(lambda: system_tasks() == before)


async def test_loop_when_the_run_ends_ends_with_it() -> None:
    program = """
import trio
from fullduplex.trio import connect, serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    global kept
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, echo, 0, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        async for kept in connect(f"ws://127.0.0.1:{port}"):
            break
        server.aclose
        nursery.cancel_scope.cancel()

trio.run(main)
assert kept.closed
"""
    result = await trio.run_process(
        [sys.executable, "-W", "error", "-c", program],
        capture_stderr=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


async def test_loop_when_the_server_comes_late_tries_again() -> None:
    delays: list[float] = []

    def none() -> Any:
        while True:
            delays.append(0.01)
            yield 0.01

    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await until(lambda: len(delays) > 2)
            listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
            async with serving(echo, listeners=listeners):
                await trio.sleep_forever()

        nursery.start_soon(later)
        async for ws in connect(f"ws://127.0.0.1:{port}", reconnect_delays=none):
            await ws.send("at last")
            assert await ws.recv() == "at last"
            break
        del ws
        nursery.cancel_scope.cancel()


# Context and signals


async def test_context_of_the_task_is_kept() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    async with opened() as (ws, peer):
        seen = []

        async def receive(who: str) -> None:
            name.set(who)
            await ws.recv()
            seen.append(name.get())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, "reader")
            await peer.write(frame(TEXT, "go"))
        assert seen == ["reader"]
        assert name.get() == "nobody"


def test_interrupt_comes_out_plain_and_quickly() -> None:
    program = """
import trio
from fullduplex.trio import connect, serve

async def idle(ws):
    await ws.wait_closed()

async def main():
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, idle, 0, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        try:
            async with connect(f"ws://127.0.0.1:{port}") as ws:
                print("ready", flush=True)
                await ws.recv()
        except KeyboardInterrupt:
            print("plain", flush=True)
        nursery.cancel_scope.cancel()

trio.run(main)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "plain\n"
        assert process.wait(5) == 0


def test_import_without_trio_names_the_extra() -> None:
    program = """
import sys
sys.modules["trio"] = None
import fullduplex
try:
    import fullduplex.trio
except ImportError as exc:
    assert "fullduplex[trio]" in str(exc), exc
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# What the server's side is made of


async def test_handlers_task_holds_the_connection() -> None:
    async with served() as (ws, peer):
        await peer.write(frame(CLOSE, b"\x03\xe8", mask=b"abcd"))
        assert (await peer.read()).code == 1000
        await peer.close()
        await ws.wait_closed()
        with pytest.raises(ConnectionClosed):
            await ws.send("too late")


async def test_group_that_a_handler_raises_stays_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(ws: ServerConnection) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await ws.recv()

    async def fail() -> None:
        raise Mine("in a nursery of the handler")

    async with serving(handler) as server:
        async with dialed(server) as peer:
            assert (await peer.read_until(CLOSE)).code == 1011
        assert server.is_serving()
    assert [record.message for record in caplog.records if record.exc_info] == [
        "connection handler failed"
    ]


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


def echo_and_note(codes: list[int | None]) -> Any:
    async def handler(ws: ServerConnection) -> None:
        try:
            await echo(ws)
        except ConnectionClosed:
            pass
        finally:
            codes.append(ws.close_code)

    return handler


def uri_of(server: Any) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
