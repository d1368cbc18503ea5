"""Time that tests measure, and time that they wait at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 5.0


class Stopwatch:
    """
    Seconds since it was made; as a context manager, seconds that the block takes.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None

    def __enter__(self) -> Self:
        self._began = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = self._clock()

    @property
    def elapsed(self) -> float:
        return (self._clock() if self._ended is None else self._ended) - self._began


def until(condition: Callable[[], Any], what: str = "it") -> None:
    """Block until a condition holds that notifies nobody."""
    watch = Stopwatch()
    while not condition():
        assert watch.elapsed < PATIENCE, f"{what} did not happen"
        time.sleep(0.002)
