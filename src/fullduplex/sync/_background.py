"""One thread a process looks after connections whose application is elsewhere.

It starts with the first connection and goes with the last.  It works on connections
that no caller is at work on: it reads, so that pings are answered when they arrive,
sends waiting output, and runs the deadlines.  It never waits for a connection that a
caller has.

    a connection is       when                          until
    -------------------   ---------------------------   ------------------------------
    watched               from the beginning            an event finds a caller at
                                                        work, or comes right behind
                                                        another
    aside                 a caller is at work, or       the caller leaves, or reading
                          reading is paused             goes on (`came_back`)
    about to be watched   otherwise                     a pause is over

The pause grows while that goes on.  A caller that sends and receives all the time wakes
this thread a few times a second.  A thousand idle connections do not wake it at all.
"""

from __future__ import annotations

import heapq
import math
import os
import selectors
import socket
import threading
import weakref
from itertools import count
from time import monotonic
from typing import Any, Protocol

from .._net.hang_up import HangUps, new_hang_ups
from ._channel import IN, OUT

# Seconds between looks at connections that a caller is at work on.
LOOK = 1.0
# Seconds after which a connection is watched again, at least and at most, and by what
# they are rounded, so that one look is for many connections.
PAUSE = 1 / 64
LONGEST_PAUSE = 0.25
GRAIN = 64

# Events of a connection.
READABLE, LEFT, GONE = 1, 2, 4


def rounded(when: float) -> float:
    """Return a moment that looks at many connections share."""
    return math.ceil(when * GRAIN) / GRAIN


class WatchedDriver(Protocol):
    """Interface of the connections that the thread looks after."""

    sock: Any
    session: Any
    # Written by the thread: the time of its next look, the events that it watches for,
    # and how long it leaves the connection alone.
    alarm: float
    watched: int
    watches_end: bool
    told_at: float
    pause: float
    # Whether the connection is left to a caller, and the time of its next deadline.
    aside: bool
    due: float

    def service(self, now: float, readable: bool) -> tuple[bool, int]:
        """Read, send and run deadlines; returns whether a caller has it, and events."""
        ...

    def hung_up(self, gone: bool, now: float) -> None:
        """Take note of the peer's end."""
        ...

    def after_fork_in_child(self) -> None:
        """Leave the socket to the parent process, in a child."""
        ...


