"""Is the peer alive?  Progress says so, not only a pong.

Any byte that arrives proves that the peer lives.  While our own side does not
read, its silence proves nothing, so the deadline waits.  While our output moves,
the peer is slow, not dead, so the deadline starts again.
"""

from __future__ import annotations

import enum

__all__ = ["Due", "Keepalive"]

# While output is waiting, look this many times in a ping_timeout whether it moves.
LOOKS = 4


class Due(enum.Enum):
    """What a timer found."""

    NOTHING = enum.auto()
    PING = enum.auto()
    DEAD = enum.auto()


class Keepalive:
    """
    Decide when to ping and when to give up.

    Args:
        interval: seconds between pings; None sends none.
        timeout: seconds without progress after a ping; None waits for ever.
        now: seconds; the first ping is due `interval` later.
    """

    PING, DEAD = Due.PING, Due.DEAD

    __slots__ = (
        "_flushed",
        "_interval",
        "_left",
        "_looked_at",
        "_moved_at",
        "_next_ping",
        "_reading",
        "_resumed_at",
        "_resuming",
        "_timeout",
        "heard",
        "pinged_at",
    )

    def __init__(
        self, interval: float | None, timeout: float | None, now: float
    ) -> None:
        self._interval = interval
        self._timeout = timeout
        self._next_ping = None if interval is None else now + interval
        #: when the ping was queued that waits for a sign of life
        self.pinged_at: float | None = None
        #: whether a byte has arrived since the last ping
        self.heard = False
        self._moved_at = now
        self._looked_at = now
        self._flushed = 0
        self._left = 0
        self._reading = True
        self._resumed_at = now
        self._resuming = False

    def stop(self) -> None:
        """End keepalive; closing has its own deadline."""
        self._next_ping = self.pinged_at = None

    def reading(self, reading: bool, now: float) -> None:
        """
        Note that our side reads, or has paused.

        Who takes a message does not know the time: `now` may be long ago.
        """
        self._reading = reading
        self._resuming = reading
        if reading:
            self._resumed_at = now

    def output(self, flushed: int, left: int, now: float) -> None:
        """Note how many bytes went out in all, and how many wait."""
        self._looked_at = now
        # What left at once, such as the ping itself, tells nothing of the peer:
        # only the system took it.  Any change counts: below TLS there are bytes that
        # no count shows, and what the system holds goes up and down as they drain,
        # while nothing changes when the peer does not read.
        if flushed != self._flushed and (left or self._left):
            self._moved_at = now
        self._flushed = flushed
        self._left = left

    def overdue(self, now: float) -> bool:
        """Whether the next ping waits only for an answer to the last one."""
        return (
            self.pinged_at is not None
            and self._interval is not None
            and now >= self.pinged_at + self._interval
        )

    def deadline(self, now: float) -> float | None:
        """When to call `expired`; None for never."""
        if self.pinged_at is None:
            return self._next_ping
        assert self._interval is not None
        next_ping = self.pinged_at + self._interval
        if self.heard:
            return next_ping
        if not self._reading:
            return None
        if self._resuming:
            return self._resumed_at  # at once, to learn the time
        give_up = self._give_up_at()
        if give_up is None:
            return next_ping if next_ping > now else None
        if self._left and self._timeout:
            give_up = min(give_up, self._looked_at + self._timeout / LOOKS)
        return min(give_up, next_ping) if next_ping > now else give_up

    def expired(self, now: float) -> Due:
        """Tell what is due at `now`."""
        if self.pinged_at is not None:
            assert self._interval is not None
            if self.heard:
                self._next_ping = self.pinged_at + self._interval
                self.pinged_at = None
            elif not self._reading:
                return Due.NOTHING
            elif self._resuming:
                self._resuming = False
                self._resumed_at = now
                return Due.NOTHING
            else:
                give_up = self._give_up_at()
                if give_up is not None and now >= give_up:
                    return Due.DEAD
                return Due.NOTHING
        if self._next_ping is not None and now >= self._next_ping:
            self.pinged_at = now
            self._next_ping = None
            self.heard = False
            return Due.PING
        return Due.NOTHING

    def diagnosis(self, received_at: float, now: float) -> str:
        """Say why the peer counts as dead; `received_at` is of its last byte."""
        return (
            f"no pong within {self._timeout:g} s (ping_timeout); "
            f"the peer last sent data {now - received_at:.1f} s ago"
        )

    def _give_up_at(self) -> float | None:
        if self._timeout is None:
            return None
        assert self.pinged_at is not None
        base = max(self.pinged_at, self._moved_at, self._resumed_at)
        return base + self._timeout
