"""One open connection: events, closing, deadlines and water marks.

No I/O and no clock.  A driver reports events, each with the moment `now` in seconds on
its own clock:

    event                        method
    --------------------------   ----------------------------------------------------
    bytes were read              `data_received`; then `after_delivery`, once the reader
                                 had its turn
    the peer closed its side     `eof_received`; `peer_left` while reading is paused
    output waits, or no longer   `pause_writing`, `resume_writing`, `output_left`
    TCP failed                   `input_failed`, `output_failed`
    time has passed              `timer_expired`
    TCP has ended                `transport_lost`

Then it carries out the requests of the endpoint: the bytes of ``protocol.writer``,
`reading_paused`, `watching`, `next_tcp_step()` while it is `closing_tcp`, and a timer
for `deadline()`.  `needs_sync` tells that one of these may have changed.

Calls that wait are in `operations`.  The paths of every message are in the
base, `HotEndpoint`.
"""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Callable
from typing import Any

from ..credentials import escape
from ..errors import without_traces
from ..frames.close import CloseCode, State
from ..logs import PEER
from ..typing import BytesLike
from .frame_protocol import FrameProtocol, Side
from .hot import PAUSED, HotEndpoint, Waiter
from .keepalive import Keepalive
from .options import Options
from .pings import PingTracker
from .receive_queue import ReceiveQueue
from .tcp_close import PATIENCE, WATCH, TCPClose, TCPStep
from .tcp_info import TCPInfo

# A close frame is deferred for at most this many seconds while earlier messages wait
# unread, so that replies go out before it.  The wait has two halves: after a suspended
# process the first timer may fire late, before the reader ran.
DEFERRED_CLOSE_MAX = 0.25
# Seconds that the end of TLS may take where no deadline runs.
TLS_CLOSE_TIMEOUT = 1.0


def log_nothing(level: int, message: str, *arguments: object) -> None:
    """Log nothing: the connection has ended."""


