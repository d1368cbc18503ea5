"""One thread a process looks after connections whose application is elsewhere.

It starts with the first connection and goes with the last.  It reads, so that pings
are answered, sends what waits, and runs the deadlines, of connections that no caller
is at work on; it never waits for one that a caller has.

Input is watched for once: after an event, a connection is left out until it is seen
without a caller, at the next look, a second later at most.  So a caller that sends
and receives all the time wakes this thread once a second, and a thousand connections
on which nothing happens do not wake it at all.
"""

from __future__ import annotations

import heapq
import math
import os
import selectors
import socket
import threading
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._channel import IN, OUT

if TYPE_CHECKING:
    from ._flow import Flow

__all__ = ["Housekeeper", "adopt", "call_at", "forget", "look_after"]

# Seconds between looks at connections that a caller was at work on.
LOOK = 1.0


class Housekeeper:
    """The thread, and what it looks after."""

    def __init__(self) -> None:
        # Guards what follows.  A driver's lock may be held when it is taken, never
        # the other way round.
        self._lock = threading.Lock()
        self.drivers: set[Flow] = set()
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector
        self._bell: socket.socket
        self._ringer: socket.socket
        self._rung = False
        # Connections that are not watched now.
        self._aside: set[Flow] = set()
        self._alarms: list[tuple[float, int, Flow]] = []
        self._order = count()
        self._look_at = math.inf
        self._wakes_at = 0.0

    # What drivers call

    def adopt(self, driver: Flow) -> None:
        """Look after a connection from now on."""
        with self._lock:
            self.drivers.add(driver)
            self._aside.add(driver)
            if self._thread is None:
                self._start()
            else:
                self._ring(monotonic() + LOOK)

    def forget(self, driver: Flow) -> None:
        """Let a connection go whose socket is about to be closed."""
        with self._lock:
            if driver not in self.drivers:
                return
            self.drivers.discard(driver)
            self._aside.discard(driver)
            self._unwatch(driver)
            if not self.drivers:
                self._ring(0)

    def call_at(self, when: float, driver: Flow) -> None:
        """Look at a connection at a moment."""
        with self._lock:
            if driver in self.drivers:
                driver.alarm = when
                heapq.heappush(self._alarms, (when, next(self._order), driver))
                self._ring(when)

    def look_after(self, driver: Flow) -> None:
        """Look at a connection soon: a caller has left something undone."""
        with self._lock:
            if driver in self.drivers:
                self._unwatch(driver)
                self._aside.add(driver)
                driver.alarm = 0.0
                heapq.heappush(self._alarms, (0.0, next(self._order), driver))
                self._ring(0)

    def give_up(self) -> None:
        """Close what a parent process goes on using."""
        if self._thread is not None:
            self._selector.close()
            self._bell.close()
            self._ringer.close()

    # The thread

    def _start(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._rung = False
        self._look_at = math.inf
        self._wakes_at = 0.0
        self._thread = threading.Thread(
            target=self._run, name="fullduplex housekeeping", daemon=True
        )
        self._thread.start()

    def _ring(self, when: float) -> None:
        """Wake the thread if it would sleep for longer; the lock is held."""
        if when < self._wakes_at and not self._rung:
            self._rung = True
            try:
                self._ringer.send(b"\0")
            except OSError:
                pass  # it is full, so there is enough of it

    def _unwatch(self, driver: Flow) -> None:
        try:
            self._selector.unregister(driver.sock)
        except (KeyError, ValueError, OSError):
            pass  # it was not watched

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self.drivers:
                    self._alarms.clear()
                    self.give_up()
                    self._thread = None
                    return
                now = monotonic()
                if self._aside and self._look_at == math.inf:
                    self._look_at = now + LOOK
                self._wakes_at = self._look_at
                if self._alarms:
                    self._wakes_at = min(self._wakes_at, self._alarms[0][0])
                wait = self._wakes_at - now
            found = self._selector.select(None if wait == math.inf else max(wait, 0))
            for driver, readable in self._choose(found).items():
                self._tend(driver, readable)

    def _choose(self, found: list[tuple[Any, int]]) -> dict[Flow, bool]:
        """Find the connections to look at, and whether they have input."""
        with self._lock:
            now = monotonic()
            self._wakes_at = 0.0
            chosen: dict[Flow, bool] = {}
            if now >= self._look_at:
                self._look_at = math.inf
                chosen = dict.fromkeys(self._aside, False)
            for key, events in found:
                driver = key.data
                if driver is None:
                    self._rung = False
                    try:
                        self._bell.recv(64)
                    except OSError:
                        pass
                elif driver in self.drivers:
                    self._unwatch(driver)
                    self._aside.add(driver)
                    chosen[driver] = events & selectors.EVENT_READ != 0
            while self._alarms and self._alarms[0][0] <= now:
                _, _, driver = heapq.heappop(self._alarms)
                if driver in self.drivers:
                    driver.alarm = math.inf
                    chosen.setdefault(driver, False)
            return chosen

    def _tend(self, driver: Flow, readable: bool) -> None:
        now = monotonic()
        busy, events = driver.tend(now, readable)
        with self._lock:
            if driver not in self.drivers:
                return
            due = driver.due
            if busy:
                due = max(due, now + LOOK)
            if due < driver.alarm:
                driver.alarm = due
                heapq.heappush(self._alarms, (due, next(self._order), driver))
            wanted = 0
            if events & IN:
                wanted |= selectors.EVENT_READ
            if events & OUT:
                wanted |= selectors.EVENT_WRITE
            if busy or not wanted:
                return
            self._unwatch(driver)
            try:
                self._selector.register(driver.sock, wanted, driver)
            except (KeyError, ValueError, OSError):
                self.drivers.discard(driver)  # its opening was given up
            self._aside.discard(driver)


_housekeeper = Housekeeper()


def adopt(driver: Flow) -> None:
    """Look after a connection from now on."""
    _housekeeper.adopt(driver)


def forget(driver: Flow) -> None:
    """Let a connection go whose socket is about to be closed."""
    _housekeeper.forget(driver)


def call_at(when: float, driver: Flow) -> None:
    """Look at a connection at a moment, on the clock of `time.monotonic`."""
    _housekeeper.call_at(when, driver)


def look_after(driver: Flow) -> None:
    """Look at a connection soon: a caller has left something undone."""
    _housekeeper.look_after(driver)


def _forked() -> None:
    """Give up, in a child, what belongs to the process that forked."""
    global _housekeeper
    parents, _housekeeper = _housekeeper, Housekeeper()
    for driver in list(parents.drivers):
        try:
            driver.orphan()
        except Exception:  # noqa: S112
            continue  # it was being changed by another thread at that moment
    parents.give_up()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
