"""The connection of all packages with the API of websockets: one code for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from . import Target

Message = str | bytes


def options(target: Target) -> dict[str, Any]:
    """The keywords of ``connect()``, the same for everyone."""
    given: dict[str, Any] = {
        "compression": "deflate" if target.row.deflate else None,
        "max_size": None,
        "ping_interval": None,
    }
    if target.ssl is not None:
        given["ssl"] = target.ssl
    return given


async def echo_server(
    serve: Callable[..., Any], target: Target
) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Start a server with ``serve()`` of the package; see ``clients/__init__.py``."""

    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    server = await serve(handler, "127.0.0.1", 0, **options(target))

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    return server.sockets[0].getsockname()[1], stop


async def broadcasting_server(
    serve: Callable[..., Any], broadcast: Callable[..., Any], target: Target
) -> tuple[
    int, Callable[[Message, int], Awaitable[None]], Callable[[], Awaitable[None]]
]:
    """Start a server that sends with ``broadcast()`` of the package."""
    members: set[Any] = set()

    async def handler(ws: Any) -> None:
        members.add(ws)
        try:
            async for _ in ws:
                pass
        finally:
            members.discard(ws)

    server = await serve(handler, "127.0.0.1", 0, **options(target))

    async def send(message: Message, count: int) -> None:
        while len(members) < target.row.connections:
            await asyncio.sleep(0.01)  # not all handlers have begun
        for _ in range(count):
            broadcast(members, message)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    return server.sockets[0].getsockname()[1], send, stop


class Connection:
    def __init__(self, ws: Any) -> None:
        self.ws = ws

    async def collect(self, count: int) -> list[Message]:
        return [await self.ws.recv() for _ in range(count)]

    async def receive(self, count: int) -> Message:
        message: Message = b""
        async for message in self.ws:  # noqa: B007 (the last one is returned)
            count -= 1
            if not count:
                break
        return message

    async def send(self, message: Message, count: int, burst: int) -> None:
        ws = self.ws
        for _ in range(count // burst):
            for _ in range(burst):
                await ws.send(message)
            await asyncio.sleep(0)

    async def echo(self, message: Message, count: int) -> Message:
        ws = self.ws
        answer: Message = b""
        for _ in range(count):
            await ws.send(message)
            answer = await ws.recv()
        return answer

    async def close(self) -> None:
        await self.ws.close()
