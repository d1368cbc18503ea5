"""The testee on trio."""

from __future__ import annotations

import ssl
from typing import Any

import trio

from fullduplex.trio import connect, serve

from .testee import PATIENT, AsyncClient, echo

__all__ = ["Client", "run_server"]


class Client(AsyncClient):
    """Runs the cases of one fuzzing server."""

    connect = connect

    async def limited(self, seconds: float, function: Any, *args: Any) -> None:
        with trio.move_on_after(seconds):
            return await function(*args)
        raise TimeoutError

    async def at_once(self, count: int, function: Any) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(function)

    def run(self) -> None:
        trio.run(self.run_all)


def run_server(port: int, context: ssl.SSLContext | None = None) -> None:
    """Echo until terminated."""

    async def echo_at(task_status: Any) -> None:
        await serve(
            echo, port, "127.0.0.1", task_status=task_status, ssl=context, **PATIENT
        )

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(echo_at)
            print(server.sockets[0].getsockname()[1], flush=True)

    trio.run(run)
