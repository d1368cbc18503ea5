"""The ends of an iteration over messages, and one over those of a subclass."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Self

from ..core.typing import Data


async def done() -> None:
    """Be what `aclose` of an iterator gives, which has nothing to wait for."""


async def over() -> Data:
    """Be what the next message is after `aclose`."""
    raise StopAsyncIteration


class Iteration:
    """
    The messages of a connection whose class overrides how they are received.

    Args:
        connection: object with `__anext__`.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Data]:
        if self._connection is None:
            return over()
        following: Awaitable[Data] = self._connection.__anext__()
        return following

    async def aclose(self) -> None:
        """End the iteration; the connection goes on."""
        self._connection = None
