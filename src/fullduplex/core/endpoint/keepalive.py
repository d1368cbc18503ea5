"""Keepalive (RFC 6455, 5.5.2): any progress proves a live peer, not only a pong.

Any byte that arrives proves that the peer lives.  While our own side does not read, its
silence proves nothing, and pings go on.  The deadline then holds only where TCP says
that the peer's system does not answer, or where a sender waits for a peer that takes
nothing.  While our output moves, the peer is slow, not dead, so the deadline starts
again.

    verdict               what was seen                          what follows
    -------------------   ------------------------------------   ----------------
    ALIVE                 bytes arrived, or none were due        nothing
    DEAD_LINK             nothing arrived for a ping_timeout     closed with 1011
    STALLED_PEER          nor did the peer take our output,      closed with 1011
                          though its system answers
    STALLED_APPLICATION   our side has not read for one          a warning
"""

from __future__ import annotations

import enum

from .tcp_info import TCPInfo

# While output is waiting, look this many times in a ping_timeout whether it moves.
PROGRESS_CHECKS = 4
# Seconds.  If a timer fires more than this late, the event loop was blocked, and bytes
# of the peer may be unread.  Reading goes on for as long again before a decision.
LATE_TIMER_GRACE = 0.01
# Seconds between pings that nobody answers, where `interval` is 0.
AGAIN = 1.0
# Seconds between pings at most, while our side does not read.  A peer that has closed
# TCP may be unable to say so, because what it sent before fills our system; it answers
# a ping with a reset.
PROBE = 5.0


class TimerResult(enum.Enum):
    """Result of a timer."""

    NOTHING = enum.auto()
    PING = enum.auto()
    #: our own application has stalled; told once a stall
    STALLED = enum.auto()
    #: the peer is dead or stalled; see `Keepalive.verdict`
    DEAD = enum.auto()


class Verdict(enum.Enum):
    """State of the peer; only dead links and stalled peers are closed."""

    ALIVE = "alive"
    DEAD_LINK = "dead link"
    STALLED_PEER = "stalled peer"
    STALLED_APPLICATION = "stalled application"

    def __str__(self) -> str:
        return self.value


