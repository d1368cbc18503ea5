"""Closing of an open connection, and the base of every operation that waits.

An operation that may have to wait is a generator.  It yields one of two things:

* a waiter, made by `new_waiter`; the driver resumes the operation with ``send(now)``
  once the waiter was fired;
* `FLUSH`: the driver sends what is queued, as far as it can, and resumes the operation
  at once.

The `yield` of a waiter is the only place where an operation can be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar
from typing import Protocol as Interface

from ..frames.close import CloseCode, State
from ._hot import PAUSED
from .frame_protocol import FrameProtocol, Side
from .hot import HotEndpoint
from .keepalive import Keepalive
from .options import Options

T = TypeVar("T")
# Type of a waiting operation: yields waiters and `FLUSH`, takes the time, returns T.
Operation = Generator["Waiter", float, T]

#: Yielded by an operation whose bytes are to go out now.
FLUSH: Any = object()

# The third bit of `slow`, beside those of `_exchange`.
FRAGMENTS = 4


class Waiter(Interface):
    """Something to wait for, once.  Firing it twice is firing it once."""

    def fire(self) -> object:
        """Let the operation that waits go on."""


class Ending(HotEndpoint):
    """The part of a session that closes it; see `Session` for the arguments."""

    __slots__ = (
        "_close_by",
        "_closed_waiters",
        "_keepalive",
        "_left_by",
        "_left_unread",
        "_new_waiter",
        "_paused_at",
        "_settle_by",
        "departing",
        "fragmenting",
        "input_over",
        "must_abort",
        "must_half_close",
        "options",
        "reading_paused",
        "watching",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        new_waiter: Callable[[], Waiter],
        now: float,
    ) -> None:
        unread = None if options.queue_high is None else options.unread_high
        low = None if unread is None else unread // 2
        super().__init__(protocol, options.queue_low, now, low)
        self._keepalive = Keepalive(options.ping_interval, options.ping_timeout, now)
        self.options = options
        self._new_waiter = new_waiter
        self.reading_paused = False
        self._paused_at = now
        #: whether the driver is to tell `peer_left`, although it does not read
        self.watching = False
        # When a peer that has left is given up on, and how much was unread before.
        self._left_by: float | None = None
        self._left_unread = 0
        #: whether TCP is to end, so that the driver asks for its moves
        self.departing = False
        self.must_half_close = False
        self.must_abort = False
        #: whether nothing more is read, for whatever reason
        self.input_over = False
        #: whether a message is being sent in fragments, which keeps others out
        self.fragmenting = False
        self._close_by: float | None = None
        self._settle_by: float | None = None
        self._closed_waiters: list[Waiter] = []

    def settle(self, now: float) -> None:
        """Send the close frame that answers a close frame or a fault."""
        self.now = now
        self._settle_by = None
        self.protocol.settle()
        self._closing()

    def _closing(self) -> None:
        """Start the one deadline of closing; close_timeout covers all of it."""
        self.attention = self.departing = True
        self.clear_to_send = False
        self._hear_on()
        self._keepalive.stop()
        self._pause_reading(False)
        protocol = self.protocol
        if protocol.state is State.CLOSED:
            return
        if self._close_by is None and self.options.close_timeout is not None:
            self._close_by = self.now + self.options.close_timeout
        if (
            protocol.side is Side.SERVER
            and protocol.close_sent is not None
            and (protocol.close_rcvd is not None or protocol.fault is not None)
        ):
            # RFC 6455, 7.1.1: the server closes TCP first.
            self.must_half_close = True

    def close(self, code: int | None, reason: str, now: float) -> Operation[None]:
        """
        Close the connection and wait until TCP has ended.

        Cancellation: ends only the waiting.  The deadline runs on without the caller.

        Raises:
            ProtocolError: `code` or `reason` must not travel; nothing was sent.
        """
        self.begin_close(code, reason, now)
        while self.protocol.state is not State.CLOSED:
            yield from self._wait(self._closed_waiters)

    def begin_close(self, code: int | None, reason: str, now: float) -> None:
        """Do what `close` does, but for the waiting; raises as it does."""
        self.now = now
        protocol = self.protocol
        if protocol.unsettled:
            self.settle(now)
        if protocol.state is State.OPEN:
            if self.fragmenting:
                # The message in progress can no longer be completed.
                code, reason = CloseCode.INTERNAL_ERROR, ""
            protocol.send_close(code, reason)
            self._closing()

    def wait_closed(self) -> Operation[None]:
        """Wait until TCP has ended; never raises.  Cancellation: safe."""
        while self.protocol.state is not State.CLOSED:
            yield from self._wait(self._closed_waiters)

    def _until_open(self) -> Operation[None]:
        """
        Pass in state OPEN while TCP lives; otherwise wait for the end and raise.

        Where TCP is about to end, nothing that is sent would arrive.  A sender that
        went on would keep a driver from telling of the end.
        """
        while self.protocol.state is not State.OPEN or self.leaving:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc
            yield from self._wait(self._closed_waiters)

    @property
    def leaving(self) -> bool:
        """Whether TCP is about to end, whatever is still sent."""
        return self.departing and (self.input_over or self.must_abort)

    def _wait(self, queue: list[Waiter]) -> Operation[None]:
        waiter = self._new_waiter()
        queue.append(waiter)
        try:
            self.now = yield waiter
        finally:
            # Cut, or fired and removed by who fired it.
            if waiter in queue:
                queue.remove(waiter)

    def _pause_reading(self, paused: bool) -> None:
        if self.reading_paused == paused:
            return
        self.reading_paused = paused
        self.slow = self.slow | PAUSED if paused else self.slow & ~PAUSED
        self.attention = True
        if paused:
            self._paused_at = self.now
        else:
            self.watching = False
            self._left_by = None
        self._keepalive.reading(not paused, self.now)
