"""The blocking driver: the calling thread reads, writes and keeps the time.

Everything that is decided is decided by `Session`; what stands here is which thread
does the input and output for it.

* **One lock guards the memory** of a connection: the session, the output, TLS.  It is
  held over system calls that do not wait, never over one that does.
* **A waiting thread reads.**  An operation that has to wait yields a waiter.  The first
  thread that waits leads: it blocks in ``recv`` without the lock, and parses under it.
  Others follow: they sleep until their waiter is fired.  A leader whose own waiter was
  fired wakes a follower, which leads from then on.
* **A sending thread writes**, at once and under the lock.  Bytes that the system does
  not take are kept.  While there are any, senders wait, and watch for the socket to
  take more themselves.  So does the leader, if it is already there to see it.
* **Nobody inside a call**: the housekeeper reads, writes and runs the timers; it takes
  the lock only if it is free, and leaves alone what has a leader.
* **Waiters are fired** under the lock.  The thread that ends a connection shuts the
  socket down, which wakes all that block in it; the last one to leave closes it.

Ctrl-C may strike at any line of the main thread.  Where it cuts a system call that
waits, nothing has happened; what such a call has read or written is noted within the
same instruction (`unparsed_reads`, `_unnoted_writes`).  Where it cuts a change of the
endpoint, `mid_transition` stays set, and the next holder of the lock ends the
connection.
"""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import Any, TypeVar

from ..core.endpoint import operations
from ..core.endpoint.operations import FLUSH, Operation
from ._channel import DONTWAIT, IN, OUT, wait_for
from ._socket_io import GLANCE, TICK, SocketIO

T = TypeVar("T")


class Waiter:
    """Something that one thread waits for, once."""

    __slots__ = ("_asleep", "fired")

    def __init__(self) -> None:
        self.fired = False
        self._asleep: Any = None

    def fire(self) -> None:
        """Let the thread go on; the connection's lock is held."""
        self.fired = True
        if self._asleep is not None:
            self.wake()

    def wake(self) -> None:
        """Let the thread look around; the connection's lock is held."""
        if self._asleep.locked():
            self._asleep.release()

    def prepare(self) -> None:
        """Get ready to sleep; the connection's lock is held."""
        if self._asleep is None:
            self._asleep = threading.Lock()
        self._asleep.acquire(False)

    def sleep(self, seconds: float) -> None:
        """Wait for `fire` or `wake`; without the lock."""
        self._asleep.acquire(True, max(seconds, 0))


