"""Iteration over the messages of a connection by way of its `__anext__`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Self

from ..core.typing import Data
from .driver import AsyncDriver


async def over(driver: AsyncDriver) -> Data:
    """Be what the next message is after `aclose`."""
    await driver.checkpoint()
    raise StopAsyncIteration


class Iteration:
    """
    The messages of a connection, for ``async for``.

    Closing the iterator does not close the connection.

    Args:
        connection: object with `__anext__`.
        driver: the driver of the connection.
    """

    __slots__ = ("_connection", "_driver")

    def __init__(self, connection: Any, driver: AsyncDriver) -> None:
        self._connection = connection
        self._driver = driver

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Data]:
        if self._connection is None:
            return over(self._driver)
        following: Awaitable[Data] = self._connection.__anext__()
        return following

    async def aclose(self) -> None:
        """
        End the iteration; the connection goes on.

        Cancellation: a checkpoint; the iteration ends in any case.
        """
        self._connection = None
        await self._driver.checkpoint()
