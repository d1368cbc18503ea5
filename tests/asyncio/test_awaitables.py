"""`recv` and `send` are coroutine functions, whatever it is that they return."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from fullduplex import ClientConnection
from fullduplex.typing import Data

from ..kit.bytes import BINARY, CLOSE, TEXT, frame
from .kit import opened

pytestmark = pytest.mark.variants("two")


async def test_calls_are_taken_by_whatever_takes_coroutines() -> None:
    async with opened() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await asyncio.gather(ws.send("a"), ws.send(b"b"))
        peer.write(frame(TEXT, "x") * 3)

        assert [(await peer.read()).payload for _ in range(2)] == [b"a", b"b"]
        assert await receiving == "x"
        assert await asyncio.wait_for(ws.recv(), 5) == "x"
        async with asyncio.TaskGroup() as group:
            last = group.create_task(ws.recv())
        assert last.result() == "x"


@pytest.mark.parametrize("name", ["recv", "send"])
async def test_call_passes_for_a_coroutine_in_every_state(name: str) -> None:
    async with opened() as (ws, _):
        call: Any = getattr(ws, name)(*(("a",) if name == "send" else ()))

        assert inspect.iscoroutine(call)
        assert isinstance(call, Coroutine)
        assert (call.__name__, call.__qualname__) == (name, f"Connection.{name}")
        assert repr(call).startswith(f"<coroutine object Connection.{name} at 0x")
        assert inspect.getcoroutinestate(call) == inspect.CORO_CREATED
        assert call.cr_code.co_name == name
        if name == "recv":
            task = asyncio.create_task(call)
            await asyncio.sleep(0)
            assert inspect.getcoroutinestate(call) == inspect.CORO_SUSPENDED
            assert "Connection.recv()" in repr(task)
            assert [item.f_code.co_name for item in task.get_stack()] == ["recv"]
            task.cancel()
            await asyncio.wait([task])
        else:
            await call
        assert inspect.getcoroutinestate(call) == inspect.CORO_CLOSED


async def test_call_is_started_by_task_groups_of_anyio() -> None:
    anyio = pytest.importorskip("anyio")
    async with opened() as (ws, peer):
        async with anyio.create_task_group() as group:
            group.start_soon(ws.send, "a")
        assert (await peer.read()).payload == b"a"
        peer.write(frame(TEXT, "x"))
        async with anyio.create_task_group() as group:
            group.start_soon(ws.recv)


async def test_call_does_nothing_before_it_is_awaited() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "x"), frame(TEXT, "y"))
        later, receiving = ws.send("a"), ws.recv()
        await ws.send("b")

        assert await ws.recv() == "x"
        await later

        assert await receiving == "y"
        assert [(await peer.read()).payload for _ in range(2)] == [b"b", b"a"]


@pytest.mark.parametrize("name", ["recv", "send"])
async def test_call_that_is_never_awaited_gives_a_warning(name: str) -> None:
    async with opened() as (ws, _):
        make = getattr(ws, name)
        arguments = ("a",) if name == "send" else ()

        with pytest.warns(RuntimeWarning, match=f"{name}' was never awaited"):
            make(*arguments)


async def test_call_that_is_awaited_twice_raises_runtime_error() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, b"1"), frame(BINARY, b"2"))
        for call in (ws.send("a"), ws.recv()):
            await call

            with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
                await call

        assert await ws.recv() == b"2"


@pytest.mark.parametrize("how", ["close", "throw", "drop"])
async def test_call_that_is_given_up_by_hand_takes_nothing(how: str) -> None:
    async with opened() as (ws, peer):
        call: Any = ws.recv()
        call.send(None)
        if how == "close":
            call.close()
        elif how == "throw":
            with pytest.raises(KeyError):
                call.throw(KeyError("mine"))
        del call
        gc.collect()
        peer.write(frame(TEXT, "x"))

        assert await ws.recv() == "x"


async def test_call_that_is_closed_before_it_began_does_nothing() -> None:
    async with opened() as (ws, peer):
        for call in (ws.send("a"), ws.recv()):
            call.close()
        await ws.send("b")

        assert (await peer.read()).payload == b"b"


async def test_throw_into_a_call_that_has_not_begun_raises_that() -> None:
    async with opened() as (ws, _):
        for call in (ws.send("a"), ws.recv()):
            error = KeyError("mine")

            with pytest.raises(KeyError) as caught:
                call.throw(error)

            assert caught.value is error


async def test_call_asked_by_hand_ends_with_its_result() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "x"), frame(TEXT, "y"))
        assert await ws.recv() == "x"

        with pytest.raises(StopIteration) as received:
            next(ws.recv().__await__())
        with pytest.raises(StopIteration) as sent:
            next(ws.send("a").__await__())

        assert received.value.value == "y"
        assert sent.value.value is None


async def test_message_that_was_received_is_held_by_nobody_else() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, b"first"), frame(BINARY, b"second"))
        messages = [await ws.recv(), await ws.recv()]

        references = [sys.getrefcount(messages[i]) for i in range(2)]

        assert references == [sys.getrefcount(object()) + 1] * 2


async def test_calls_have_their_results_while_the_program_is_traced() -> None:
    seen: set[str] = set()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        seen.add(event)
        return trace

    async def converse() -> list[Data]:
        await ws.send("a")
        return [await ws.recv(), *[message async for message in ws]]

    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "x"), frame(TEXT, "y"), frame(CLOSE, b"\x03\xe8"))
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            received = await converse()
        finally:
            sys.settrace(before)

        assert received == ["x", "y"]
        assert "line" in seen


class Shouting(ClientConnection):
    async def recv(self, decode: Any = None) -> Any:
        message: Data = await super().recv(decode)
        return str(message).upper()


async def test_iteration_over_a_subclass_goes_by_its_recv() -> None:
    async with opened(create_connection=Shouting) as (ws, peer):
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"))
        got = []
        async for message in ws:
            got.append(message)
            if len(got) == 2:
                break

        assert got == ["A", "B"]


async def test_anext_returns_the_next_message() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"))

        assert await anext(ws) == "a"
        assert await anext(aiter(ws)) == "b"


def test_a_mock_of_a_connection_has_methods_to_await() -> None:
    mock = MagicMock(spec=ClientConnection)

    assert isinstance(mock.recv, AsyncMock)
    assert isinstance(mock.send, AsyncMock)
    assert asyncio.iscoroutinefunction(ClientConnection.send)
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(ClientConnection.recv)