class BackgroundThread:
    """The thread, and what it looks after."""

    def __init__(self) -> None:
        # Guards what follows.  A driver's lock may be held when it is taken, never
        # the other way round.
        self._lock = threading.Lock()
        self.drivers: set[WatchedDriver] = set()
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector
        self._hang_ups: HangUps | None = None
        self._bell: socket.socket
        self._ringer: socket.socket
        self._rung = False
        # Connections that have ended are not kept by their alarms.
        self._alarms: list[tuple[float, int, weakref.ref[WatchedDriver]]] = []
        self._order = count()
        self._wakes_at = 0.0

    # Methods that drivers call

    def add(self, driver: WatchedDriver) -> None:
        """Look after a connection from now on."""
        with self._lock:
            if self._thread is None:
                self._start()
            self.drivers.add(driver)
            self._watch(driver, selectors.EVENT_READ)
            if isinstance(self._selector, selectors.SelectSelector):
                self._ring(0)  # it does not notice while it waits

    def remove(self, driver: WatchedDriver) -> None:
        """Let a connection go whose socket is about to be closed."""
        with self._lock:
            if driver not in self.drivers:
                return
            self.drivers.discard(driver)
            self._unwatch(driver)
            self._unwatch_end(driver)
            if not self.drivers:
                self._ring(0)

    def call_at(self, when: float, driver: WatchedDriver) -> None:
        """Look at a connection at a moment."""
        with self._lock:
            if driver in self.drivers:
                self._set_alarm(when, driver)
                self._ring(when)

    def watch(self, driver: WatchedDriver) -> None:
        """Look at a connection soon: a caller has left something undone."""
        self.call_at(0, driver)

    def came_back(self, driver: WatchedDriver) -> None:
        """Watch a connection that was left aside, unless it is at once again."""
        driver.aside = False
        when = rounded(monotonic() + driver.pause)
        if when < driver.alarm:
            self.call_at(when, driver)

    def give_up(self) -> None:
        """Close what a parent process goes on using."""
        if self._thread is not None:
            self._selector.close()
            self._bell.close()
            self._ringer.close()
            if self._hang_ups is not None:
                self._hang_ups.close()
                self._hang_ups = None

    # The thread

    def _start(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._rung = False
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

    def _set_alarm(self, when: float, driver: WatchedDriver) -> None:
        driver.alarm = when
        entry = when, next(self._order), weakref.ref(driver)
        heapq.heappush(self._alarms, entry)

    def _watch(self, driver: WatchedDriver, wanted: int) -> None:
        """Watch for these events; the lock is held."""
        if driver.watched == wanted:
            return
        try:
            if driver.watched:
                self._selector.modify(driver.sock, wanted, driver)
            else:
                self._selector.register(driver.sock, wanted, driver)
        except (KeyError, ValueError, OSError):
            driver.watched = 0
            self.drivers.discard(driver)  # its opening was given up
        else:
            driver.watched = wanted

    def _unwatch(self, driver: WatchedDriver) -> None:
        if driver.watched:
            driver.watched = 0
            try:
                self._selector.unregister(driver.sock)
            except (KeyError, ValueError, OSError):
                pass  # it was closed

    def _watch_end(self, driver: WatchedDriver) -> None:
        """Watch for the peer's end alone; the lock is held."""
        if self._hang_ups is None:
            hang_ups = new_hang_ups()
            if hang_ups is None:
                return
            try:
                self._selector.register(hang_ups, selectors.EVENT_READ, hang_ups)
            except OSError:
                hang_ups.close()
                return  # keepalive finds out
            self._hang_ups = hang_ups
        driver.watches_end = True
        self._hang_ups.watch(driver.sock.fileno(), driver)

    def _unwatch_end(self, driver: WatchedDriver) -> None:
        if driver.watches_end and self._hang_ups is not None:
            driver.watches_end = False
            self._hang_ups.forget(driver.sock.fileno(), driver)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self.drivers:
                    self._alarms.clear()
                    self.give_up()
                    self._thread = None
                    return
                self._wakes_at = self._alarms[0][0] if self._alarms else math.inf
                wait = self._wakes_at - monotonic()
            found = self._selector.select(None if wait == math.inf else max(wait, 0))
            self._tend_all(self._choose(found))
            del found  # connections that have ended are not kept

    def _choose(self, found: list[tuple[Any, int]]) -> dict[WatchedDriver, int]:
        """Find the connections to look at, and what is new about them."""
        with self._lock:
            now = monotonic()
            self._wakes_at = 0.0
            chosen: dict[WatchedDriver, int] = {}
            for key, events in found:
                driver = key.data
                if driver is None:
                    self._rung = False
                    try:
                        self._bell.recv(64)
                    except OSError:
                        pass
                elif isinstance(driver, HangUps):
                    for left, gone in driver.take():
                        chosen[left] = chosen.get(left, 0) | (GONE if gone else LEFT)
                elif driver in self.drivers:
                    readable = READABLE if events & selectors.EVENT_READ else 0
                    chosen[driver] = chosen.get(driver, 0) | readable
            while self._alarms and self._alarms[0][0] <= now:
                due = heapq.heappop(self._alarms)[2]()
                if due in self.drivers:
                    assert due is not None
                    due.alarm = math.inf
                    chosen.setdefault(due, 0)
            return chosen

    def _tend_all(self, chosen: dict[WatchedDriver, int]) -> None:
        for driver, news in chosen.items():
            self._tend(driver, news)

    def _tend(self, driver: WatchedDriver, news: int) -> None:
        now = monotonic()
        if news & (LEFT | GONE):
            driver.hung_up(news & GONE != 0, now)
        busy, events = driver.service(now, news & READABLE != 0)
        with self._lock:
            if driver not in self.drivers:
                return
            due = driver.due
            rests = busy
            if busy or news & READABLE:
                rests = busy or now < driver.told_at + 2 * driver.pause
                driver.pause = min(2 * driver.pause, LONGEST_PAUSE) if rests else PAUSE
                driver.told_at = now
            if busy and driver.aside:
                due = max(due, now + LOOK)  # its deadlines are the caller's business
            elif rests:
                due = min(due, rounded(now + driver.pause))
            if due < driver.alarm:
                self._set_alarm(due, driver)
            if driver.session.watching is not driver.watches_end:
                if driver.watches_end:
                    self._unwatch_end(driver)
                else:
                    self._watch_end(driver)
            wanted = 0
            if events & IN and not rests:
                wanted |= selectors.EVENT_READ
            if events & OUT:
                wanted |= selectors.EVENT_WRITE
            if wanted:
                self._watch(driver, wanted)
            else:
                self._unwatch(driver)


_housekeeper = BackgroundThread()


def add(driver: WatchedDriver) -> None:
    """Look after a connection from now on."""
    _housekeeper.add(driver)


def remove(driver: WatchedDriver) -> None:
    """Let a connection go whose socket is about to be closed."""
    _housekeeper.remove(driver)


def call_at(when: float, driver: WatchedDriver) -> None:
    """Look at a connection at a moment, on the clock of `time.monotonic`."""
    _housekeeper.call_at(when, driver)


def watch(driver: WatchedDriver) -> None:
    """Look at a connection soon: a caller has left something undone."""
    _housekeeper.watch(driver)


def came_back(driver: WatchedDriver) -> None:
    """Watch a connection again that was left aside; its lock is held."""
    _housekeeper.came_back(driver)


def _forked() -> None:
    """Give up, in a child, what belongs to the process that forked."""
    global _housekeeper
    parents, _housekeeper = _housekeeper, BackgroundThread()
    for driver in list(parents.drivers):
        try:
            driver.after_fork_in_child()
        except Exception:  # noqa: S112
            continue  # it was being changed by another thread at that moment
    parents.give_up()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
