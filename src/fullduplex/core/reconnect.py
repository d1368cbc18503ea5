"""When to connect again: how long to wait, and whether it is worth it.

Delays grow, so that a server which is down is not kept down by its clients.  The
first one is random, so that clients which lost a server together don't come back
together.
"""

from __future__ import annotations

import math
import random as _random
from collections.abc import Callable, Generator
from typing import Final

from .environ import setting
from .errors import InvalidMessage, InvalidStatus

__all__ = [
    "BACKOFF_FACTOR",
    "BACKOFF_INITIAL_DELAY",
    "BACKOFF_MAX_DELAY",
    "BACKOFF_MIN_DELAY",
    "backoff",
    "process_exception",
]

BACKOFF_INITIAL_DELAY: float = setting("BACKOFF_INITIAL_DELAY", 5.0, float)
"""Seconds below which the first delay is."""

BACKOFF_MIN_DELAY: float = setting("BACKOFF_MIN_DELAY", 3.1, float)
"""Seconds of the second delay."""

BACKOFF_MAX_DELAY: float = setting("BACKOFF_MAX_DELAY", 90.0, float)
"""Seconds that no delay exceeds."""

BACKOFF_FACTOR: float = setting("BACKOFF_FACTOR", 1.618, float)
"""What each later delay is multiplied with."""

# The server is there, and says that it can't answer for now.
TRANSIENT_STATUS: Final = frozenset({500, 502, 503, 504})


def backoff(
    initial_delay: float = BACKOFF_INITIAL_DELAY,
    min_delay: float = BACKOFF_MIN_DELAY,
    max_delay: float = BACKOFF_MAX_DELAY,
    factor: float = BACKOFF_FACTOR,
    *,
    random: Callable[[], float] = _random.random,
) -> Generator[float, None, None]:
    """
    Make the delays between attempts to connect; they never end.

    Make a new generator after a success.

    Args:
        initial_delay: the first delay is random, between 0 and this, in seconds.
        min_delay: the second delay, in seconds.
        max_delay: largest delay from the second one on, in seconds.
        factor: how much longer each delay is than the one before; at least 1.
        random: gives a number from 0 to below 1.

    Raises:
        ValueError: an argument is negative or not a number, or ``factor`` is below 1.
    """
    for name, value in (
        ("initial_delay", initial_delay),
        ("min_delay", min_delay),
        ("max_delay", max_delay),
    ):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value!r}, expected seconds, 0 or more")
    if not 1 <= factor < math.inf:
        raise ValueError(f"factor is {factor!r}, expected 1 or more")
    return _delays(initial_delay, min_delay, max_delay, factor, random)


def _delays(
    initial_delay: float,
    min_delay: float,
    max_delay: float,
    factor: float,
    random: Callable[[], float],
) -> Generator[float, None, None]:
    yield random() * initial_delay
    delay = min_delay
    while delay < max_delay:
        yield delay
        # min_delay 0 stays 0, which is what was asked for.
        delay *= factor
    while True:
        yield max_delay


def process_exception(exc: Exception) -> Exception | None:
    """
    Tell whether connecting again may help, after this exception.

    It may after failures of the network (:exc:`OSError`, so of DNS and TLS too, and
    :exc:`TimeoutError`), after a server that went away instead of answering, and
    after status 500, 502, 503 and 504.  Otherwise the same will happen again.

    Args:
        exc: what opening or closing a connection raised.

    Returns:
        ``None`` to connect again, or the exception to raise.
    """
    if isinstance(exc, (OSError, TimeoutError)):
        return None
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return None
    if isinstance(exc, InvalidStatus) and exc.status_code in TRANSIENT_STATUS:
        return None
    return exc
