"""A connection that is used from another run of trio says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from fullduplex.trio import broadcast

from ..kit.bytes import TEXT, frame
from .kit import opened

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "send": lambda ws: ws.send("x"),
    "send fragments": lambda ws: ws.send(["x", "y"]),
    "recv": lambda ws: ws.recv(),
    "recv(decode)": lambda ws: ws.recv(decode=False),
    "anext": lambda ws: ws.__anext__(),
    "ping": lambda ws: ws.ping(),
    "pong": lambda ws: ws.pong(),
    "aclose": lambda ws: ws.aclose(),
    "wait_closed": lambda ws: ws.wait_closed(),
    "broadcast": lambda ws: broadcast([ws], "x"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_call_from_another_run_is_refused_and_changes_nothing(name: str) -> None:
    async with opened() as (ws, peer):

        async def called() -> None:
            with trio.fail_after(5):
                await CALLS[name](ws)

        def elsewhere() -> None:
            trio.run(called)

        for waiting in (False, True):
            if waiting:
                await peer.write(frame(TEXT, "in"))
                with trio.fail_after(5):
                    while not ws._messages:
                        await trio.sleep(0.001)
            with pytest.raises(RuntimeError, match="belongs to another trio run"):
                await trio.to_thread.run_sync(elsewhere)
        assert await ws.recv() == "in"
        await ws.send("out")
        assert (await peer.read()).text == "out"


async def test_call_by_way_of_the_token_of_the_run_works() -> None:
    async with opened() as (ws, peer):
        await trio.to_thread.run_sync(lambda: trio.from_thread.run(ws.send, "out"))
        assert (await peer.read()).text == "out"
