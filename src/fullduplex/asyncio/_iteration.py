"""The ends of an iteration over messages."""

from __future__ import annotations

from ..core.typing import Data


async def done() -> None:
    """Be what `aclose` of an iterator gives, which has nothing to wait for."""


async def over() -> Data:
    """Be what the next message is after `aclose`."""
    raise StopAsyncIteration
