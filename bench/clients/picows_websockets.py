"""picows.websockets, the API of websockets over picows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from picows.websockets import connect

from . import Target
from ._websockets_api import Connection, broadcasting_server, echo_server, options


def version() -> str:
    return metadata.version("picows")


async def open(target: Target) -> Connection:
    return Connection(await connect(target.uri, **options(target)))


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    from picows.websockets import serve

    return await echo_server(serve, target)


async def broadcaster(target: Target) -> Any:
    from picows.websockets import broadcast, serve

    return await broadcasting_server(serve, broadcast, target)
