"""Subclasses of `connect`, and what is set on an object."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from fullduplex.core.client.backoff import Backoff
from fullduplex.trio import ClientConnection, connect, serve


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


class Counting(connect):
    calls = 0

    async def connect(self, nursery: trio.Nursery) -> ClientConnection:
        self.calls += 1
        return await super().connect(nursery)


async def test_connect_of_a_subclass_is_used_by_a_block() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, echo, 0, "127.0.0.1")
        uri = f"ws://127.0.0.1:{server.listeners[0].socket.getsockname()[1]}/"
        opening = Counting(uri)
        async with opening as ws:
            await ws.send("a")
            assert await ws.recv() == "a"
            assert opening.connection is ws
        assert opening.calls == 1
        nursery.cancel_scope.cancel()


async def test_loop_over_a_class_that_it_would_pass_by_is_refused() -> None:
    class Block(connect):
        async def __aexit__(self, *args: Any) -> None:
            pass

    with pytest.raises(TypeError, match=r"Counting overrides connect\(\), which"):
        aiter(Counting("ws://localhost/"))
    with pytest.raises(TypeError, match=r"Block overrides __aexit__\(\), which"):
        aiter(Block("ws://localhost/"))


async def test_what_is_set_on_an_object_counts() -> None:
    opening = connect("ws://localhost:1/")
    opening.BACKOFF_MAX = 2.0
    seen: list[Exception] = []

    def decide(exc: Exception) -> Exception | None:
        seen.append(exc)
        return exc

    opening.process_exception = decide
    connections: Any = aiter(opening)
    assert connections._again._make == Backoff(max=2.0)
    with pytest.raises(OSError):
        await anext(connections)
    assert len(seen) == 1
