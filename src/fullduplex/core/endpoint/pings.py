"""Pings that wait for their pongs, and the round-trip times that pongs tell."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Protocol as Interface

# Keepalive pings that are remembered while no pong comes.
KEPT_PINGS = 4
#: Round-trip times that are remembered.
HISTORY = 64


class PingSink(Interface):
    """Where the fate of a ping is told."""

    def acknowledged(self, rtt: float) -> None:
        """The peer answered after `rtt` seconds."""

    def lost(self, exc: BaseException) -> None:
        """The connection ended first."""


class RoundTrips:
    """A history of round-trip times, four bytes each; it forgets the oldest."""

    __slots__ = ("_times", "count")

    def __init__(self) -> None:
        self._times = array("f")
        #: number of times that were added
        self.count = 0

    def add(self, seconds: float) -> None:
        """Remember one more, and forget the oldest if there are many."""
        if len(self._times) < HISTORY:
            self._times.append(seconds)
        else:
            self._times[self.count % HISTORY] = seconds
        self.count += 1

    @property
    def times(self) -> list[float]:
        """Stored times in seconds, the latest last."""
        start = self.count % HISTORY if len(self._times) == HISTORY else 0
        ordered = [*self._times[start:], *self._times[:start]]
        # Four bytes keep seven digits: what else they hold is noise.
        return [round(seconds, 7) for seconds in ordered]


class PingTracker:
    """
    The pings of a connection, and what their pongs tell.

    Args:
        random: source of payloads.
    """

    __slots__ = ("_random", "_waiting", "answered", "latency", "rtt", "sent")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        # By payload; None until the first ping, for most connections are idle.
        self._waiting: dict[bytes, tuple[PingSink | None, float]] | None = None
        #: number of pings that were sent
        self.sent = 0
        #: number of those that were answered
        self.answered = 0
        #: seconds, of the last ping that was answered; 0 before
        self.latency = 0.0
        #: the last round-trip times; None before the first
        self.rtt: RoundTrips | None = None

    def __contains__(self, payload: bytes) -> bool:
        return self._waiting is not None and payload in self._waiting

    def __len__(self) -> int:
        return 0 if self._waiting is None else len(self._waiting)

    def new_payload(self) -> bytes:
        """Return a payload that no waiting ping has."""
        while True:
            payload = self._random(4)
            if payload not in self:
                return payload

    def add(self, payload: bytes, sink: PingSink | None, now: float) -> None:
        """Note that a ping is sent; keepalive has no `sink`."""
        if self._waiting is None:
            self._waiting = {}
        elif sink is None:
            # A peer that lives but does not answer must not cost memory for ever.
            unanswered = [key for key, (own, _) in self._waiting.items() if own is None]
            for key in unanswered[:-KEPT_PINGS]:
                del self._waiting[key]
        self._waiting[payload] = (sink, now)
        self.sent += 1

    def pong_received(self, payload: bytes, now: float) -> None:
        """Note a pong (RFC 6455, 5.5.3); unsolicited ones tell nothing."""
        waiting = self._waiting
        if waiting is None or payload not in waiting:
            return
        # A pong answers its ping and all earlier ones: the peer may answer only
        # the latest.
        for key in list(waiting):
            sink, sent_at = waiting.pop(key)
            rtt = now - sent_at
            self.answered += 1
            if sink is not None:
                sink.acknowledged(rtt)
            if key == payload:
                self.latency = rtt
                if self.rtt is None:
                    self.rtt = RoundTrips()
                self.rtt.add(rtt)
                break

    def connection_lost(self, close_exc: Callable[[], BaseException]) -> None:
        """
        Note that no more pongs will come.

        Args:
            close_exc: makes the exception for each ping that waits.
        """
        waiting, self._waiting = self._waiting, None
        if waiting:
            for sink, _ in waiting.values():
                if sink is not None:
                    sink.lost(close_exc())
