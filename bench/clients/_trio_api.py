"""The connection of all packages with the trio API of websockets."""

from __future__ import annotations

from typing import Any

from . import Target
from ._websockets_api import Connection as _Connection
from ._websockets_api import options


class Connection(_Connection):
    """`send` with bursts is asyncio's; the rows of trio have no such thing."""

    def __init__(self, ws: Any, manager: Any) -> None:
        super().__init__(ws)
        self.manager = manager

    async def close(self) -> None:
        """Leave the block that `enter` has entered, which closes the connection."""
        await self.manager.__aexit__(None, None, None)


async def enter(connect: Any, target: Target) -> Connection:
    """Enter ``async with connect(uri)``: its one way to be opened."""
    manager = connect(target.uri, **options(target))
    return Connection(await manager.__aenter__(), manager)
