"""Nurseries that raise no exception group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import trio


class QuietNursery:
    """
    A nursery whose tasks raise nothing.

    An exception of its block goes on as it is, once the tasks have ended; it cancels
    none of them.
    """

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> trio.Nursery:
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with ungrouped():
            await self._manager.__aexit__(None, None, None)


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise, instead of a group, the exception in it that tells most."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    # The exception that ended the others comes before theirs.
    _, rest = group.split(trio.Cancelled)
    exc: BaseException = group if rest is None else rest
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
