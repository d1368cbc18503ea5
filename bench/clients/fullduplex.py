"""fullduplex, compiled or pure as FULLDUPLEX_IMPL says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import metadata

from fullduplex import connect

from . import Target
from ._websockets_api import Connection, echo_server, options


def version() -> str:
    return metadata.version("fullduplex")


async def open(target: Target) -> Connection:
    return Connection(await connect(target.uri, **options(target)))


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    from fullduplex import serve

    return await echo_server(serve, target)
