"""Exhaustion: the system has no descriptor, or no memory, for another connection.

Accepting pauses then, until a connection ends or `ACCEPT_PAUSE` is over.  The report
covers the episode, not each attempt.
"""

from __future__ import annotations

import errno

# Seconds for which no connection is accepted, unless one ends.
ACCEPT_PAUSE = 1.0
# Seconds without a failure after which an episode is over.
EPISODE = 10.0

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Exhaustion:
    """The episodes of one server."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: float | None = None

    def begins(self, now: float) -> bool:
        """Note a failure; returns whether it is the first one of an episode."""
        first = self._until is None or now >= self._until
        self._until = now + EPISODE
        return first
