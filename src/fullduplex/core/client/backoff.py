"""Delays between attempts to connect.

Delays grow, so that a server which is down is not kept down by its clients.  They are
random, so that clients which lost a server together don't come back together.
"""

from __future__ import annotations

import math
import random as _random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from ..environ import environment_value

BACKOFF_INITIAL_DELAY: float = environment_value("BACKOFF_INITIAL_DELAY", 5.0, float)
"""Seconds below which the first delay is."""

BACKOFF_MIN_DELAY: float = environment_value("BACKOFF_MIN_DELAY", 3.1, float)
"""Seconds of the second delay."""

BACKOFF_MAX_DELAY: float = environment_value("BACKOFF_MAX_DELAY", 90.0, float)
"""Seconds that no delay exceeds."""

BACKOFF_FACTOR: float = environment_value("BACKOFF_FACTOR", 1.618, float)
"""Factor between a delay and the next one."""

RESET_AFTER: Final = 10.0


@dataclass(frozen=True)
class Backoff:
    """
    The delays between attempts to connect, for ``reconnect_delays``.

    The n-th delay in a row lies between ``(1 - jitter)`` times a bound and the bound.
    The first bound is `initial` (RFC 6455, 7.2.3), the second is `min`, and each later
    one is `factor` times the one before, up to `max`.

    Args:
        initial: bound of the first delay, in seconds.
        min: bound of the second delay, in seconds.
        max: largest bound from the second delay on, in seconds.
        factor: factor between a bound and the next one; at least 1.
        jitter: part of each delay that is random, from 0 (none) to 1 (all of it).
        reset_after: seconds for which a connection must have been open for the delays
            to begin anew.  A server that accepts connections and closes them at once
            so sees a handful of attempts, not hundreds.

    Raises:
        ValueError: an argument is out of range.

    It is a value: it may be shared, compared and changed with `dataclasses.replace`.
    """

    initial: float = BACKOFF_INITIAL_DELAY
    min: float = BACKOFF_MIN_DELAY
    max: float = BACKOFF_MAX_DELAY
    factor: float = BACKOFF_FACTOR
    jitter: float = 1.0
    reset_after: float = RESET_AFTER

    def __post_init__(self) -> None:
        for name in ("initial", "min", "max", "reset_after"):
            _check_seconds(name, getattr(self, name))
        _check_factor(self.factor)
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter!r}, expected 0 to 1")

    def __call__(self) -> Generator[float]:
        """Make the delays anew; they never end."""
        return self.delays()

    def delays(
        self, random: Callable[[], float] = _random.random
    ) -> Generator[float, None, None]:
        """
        Make the delays, in seconds; they never end.

        Args:
            random: gives a number from 0 to below 1.
        """
        for bound in _bounds(self.initial, self.min, self.max, self.factor):
            yield bound * (1 - self.jitter + self.jitter * random())


def backoff(
    initial_delay: float = BACKOFF_INITIAL_DELAY,
    min_delay: float = BACKOFF_MIN_DELAY,
    max_delay: float = BACKOFF_MAX_DELAY,
    factor: float = BACKOFF_FACTOR,
    *,
    random: Callable[[], float] = _random.random,
) -> Generator[float, None, None]:
    """
    Make delays of which only the first is random; `Backoff` is kinder to servers.

    Args:
        initial_delay: the first delay is random, between 0 and this, in seconds.
        min_delay: the second delay, in seconds.
        max_delay: largest delay from the second one on, in seconds.
        factor: factor between a delay and the next one; at least 1.
        random: gives a number from 0 to below 1.

    Raises:
        ValueError: an argument is negative or not a number, or ``factor`` is below 1.
    """
    for name, value in (
        ("initial_delay", initial_delay),
        ("min_delay", min_delay),
        ("max_delay", max_delay),
    ):
        _check_seconds(name, value)
    _check_factor(factor)
    return _mostly_fixed(initial_delay, min_delay, max_delay, factor, random)


def _mostly_fixed(
    initial_delay: float,
    min_delay: float,
    max_delay: float,
    factor: float,
    random: Callable[[], float],
) -> Generator[float, None, None]:
    bounds = _bounds(initial_delay, min_delay, max_delay, factor)
    yield next(bounds) * random()
    yield from bounds


def _bounds(
    initial: float, least: float, most: float, factor: float
) -> Generator[float, None, None]:
    yield initial
    bound = least
    while bound < most:
        yield bound
        # A bound of 0 stays 0, which is what was asked for.
        bound *= factor
    while True:
        yield most


def _check_seconds(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}, expected seconds, 0 or more")


def _check_factor(factor: float) -> None:
    if not 1 <= factor < math.inf:
        raise ValueError(f"factor is {factor!r}, expected 1 or more")
