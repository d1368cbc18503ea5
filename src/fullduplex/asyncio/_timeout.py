"""A deadline for what a task does, with less machinery than `asyncio.timeout`."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """
    Let a block of code raise `TimeoutError` when it takes too long.

    It is `asyncio.timeout` in all it does but that it can't be moved, nor entered
    twice.

    Args:
        loop: the running loop.
        seconds: from now on; None for no limit.

    Raises:
        RuntimeError: there is a limit, and no task that could be cancelled.
    """

    __slots__ = ("_cancelling", "_expired", "_handle", "_task")

    _task: asyncio.Task[object]
    _cancelling: int

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
        self._expired = False
        self._handle: asyncio.Handle | None = None
        if seconds is None:
            return
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("open_timeout works in a task only; or let it be None")
        self._task = task
        self._cancelling = task.cancelling()
        if seconds > 0:
            self._handle = loop.call_later(seconds, self._expire)
        else:
            self._handle = loop.call_soon(self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        # A cancellation by somebody else, before ours or after it, goes on as one.
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from exc