class Driver(SocketIO):
    """
    One socket and one session.

    Args:
        channel: the socket, and TLS.
        session: the session to drive.
        leftover: bytes that came behind the handshake.
    """

    __slots__ = ()

    # Operations

    def run(self, operation: Operation[T], deadline: float | None = None) -> T:
        """
        Carry out what may have to wait; without the lock.

        Args:
            deadline: when to give up; None for never.

        Raises:
            TimeoutError: the deadline has passed; the operation has ended.
        """
        now: Any = None
        result: Any = None
        try:
            while True:
                with self.lock:
                    self.recover_from_interrupt()
                    waiter: Any = FLUSH
                    while waiter is FLUSH:
                        self.mid_transition = True
                        try:
                            waiter = operation.send(now)
                        except StopIteration as stop:
                            result = stop.value
                            waiter = None
                        except Exception:
                            self.mid_transition = False
                            self.step()
                            raise
                        self.mid_transition = False
                        self.step()
                        if waiter is FLUSH:
                            self.unseen += 1
                            if self.unseen >= GLANCE:
                                self.glance()
                    if waiter is None:
                        return result  # type: ignore[no-any-return]
                self.wait(waiter, deadline)
                now = monotonic()
        finally:
            with self.lock:
                operation.close()
                self.recover_from_interrupt()

    def begin_close(self, code: int | None, reason: str) -> None:
        """Start to close the connection without waiting for its end."""
        with self.lock:
            self.recover_from_interrupt()
            self.session.begin_close(code, reason, monotonic())
            self.step()

    def receive(self, deadline: float | None) -> Any:
        """
        Wait for the next message, without an operation; without the lock.

        Raises:
            TimeoutError: the deadline has passed.
            ConnectionClosed: as `Session.recv`, as is `ConcurrencyError`.
        """
        session = self.session
        messages = session.messages
        waiting = False
        try:
            while True:
                with self.lock:
                    if waiting:
                        waiting = False
                        session.end_wait()
                    if session.recv_blockers or self.mid_transition or self.abandoned:
                        break
                    if messages:
                        return messages.popleft()
                    waiter = Waiter()
                    self.mid_transition = True
                    waiting = session.begin_wait(waiter)
                    self.mid_transition = False
                    if not waiting:
                        break
                self.wait(waiter, deadline)
        finally:
            if waiting:
                try:
                    self._stop_receiving()
                except BaseException:
                    self._stop_receiving()  # Ctrl-C may strike here as well
                    raise
        return self.run(operations.recv(session), deadline)

    def _stop_receiving(self) -> None:
        with self.lock:
            self.session.end_wait()

    def wait(self, waiter: Waiter, deadline: float | None = None) -> None:
        """
        Do what has to be done for the connection until `waiter` is fired.

        Raises:
            TimeoutError: the deadline has passed.
        """
        limit = math.inf if deadline is None else deadline
        tried = False
        try:
            while True:
                with self.lock:
                    now = monotonic()
                    if self.unparsed_reads:
                        self.take_input(now)
                    if self.mid_transition or now >= self.due:
                        self.look_around(now)
                    if waiter.fired or self.ended:
                        self._unblock(waiter)
                        self.leave(waiter)
                        return
                    if now >= limit and tried:
                        raise TimeoutError("timed out")
                    events = self._begin_to_block(waiter)
                    left = min(limit, self.due) - now
                tried = True
                if events == IN and left > TICK and DONTWAIT:
                    try:
                        # Ctrl-C comes before the read or after it is noted.
                        self.unparsed_reads.extend(map(self._recv_into, (self.view,)))
                    except BlockingIOError:
                        pass
                    except OSError as exc:
                        self.failure = exc
                        self.unparsed_reads.append(0)
                elif events:
                    self._poll(waiter, events, min(left, TICK))
                else:
                    waiter.sleep(min(left, TICK))
        finally:
            if self.leader is waiter or waiter in self.blocked:
                try:
                    self._give_up(waiter)
                except BaseException:
                    self._give_up(waiter)  # Ctrl-C may strike here as well
                    raise

    def _give_up(self, waiter: Waiter) -> None:
        with self.lock:
            self._unblock(waiter)
            self.leave(waiter)

    def _unblock(self, waiter: Waiter) -> None:
        if waiter in self.blocked:
            self.blocked.remove(waiter)

    def _begin_to_block(self, waiter: Waiter) -> int:
        """Find what a thread has to wait for; 0 to sleep."""
        events = OUT if self.backlog else 0
        session = self.session
        if (
            (self.leader is None or self.leader is waiter)
            and not session.reading_paused
            and not self.eof
        ):
            self.leader = waiter
            events |= IN
            if self.view is None:
                self.borrow()
        if events:
            if waiter not in self.blocked:
                self.blocked.append(waiter)
        else:
            if self.leader is waiter:
                self.leader = None
                self.give_back()
            self._unblock(waiter)
            waiter.prepare()
            if waiter not in self.followers:
                self.followers.append(waiter)
        return events

    def _poll(self, waiter: Waiter, events: int, seconds: float) -> None:
        found = wait_for(self.sock, events, seconds)
        if not found:
            return
        with self.lock:
            if self.ended:
                return
            if found & IN and self.leader is waiter:
                self.read_ready(monotonic(), once=True)
            self.step()
