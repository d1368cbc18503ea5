"""websockets, its blocking client."""

from __future__ import annotations

from importlib import metadata

from websockets.sync.client import connect

from . import Target
from ._blocking_api import Connection
from ._websockets_api import options


def version() -> str:
    return metadata.version("websockets")


async def open(target: Target) -> Connection:
    return Connection(connect(target.uri, **options(target)))
