"""websockets, its trio client."""

from __future__ import annotations

from importlib import metadata

from websockets.trio.client import connect

from . import Target
from ._trio_api import Connection, enter


def version() -> str:
    return metadata.version("websockets")


async def open(target: Target) -> Connection:
    return await enter(connect, target)
