"""picows.websockets, the API of websockets over picows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import metadata

from picows.websockets import connect

from . import Target
from ._websockets_api import Connection, echo_server, options


def version() -> str:
    return metadata.version("picows")


async def open(target: Target) -> Connection:
    return Connection(await connect(target.uri, **options(target)))


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    from picows.websockets import serve

    return await echo_server(serve, target)
