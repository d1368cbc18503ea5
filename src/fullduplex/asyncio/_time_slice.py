"""Time that a task may take before its event loop runs.  Twin of ``_time_slice_c.pyx``.

A call that finds a message waiting, or room for one, returns without suspension.  A
program that does nothing but such calls would keep the event loop from its other
connections, its timers and the end of the connection.  So every call of a connection
is counted, and once the slice is used up, the call lets the event loop run once.

    limit           value    what it bounds
    -------------   ------   ----------------------------------------------------
    `SECONDS`       1 ms     the time of the calls and of the program between them
    `CALLS`         4096     the number of calls, when they take less than that
    `STRIDE`        64       calls between two readings of the clock

A slice belongs to an event loop, for a program may call many connections in turn.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from time import monotonic
from weakref import WeakKeyDictionary

SECONDS = 0.001
CALLS = 4096
STRIDE = 64
# Calls of a new slice before the clock is read for the first time.  A task that does
# less between two suspensions costs nothing.
UNTIMED = 8


class TimeSlice:
    """The calls that tasks of one event loop may make before it runs."""

    __slots__ = ("_began", "_calls", "_left", "_scheduled", "_stride")

    def __init__(self) -> None:
        self._scheduled = False
        self.renew()

    def renew(self) -> None:
        """Begin a new slice; the event loop has run."""
        self._left = self._stride = UNTIMED
        self._calls = 0

    def _iterated(self) -> None:
        self._scheduled = False
        self.renew()

    def spend(self, loop: asyncio.AbstractEventLoop) -> bool:
        """
        Count a call.

        Args:
            loop: the event loop that the slice belongs to.

        Returns:
            Whether the caller must let the event loop run once.  A new slice has
            begun then.
        """
        self._left -= 1
        return self._left <= 0 and self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> bool:
        now = monotonic()
        if self._calls == 0:
            self._began = now
            # The task may be suspended by something else, which begins a new slice.
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon(self._iterated)
            elapsed = 0.0
        else:
            elapsed = now - self._began
        self._calls += self._stride
        if elapsed >= SECONDS or self._calls >= CALLS:
            self.renew()
            return True
        if self._calls == UNTIMED:
            self._stride = 1  # the first one that is timed
        elif elapsed > 0:
            # As many as fit into the rest at the same pace.
            timed = self._calls - UNTIMED
            fitting = int(timed * (SECONDS / elapsed - 1))
            self._stride = max(1, min(fitting, STRIDE))
        else:
            self._stride = STRIDE
        self._left = self._stride
        return False


_slices: WeakKeyDictionary[asyncio.AbstractEventLoop, TimeSlice] = WeakKeyDictionary()


def time_slice(loop: asyncio.AbstractEventLoop) -> TimeSlice:
    """Return the slice of `loop`."""
    found = _slices.get(loop)
    if found is None:
        found = _slices[loop] = TimeSlice()
    return found


@types.coroutine
def yield_once() -> Generator[None, None, None]:
    """Let the event loop run once."""
    yield
