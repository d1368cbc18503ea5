"""Waiters on trio, and the state that all connections of one run share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from trio.lowlevel import Abort, current_task, reschedule

from ..core.wire.wire import ReadBuffer


def run_clock() -> Callable[[], float]:
    """Return what tells the time in this run of trio (seconds)."""
    return trio.lowlevel.current_clock().current_time


_buffer: trio.lowlevel.RunVar[ReadBuffer] = trio.lowlevel.RunVar("fullduplex buffer")


def run_buffer() -> ReadBuffer:
    """Return the memory that all connections of this run read into."""
    try:
        return _buffer.get()
    except LookupError:
        buffer = ReadBuffer()
        _buffer.set(buffer)
        return buffer


class Waiter:
    """Something that one task waits for, once."""

    __slots__ = ("_task", "fired")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self.fired = False

    def fire(self) -> None:
        """Let the task go on in the next turn."""
        self.fired = True
        task, self._task = self._task, None
        if task is not None:
            reschedule(task)

    async def wait(self) -> None:
        """Wait for `fire`; always a checkpoint, and safe to cancel."""
        if self.fired:
            await trio.lowlevel.checkpoint()
            return
        self._task = current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: Any) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
