"""The testee on asyncio."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from fullduplex import connect, serve

from .testee import PATIENT, AsyncClient, echo

__all__ = ["Client", "run_server"]


class Client(AsyncClient):
    """Runs the cases of one fuzzing server."""

    connect = connect

    async def limited(self, seconds: float, function: Any, *args: Any) -> None:
        async with asyncio.timeout(seconds):
            await function(*args)

    async def at_once(self, count: int, function: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(function())

    def run(self) -> None:
        asyncio.run(self.run_all())


def run_server(port: int, context: ssl.SSLContext | None = None) -> None:
    """Echo until terminated."""

    async def run() -> None:
        async with serve(echo, "127.0.0.1", port, ssl=context, **PATIENT) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await asyncio.get_running_loop().create_future()

    asyncio.run(run())