class Keepalive:
    """
    Decide when to ping and when to give up.

    Args:
        interval: seconds between pings; None sends none.
        timeout: seconds without progress after a ping; None waits for ever, and goes
            on pinging.
        now: seconds; the first ping is due `interval` later.
    """

    PING, STALLED, DEAD = TimerResult.PING, TimerResult.STALLED, TimerResult.DEAD

    __slots__ = (
        "_accused_at",
        "_blocked",
        "_doubted_until",
        "_flushed",
        "_interval",
        "_left",
        "_link",
        "_looked_at",
        "_moved_at",
        "_next_ping",
        "_paused_at",
        "_resumed_at",
        "_resuming",
        "_timeout",
        "activity_since_ping",
        "pinged_at",
        "stalls",
        "suspend_user_timeout",
        "verdict",
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
        self.activity_since_ping = False
        #: number of stalls of our own application
        self.stalls = 0
        self.verdict = Verdict.ALIVE
        #: whether output may wait without end because the peer lives, or because
        #: our side does not read: TCP's own deadline for output must not apply
        self.suspend_user_timeout = False
        self._moved_at = now
        self._looked_at = now
        self._flushed = 0
        self._left = 0
        self._blocked = False
        #: since when a look finds something against a peer that we do not read from
        self._accused_at: float | None = None
        self._link: TCPInfo | None = None
        self._paused_at: float | None = None
        self._resumed_at = now
        self._resuming = False
        self._doubted_until: float | None = None

    def stop(self) -> None:
        """End keepalive; closing has its own deadline."""
        self._interval = self._next_ping = self.pinged_at = None

    def reading(self, reading: bool, now: float) -> None:
        """
        Note that our side reads, or has paused.

        `now` may be stale: `recv` does not read the clock.
        """
        self._resuming = reading
        if reading:
            self._paused_at = None
            self._resumed_at = now
            if self.verdict is Verdict.STALLED_APPLICATION:
                self.verdict = Verdict.ALIVE
        else:
            self._paused_at = now

    def blocked(self) -> bool:
        """
        Note that output began to wait; it is looked at soon.

        Returns:
            Whether that changes the deadline.
        """
        self._left = self._left or 1
        return self.pinged_at is not None and not self.activity_since_ping

    def output(
        self,
        flushed: int,
        left: int,
        now: float,
        link: TCPInfo | None = None,
        *,
        blocked: bool = False,
    ) -> None:
        """
        Note how much went out in all, how many bytes wait, and what TCP knows.

        Args:
            flushed: bytes that left, counted where `link` is not known.
            left: bytes that the peer's system has not taken.
            blocked: whether a sender waits for the peer to take them.
        """
        self._looked_at = now
        self._blocked = blocked
        last, self._link = self._link, link
        if link is None or last is None:
            # Any change counts.  Below TLS there are bytes that no count shows.  The
            # size of the system's buffer goes up and down while they drain, and stays
            # the same when the peer does not read.
            moved = flushed != self._flushed
        else:
            moved = link.acknowledged != last.acknowledged
            if link.received != last.received:
                # Not enough for a whole record of TLS, or not read by us yet.
                self.activity_since_ping = True
        # Output that left at once, such as the ping itself, tells nothing of the peer:
        # only the system took it.
        if moved and (left or self._left):
            self._moved_at = now
        if moved or not left:
            self.suspend_user_timeout = False
        elif self.activity_since_ping or self.pinged_at is None:
            self.suspend_user_timeout = True
        self._flushed = flushed
        self._left = left
        if not blocked and (link is None or link.answering):
            self._accused_at = None
        elif self._accused_at is None:
            self._accused_at = now

    def overdue(self, now: float) -> bool:
        """Whether the next ping waits only for an answer to the last one."""
        return (
            self.pinged_at is not None
            and self._interval is not None
            and now >= self.pinged_at + self._interval
        )

    def deadline(self, now: float) -> float | None:
        """When to call `expired`; None for never."""
        if self._interval is None:
            return None
        stall = self._stall_at()
        if self.pinged_at is None:
            return _earliest(self._first_ping(), stall)
        next_ping = self.pinged_at + self._every()
        if self.activity_since_ping:
            return _earliest(next_ping, stall)
        if self._resuming:
            return self._resumed_at  # at once, to learn the time
        if self._doubted_until is not None:
            return self._doubted_until
        give_up = self._give_up_at()
        look = None
        if self._left and self._timeout:
            look = self._looked_at + self._timeout / PROGRESS_CHECKS
        if give_up is None or not self._judges():
            return _earliest(stall, self._again_at(), look)
        return _earliest(stall, give_up, look, next_ping if next_ping > now else None)

    def expired(self, now: float) -> TimerResult:
        """Tell what is due at `now`."""
        if self._interval is None:
            return TimerResult.NOTHING
        stall = self._stall_at()
        if stall is not None and now >= stall:
            self.verdict = Verdict.STALLED_APPLICATION
            self.stalls += 1
            self.suspend_user_timeout = True
            return TimerResult.STALLED
        if self.pinged_at is not None:
            if not self.activity_since_ping:
                return self._unheard(now)
            if now < self.pinged_at + self._every():
                return TimerResult.NOTHING
            self._next_ping = self.pinged_at + self._interval
            self.pinged_at = None
        first = self._first_ping()
        if first is not None and now >= first:
            self.pinged_at = now
            self._next_ping = None
            self.activity_since_ping = False
            self._doubted_until = None
            return TimerResult.PING
        return TimerResult.NOTHING

    def _unheard(self, now: float) -> TimerResult:
        """Judge a peer that has not been heard since the last ping."""
        if self._resuming:
            self._resuming = False
            self._resumed_at = now
        give_up = self._give_up_at()
        if give_up is None or not self._judges():
            self._doubted_until = None
            return self._ping_again(now)
        if now < give_up:
            self._doubted_until = None
            return TimerResult.NOTHING
        if self._doubted_until is None and now > give_up + LATE_TIMER_GRACE:
            self._doubted_until = now + LATE_TIMER_GRACE
        if self._doubted_until is not None and now < self._doubted_until:
            return TimerResult.NOTHING
        waits = self._left > 0 and (self._link is None or self._link.answering)
        self.verdict = Verdict.STALLED_PEER if waits else Verdict.DEAD_LINK
        return TimerResult.DEAD

    def _judges(self) -> bool:
        """
        Whether silence counts.

        While our side does not read, only what TCP knows does: what the peer's system
        has not acknowledged, or what a sender waits to get rid of.
        """
        return (
            self._paused_at is None
            or self._blocked
            or (self._link is not None and not self._link.answering)
        )

    def _every(self) -> float:
        """Return the seconds from ping to ping."""
        assert self._interval is not None
        if self._paused_at is None:
            return self._interval
        return min(self._interval, PROBE)

    def _first_ping(self) -> float | None:
        """When to ping if no ping waits for a sign of life."""
        if self._next_ping is None or self._paused_at is None:
            return self._next_ping
        return min(self._next_ping, self._paused_at + PROBE)

    def _again_at(self) -> float:
        """When to ping again where the last ping was not answered, and need not be."""
        assert self.pinged_at is not None
        base = max(self.pinged_at, self._looked_at) if self._left else self.pinged_at
        return base + (self._every() or AGAIN)

    def _ping_again(self, now: float) -> TimerResult:
        """Ping, so that an end of TCP comes back, unless a ping waits in our system."""
        if self._left or now < self._again_at():
            return TimerResult.NOTHING
        self.pinged_at = now
        return TimerResult.PING

    def diagnosis(self, received_at: float, now: float) -> str:
        """
        Say what is wrong, after `TimerResult.STALLED` or `TimerResult.DEAD`.

        Args:
            received_at: when the peer's last byte arrived.
        """
        limit = f"{self._timeout:g} s (ping_timeout)"
        last = f"the peer last sent data {now - received_at:.1f} s ago"
        if self.verdict is Verdict.STALLED_APPLICATION:
            return (
                f"stalled application: reading has been paused for {limit}, because "
                "received messages are not taken"
            )
        if self.verdict is Verdict.STALLED_PEER:
            return (
                f"stalled peer: {self._left:,} bytes of output have not moved for "
                f"{limit}; {last}"
            )
        return f"dead link: no pong within {limit}; {last}"

    def _stall_at(self) -> float | None:
        if (
            self._paused_at is None
            or self._timeout is None
            or self.verdict is Verdict.STALLED_APPLICATION
        ):
            return None
        return self._paused_at + self._timeout

    def _give_up_at(self) -> float | None:
        if self._timeout is None:
            return None
        assert self.pinged_at is not None
        base = max(self.pinged_at, self._moved_at, self._resumed_at)
        if self._paused_at is not None and self._accused_at is not None:
            # Output that left a moment ago has had no time to be acknowledged.
            base = max(base, self._accused_at)
        return base + self._timeout


def _earliest(*moments: float | None) -> float | None:
    return min((at for at in moments if at is not None), default=None)
