"""A connection that is used from another thread or event loop says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fullduplex import broadcast, connect

from ..kit.bytes import TEXT, frame
from .kit import opened, served
from .server_kit import echo, serving

MATCH = r"belongs to another event loop; use asyncio\.run_coroutine_threadsafe"

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "send": lambda ws: ws.send("x"),
    "send bytes": lambda ws: ws.send(b"x"),
    "send fragments": lambda ws: ws.send(["x", "y"]),
    "recv": lambda ws: ws.recv(),
    "recv(decode)": lambda ws: ws.recv(decode=False),
    "anext": lambda ws: ws.__anext__(),
    "ping": lambda ws: ws.ping(),
    "pong": lambda ws: ws.pong(),
    "close": lambda ws: ws.close(),
    "wait_closed": lambda ws: ws.wait_closed(),
}


async def called(call: Callable[[Any], Awaitable[Any]], ws: Any) -> None:
    await asyncio.wait_for(call(ws), 5)


def elsewhere(call: Callable[[Any], Awaitable[Any]], ws: Any) -> BaseException | None:
    """Call in a thread with an event loop of its own; returns what was raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(called(call, ws))
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it hangs"
    return raised[0] if raised else None


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("name", CALLS)
async def test_call_from_another_thread_is_refused_and_changes_nothing(
    name: str, side: str
) -> None:
    async with (opened if side == "client" else served)() as (ws, peer):
        exc = await asyncio.to_thread(elsewhere, CALLS[name], ws)
        assert isinstance(exc, RuntimeError)
        assert "belongs to another event loop" in str(exc)

        # A message that waits is not taken either.
        peer.write(frame(TEXT, "in", mask=None if side == "client" else bytes(4)))
        if "recv" in name or name == "anext":
            while not ws._session.messages:
                await asyncio.sleep(0.001)
            exc = await asyncio.to_thread(elsewhere, CALLS[name], ws)
            assert isinstance(exc, RuntimeError)
        assert await ws.recv() == "in"
        await ws.send("out")
        assert (await peer.read()).text == "out"
        ws.transport.abort()


async def test_broadcast_from_another_thread_is_refused() -> None:
    async with opened() as (ws, peer):
        with pytest.raises(RuntimeError, match=MATCH):
            await asyncio.to_thread(broadcast, [ws], "x")
        assert broadcast([ws], "y")
        assert (await peer.read()).text == "y"
        ws.transport.abort()


async def test_call_by_way_of_the_loop_of_the_connection_works() -> None:
    async with serving(echo) as place, connect(place.uri) as ws:
        loop = asyncio.get_running_loop()

        def talk() -> Any:
            asyncio.run_coroutine_threadsafe(ws.send("x"), loop).result(5)
            return asyncio.run_coroutine_threadsafe(ws.recv(), loop).result(5)

        assert await asyncio.to_thread(talk) == "x"


def test_call_from_a_later_loop_is_refused() -> None:
    """As of a program that calls ``asyncio.run`` twice."""
    ready: list[Any] = []
    over = threading.Event()

    def run() -> None:
        async def main() -> None:
            async with serving(echo) as place:
                ready.append(place.uri)
                while not over.is_set():
                    await asyncio.sleep(0.01)

        asyncio.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while not ready:
            over.wait(0.01)

        async def opening() -> Any:
            return await connect(ready[0], ping_interval=None)

        loop = asyncio.new_event_loop()
        ws = loop.run_until_complete(opening())
        for name, call in CALLS.items():
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                asyncio.run(called(call, ws))
            assert name
        # Its own loop may run in another thread from now on.
        moved = threading.Thread(target=loop.run_until_complete, args=(ws.send("x"),))
        moved.start()
        moved.join(10)
        assert loop.run_until_complete(ws.recv()) == "x"
        loop.run_until_complete(ws.close())
        loop.close()
    finally:
        over.set()
        thread.join(10)