class Endpoint(HotEndpoint):
    """
    An open connection without I/O.

    Args:
        protocol: the frame level, in state OPEN.
        options: limits and timeouts.
        new_waiter: makes a waiter of the driver's kind.
        now: seconds on the driver's clock.
        random: source of ping payloads.
        log: logs for this connection: level, format, arguments; by default the
            logger of `protocol` does.
    """

    __slots__ = (
        "__weakref__",
        "_close_by",
        "_deferred_close_at",
        "_graceful",
        "_paused_at",
        "closed_waiters",
        "closing_tcp",
        "exclusive",
        "fragmenting",
        "input_over",
        "keepalive",
        "log",
        "must_abort",
        "must_half_close",
        "new_waiter",
        "opened_at",
        "opening",
        "options",
        "pings",
        "reading_paused",
        "receive_queue",
        "send_waiters",
        "tcp_close",
        "watching",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        *,
        new_waiter: Callable[[], Waiter],
        now: float,
        random: Callable[[int], bytes] = os.urandom,
        log: Callable[..., None] | None = None,
    ) -> None:
        unread = None if options.queue_high is None else options.unread_high
        low = None if unread is None else unread // 2
        super().__init__(protocol, options.queue_low, now, low)
        if options.queue_high is not None:
            self.reader.hold_above(options.queue_high, options.unread_high)
        self.options = options
        #: makes what an operation waits for
        self.new_waiter = new_waiter
        self.receive_queue = ReceiveQueue()
        self.pings = PingTracker(random)
        self.tcp_close = TCPClose()
        self.keepalive = Keepalive(options.ping_interval, options.ping_timeout, now)
        #: when messages could first be exchanged
        self.opened_at = now
        #: `ConnectTrace` of the opening, where there is one; for diagnoses
        self.opening: Any = None
        self.log = protocol.logger.log if log is None else log
        #: whether the driver does not read
        self.reading_paused = False
        self._paused_at = now
        #: whether the driver is to tell `peer_left`, although it does not read
        self.watching = False
        #: whether TCP is to end, so that the driver asks for its moves
        self.closing_tcp = False
        self.must_half_close = False
        self.must_abort = False
        #: whether nothing more is read, for whatever reason
        self.input_over = False
        #: whether a message is being sent in fragments, which keeps others out
        self.fragmenting = False
        #: whether senders are refused, instead of made to wait, while another one
        #: sends a message in fragments (drivers of threads set this)
        self.exclusive = False
        self._close_by: float | None = None
        self._deferred_close_at: float | None = None
        self._graceful = False
        self.send_waiters: list[Waiter] = []
        self.closed_waiters: list[Waiter] = []
        protocol.on_fault = self._faulted
        protocol.on_pong = self._pong_received

    def _faulted(self, exc: BaseException, code: int) -> None:
        """Log the end by a limit or a rule of ours, for the operator of the program."""
        text = exc.reason if isinstance(exc, UnicodeDecodeError) else str(exc)
        self.log(
            logging.WARNING,
            "closing the connection with %s: %s (close code %d)",
            PEER,
            escape(text),
            code,
        )

    def _pong_received(self, payload: bytes) -> None:
        self.pings.pong_received(payload, self.now)

    # Input

    def feed(self, data: BytesLike, now: float) -> Waiter | None:
        """Parse bytes that are elsewhere; otherwise as `data_received`."""
        self.now = self.received_at = now
        try:
            self.reader.feed(data)
        except Exception as exc:
            self.protocol.fail_for(exc)
        except BaseException as exc:
            self.interrupted(exc)
            raise
        # The steps after input are the same, with nothing more to parse.
        return self.data_received(0, now)

    def after_delivery(self) -> None:
        """Settle what was put off until the reader had its turn; check marks."""
        reader = self.reader
        if reader.holding and len(self.messages) <= self.options.queue_low:
            self.refill()
        if self.protocol.close_deferred:
            if not self.messages or self.protocol.state is not State.OPEN:
                # Nobody has replies to send, or nobody may any more.
                self.send_deferred_close(self.now)
            else:
                self._defer_close()
        if not self.messages:
            reader.queued_bytes = 0
        elif reader.holding or reader.full:
            self._overfull()

    def interrupted(self, exc: BaseException) -> None:
        """
        Fail the connection with 1011, for a part of the input is lost.

        Args:
            exc: the exception that interrupted the reader, such as KeyboardInterrupt in
                an extension.
        """
        self.protocol.fail(exc, CloseCode.INTERNAL_ERROR, "")
        self.reader.end()
        self.holder.end()
        self._after_events()
        if self.protocol.close_deferred:
            self.send_deferred_close(self.now)

    def _after_events(self) -> None:
        """Look at what came in besides whole messages."""
        self.reader.has_events = False
        keepalive = self.keepalive
        keepalive.activity_since_ping = True
        if keepalive.overdue(self.now):
            self.needs_sync = True
        self._look_at_frames()

    def _after_refill(self) -> None:
        self._look_at_frames()
        self.needs_sync = True
        if self.protocol.close_deferred:
            self._defer_close()

    def _look_at_frames(self) -> None:
        """Look at what was parsed besides whole messages."""
        protocol = self.protocol
        protocol.send_owed_pong()
        if protocol.close_deferred:
            self.needs_sync = True
            self._pause_reading(False)
        if protocol.fragments:
            protocol.fragments = False
            self.receive_queue.take_fragments(self)

    # Water marks of input

    def _overfull(self) -> None:
        if self.protocol.state is State.OPEN and self._close_by is None:
            if not self.reading_paused:
                self._pause_reading(True)
        else:
            self._drop_messages()

    def _pause_reading(self, paused: bool) -> None:
        if self.reading_paused == paused:
            return
        self.reading_paused = paused
        self.recv_blockers = (
            self.recv_blockers | PAUSED if paused else self.recv_blockers & ~PAUSED
        )
        self.needs_sync = True
        if paused:
            self._paused_at = self.now
        else:
            self.watching = False
            self.tcp_close.left_by = None
        self.keepalive.reading(not paused, self.now)

    def _drop_messages(self) -> None:
        """
        Keep no message that is still to be read; control frames are heard.

        The peer's close frame stands behind the messages.  Those that were read and not
        parsed are kept as bytes, for `recv` to parse.
        """
        kept = self.protocol.drop_messages()
        if kept is None:
            return
        self.holder = kept
        try:
            self.reader.proceed()
        except Exception as exc:
            self.protocol.fail_for(exc)
        if self.reader.has_events:
            self._look_at_frames()

    def _hear_on(self) -> None:
        if self.reader.holding:
            self._drop_messages()

    def unread_size(self) -> int:
        """Return the bytes of what waits to be received; text as characters."""
        return self.messages.size()

    @property
    def exhausted(self) -> bool:
        """Whether TCP has ended, no message is left, and nobody is streaming one."""
        return (
            self.protocol.state is State.CLOSED
            and not self.messages
            and not self.holder.holding
            and not self.receive_queue.streaming
        )

    def abandon_stream(self) -> None:
        """Discard the rest of a message that is streamed; frees the receiver."""
        if self.receive_queue.streaming:
            self.receive_queue.abandon(self)
            if self.reading_paused:
                self.message_taken()

    # Output

    def pause_writing(self) -> None:
        """Note that more than ``write_high`` bytes wait to be sent."""
        self.writing_paused = True
        self.protocol.pongs_wait = True
        self.clear_to_send = False
        if self.keepalive.blocked():
            self.needs_sync = True

    def resume_writing(self) -> list[Waiter]:
        """Note that at most ``write_low`` bytes wait; returns what to fire."""
        self.writing_paused = False
        self.protocol.pongs_wait = False
        self.protocol.send_owed_pong()
        return self._let_senders_in()

    def end_fragments(self, exc: BaseException | None = None) -> list[Waiter]:
        """
        Let other senders in again; returns what to fire.

        Args:
            exc: reason for which the message stays incomplete.  A message cannot be
                taken back, so the connection fails with 1011.
        """
        self.fragmenting = False
        if exc is not None and self.protocol.state is State.OPEN:
            self.protocol.fail(exc, CloseCode.INTERNAL_ERROR, "")
            self.send_deferred_close(self.now)
        return self._let_senders_in()

    def _let_senders_in(self) -> list[Waiter]:
        self.clear_to_send = (
            self.protocol.plain
            and self.protocol.state is State.OPEN
            and not self.writing_paused
            and not self.fragmenting
            and self._close_by is None
        )
        waiters = list(self.send_waiters)
        self.send_waiters.clear()
        return waiters

    def output_left(self, size: int, now: float, link: TCPInfo | None = None) -> None:
        """
        Note how much of the output the peer's system has not taken.

        Called before `timer_expired`; output that moves restarts the deadline
        of the pong, so that a slow upload is not taken for a dead peer.

        Args:
            size: bytes.
            link: statistics of TCP, where the system has them.
        """
        self.keepalive.output(
            self.writer.total - size,
            size,
            now,
            link,
            blocked=bool(self.send_waiters),
        )

    def output_ended(self) -> None:
        """
        Note that the transport takes nothing more and is about to tell of its end.

        Queued output is lost.  Senders wait for the end, so that the driver can tell.
        """
        if self.tcp_close.ended_at is None:
            self.pause_writing()

    # Closing

    def begin_close(self, code: int | None, reason: str, now: float) -> None:
        """Do what `operations.close` does, but for the waiting; raises as it does."""
        self.now = now
        protocol = self.protocol
        if protocol.close_deferred:
            self.send_deferred_close(now)
        if protocol.state is State.OPEN:
            if self.fragmenting:
                # The message in progress can no longer be completed.
                code, reason = CloseCode.INTERNAL_ERROR, ""
            protocol.send_close(code, reason)
            self._closing()

    def send_deferred_close(self, now: float) -> None:
        """Send the close frame that answers a close frame or a fault."""
        self.now = now
        self._deferred_close_at = None
        self.protocol.send_deferred_close()
        self._closing()

    def send_close_soon(self) -> None:
        """Let the timer send the deferred close frame; for calls without the time."""
        self._deferred_close_at = self.now
        self._graceful = False
        self.needs_sync = True

    def _defer_close(self) -> None:
        """Let the reader reply to what arrived before a close frame."""
        if self._deferred_close_at is None:
            self._deferred_close_at = self.now + DEFERRED_CLOSE_MAX / 2
            self._graceful = True
            self.needs_sync = True

    def _deferred_close_due(self, now: float) -> None:
        """Send the close frame that was put off, or put it off once more."""
        if self._graceful:
            self._graceful = False
            self._deferred_close_at = now + DEFERRED_CLOSE_MAX / 2
            self.needs_sync = True
        else:
            self.send_deferred_close(now)

    def _closing(self) -> None:
        """Start the one deadline of closing; close_timeout covers all of it."""
        self.needs_sync = self.closing_tcp = True
        self.clear_to_send = False
        self._hear_on()
        self.keepalive.stop()
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

    # The end of TCP

    def next_tcp_step(self, waiting: bool) -> TCPStep:
        """
        Tell what to do next; asking changes nothing.

        Args:
            waiting: whether there is output that the system has not taken.
        """
        return self.tcp_close.next_step(
            waiting,
            abort=self.must_abort,
            input_over=self.input_over,
            half_close=self.must_half_close,
        )

    @property
    def half_closing(self) -> bool:
        """Whether our direction of TCP is closed right behind what is queued."""
        return self.closing_tcp and self.next_tcp_step(False) is TCPStep.HALF_CLOSE

    @property
    def leaving(self) -> bool:
        """Whether TCP is about to end, whatever is still sent."""
        return self.closing_tcp and (self.input_over or self.must_abort)

    def abort(self) -> None:
        """End TCP now, whatever waits to be sent or read."""
        self.tcp_close.drain_ended()
        self.must_abort = self.closing_tcp = self.needs_sync = True

    def eof_received(self, now: float) -> None:
        """Note that the peer has closed its side of TCP."""
        self.now = now
        self.input_over = True
        self.tcp_close.eof = True
        self.tcp_close.drain_ended()
        self._hear_on()
        if self.protocol.close_deferred:
            # TCP may end now; what is to be sent goes out before.
            self.send_deferred_close(now)
        self.protocol.eof_received()
        self._closing()

    def input_failed(self, exc: BaseException) -> None:
        """Note that nothing can be read any more, nor sent."""
        self.tcp_close.failed(exc)
        self.input_over = True
        self.abort()

    def output_failed(self, exc: BaseException, now: float) -> None:
        """Note that nothing can be sent any more; what waits is dropped."""
        tcp_close = self.tcp_close
        if tcp_close.failure is None and tcp_close.ended_at is None:
            self.now = now
            tcp_close.failed(exc)
            self.abort()
            if not self.input_over:
                tcp_close.drain_expected()
            # Senders wait for the end, and reading goes on.
            self.pause_writing()
            self._closing()

    def half_closed(self, done: bool) -> None:
        """
        Note that our direction of TCP is closed.

        Args:
            done: whether that was possible without closing the other one.
        """
        self.tcp_close.is_half_closed = True
        if not done:
            self.input_over = True

    def peer_left(self, gone: bool, now: float) -> None:
        """
        Note that the peer's end was seen while reading is paused.

        Args:
            gone: whether it is gone for good; if not, it has closed its direction, and
                may still read.
        """
        tcp_close = self.tcp_close
        if not self.reading_paused or tcp_close.left_by is not None or self.closing_tcp:
            return  # reading finds out
        patience = self.options.close_timeout
        if patience is None and gone:
            patience = PATIENCE
        if patience is not None:
            self.now = now
            tcp_close.left_by = now + patience
            tcp_close.left_unread = self._unread()
            self.needs_sync = True

    def _unread(self) -> int:
        """Return what gets less with every message that is taken."""
        # A message that is parsed has more bytes than one, with its head.
        return len(self.messages) + self.holder.held

    def _look_at_unread(self, now: float) -> None:
        """Do what is due while reading is paused."""
        tcp_close = self.tcp_close
        if not self.watching and now >= self._paused_at + WATCH:
            self.watching = self.needs_sync = True
            if self.reader.holding:
                self.protocol.answer_held_ping()
        if tcp_close.left_by is None or now < tcp_close.left_by:
            return
        if self._unread() < tcp_close.left_unread:
            # The application takes what is there, if slowly.
            tcp_close.left_by = None
            self.peer_left(True, now)
            return
        patience = self.options.close_timeout
        if patience is None:
            patience = PATIENCE
        self.output_failed(
            ConnectionAbortedError(
                f"the peer has closed TCP; {len(self.messages)} received messages "
                f"were not taken for {patience:g} s (close_timeout)"
            ),
            now,
        )

    def transport_lost(self, exc: BaseException | None, now: float) -> list[Waiter]:
        """
        Note that TCP has ended.

        Args:
            exc: the error of TCP; by default the one that was reported before.

        Returns:
            Everything that waits; the driver fires all of it.
        """
        # Break the reference cycles with the connection, so that memory is freed
        # without the garbage collector.
        self.protocol.diagnose = weakref.ref(self)
        self.log = log_nothing
        tcp_close = self.tcp_close
        self.now = tcp_close.ended_at = now
        self._hear_on()
        exc = tcp_close.failure if exc is None else without_traces(exc)
        if exc is None and tcp_close.close_timed_out:
            limit = f"{self.options.close_timeout:g} s (close_timeout)"
            exc = TimeoutError(f"the peer did not close within {limit}")
        self.protocol.transport_lost(exc)
        self.clear_to_send = False
        self._close_by = self._deferred_close_at = None
        self.must_abort = False
        self.keepalive.stop()
        waiters = [*self.send_waiters, *self.closed_waiters]
        if self.recv_waiter is not None:
            waiters.append(self.recv_waiter)
            self.recv_waiter = None
        self.send_waiters.clear()
        self.closed_waiters.clear()
        self.pings.connection_lost(lambda: self.protocol.close_exc)
        return waiters

    # Time

    def deadline(self) -> float | None:
        """When `timer_expired` wants to be called; None for never."""
        if self._deferred_close_at is not None:
            return self._deferred_close_at
        if self._close_by is not None:
            return self._close_by
        if self.tcp_close.left_by is not None:
            return self.tcp_close.left_by
        deadline = self.keepalive.deadline(self.now)
        if self.reading_paused and not self.watching:
            watch_at = self._paused_at + WATCH
            return watch_at if deadline is None else min(watch_at, deadline)
        return deadline

    def tcp_close_deadline(self, now: float) -> float:
        """When an end that takes its time, as that of TLS, has to be forced."""
        if self.must_abort:
            return -math.inf
        deadline = self.deadline()
        return now + TLS_CLOSE_TIMEOUT if deadline is None else deadline

    def timer_expired(self, now: float) -> None:
        """Do what is due at `now`; calling too early does nothing."""
        self.now = now
        if self._deferred_close_at is not None and now >= self._deferred_close_at:
            self._deferred_close_due(now)
        if self._close_by is not None:
            if now >= self._close_by:
                self.tcp_close.close_timed_out = True
                self.abort()
            return
        if self.protocol.state is not State.OPEN:
            return
        if self.reading_paused:
            self._look_at_unread(now)
            if self.tcp_close.left_by is not None or self.closing_tcp:
                return
        due = self.keepalive.expired(now)
        if due is Keepalive.PING:
            self.reader.has_events = True  # any input is a sign of life
            self._ping(now)
            if not self.fragmenting:
                self.protocol.rest()
        elif due is Keepalive.STALLED:
            text = self.keepalive.diagnosis(self.received_at, now)
            self.log(
                logging.WARNING,
                "%s; messages waiting: %d; the peer: %s",
                text,
                len(self.messages),
                PEER,
            )
        elif due is Keepalive.DEAD:
            text = self.keepalive.diagnosis(self.received_at, now)
            self.protocol.fail(
                TimeoutError(text), CloseCode.INTERNAL_ERROR, "keepalive ping timeout"
            )
            self.send_deferred_close(now)

    def _ping(self, now: float) -> None:
        """Queue a ping of keepalive, whose pong only measures the latency."""
        payload = self.pings.new_payload()
        self.pings.add(payload, None, now)
        self.protocol.send_ping(payload)
