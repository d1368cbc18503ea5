"""The end of TCP, step by step: output that is still sent, input that is still read.

    what happened             what goes out          what is read        the last move
    -----------------------   --------------------   -----------------   -------------
    the session leaves first  everything, then the   everything, up to   HALF_CLOSE
    (`must_half_close`)       FAREWELL of TLS        the peer's end
    our direction cannot be   everything             nothing             END
    closed alone
    the peer has closed its   everything, replies    nothing             END
    direction                 among it
    input failed              nothing                nothing             END
    output failed             nothing                what has arrived:   END
                                                     READ_REST
    the deadline has passed,  nothing                nothing             END
    or `abort` was called

    the peer's end is seen    nothing                what has arrived:   END
    while reading is paused                          READ_REST
    (`peer_left`), and what
    it sent is not taken

While reading is paused, the end of input stands behind bytes that nobody reads.  After
a moment the driver is asked to watch for it (`watching`), where the system has events
for that.  The application may then go on to take what the peer sent; once it has taken
nothing for as long as closing may last, TCP is ended.

A peer may close the connection and be gone while we still send.  Then output fails,
and what it sent before, its close frame above all, tells more than the failure does.

Rule: a driver asks for `next_move` while `departing` is set and whenever something
has changed, does what it is told, tells what came of it, and asks again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from ..errors import without_traces
from .frame_protocol import FrameProtocol
from .operation import Waiter
from .options import Options
from .pings import Outgoing

# Seconds for which reading is paused before the end of the peer is watched for: most
# pauses are short.
WATCH = 0.25
# Seconds for which a peer that is gone waits for the application, without
# close_timeout.
PATIENCE = 10.0


class TCPStep(enum.Enum):
    """Next step of a driver towards the end of TCP."""

    #: nothing, until something happens
    WAIT = enum.auto()
    #: send what ends TLS; tell `said_farewell`
    FAREWELL = enum.auto()
    #: close our direction of TCP; tell `half_closed`
    HALF_CLOSE = enum.auto()
    #: tell `rest_begun`, read what has arrived without waiting for more, tell
    #: `rest_read`
    READ_REST = enum.auto()
    #: end TCP, at once if `must_abort`, and tell `transport_lost`
    END = enum.auto()


class InputAfterClose(enum.Enum):
    """Input that had arrived when output failed."""

    NONE = enum.auto()
    UNREAD = enum.auto()
    BEING_READ = enum.auto()


class TCPClose(Outgoing):
    """The part of a session that ends TCP; see `Session` for the arguments."""

    __slots__ = (
        "_half_closed",
        "_rest",
        "ended_at",
        "eof",
        "failure",
        "farewell_due",
        "gave_up",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        new_waiter: Callable[[], Waiter],
        now: float,
        random: Callable[[int], bytes],
    ) -> None:
        super().__init__(protocol, options, new_waiter, now, random)
        #: whether the peer has closed its side of TCP
        self.eof = False
        #: error of TCP, if the driver has reported one
        self.failure: BaseException | None = None
        #: whether TLS has to say that no more comes (drivers that do it set this)
        self.farewell_due = False
        #: whether TCP was ended because closing took too long
        self.gave_up = False
        #: when TCP ended
        self.ended_at: float | None = None
        self._half_closed = False
        self._rest = InputAfterClose.NONE

    def next_move(self, waiting: bool) -> TCPStep:
        """
        Tell what to do next; asking changes nothing.

        Args:
            waiting: whether there is output that the system has not taken.
        """
        if self.ended_at is not None:
            return TCPStep.WAIT
        if self.must_abort:
            if self._rest is InputAfterClose.UNREAD:
                return TCPStep.READ_REST
            return (
                TCPStep.WAIT
                if self._rest is InputAfterClose.BEING_READ
                else TCPStep.END
            )
        if waiting:
            return TCPStep.WAIT
        if self.input_over:
            return TCPStep.END
        if self.must_half_close and not self._half_closed:
            return TCPStep.FAREWELL if self.farewell_due else TCPStep.HALF_CLOSE
        return TCPStep.WAIT

    @property
    def half_closing(self) -> bool:
        """Whether our direction of TCP is closed right behind what is queued."""
        return self.departing and self.next_move(False) is TCPStep.HALF_CLOSE

    # Events that the driver reports

    def abort(self) -> None:
        """End TCP now, whatever waits to be sent or read."""
        self._rest = InputAfterClose.NONE
        self.must_abort = self.departing = self.attention = True

    def eof_received(self, now: float) -> None:
        """Note that the peer has closed its side of TCP."""
        self.now = now
        self.eof = self.input_over = True
        self._rest = InputAfterClose.NONE
        self._hear_on()
        if self.protocol.unsettled:
            # TCP may end now; what is to be sent goes out before.
            self.settle(now)
        self.protocol.eof_received()
        self._closing()

    def input_failed(self, exc: BaseException) -> None:
        """Note that nothing can be read any more, nor sent."""
        if self.failure is None:
            self.failure = without_traces(exc)
        self.input_over = True
        self.abort()

    def output_failed(self, exc: BaseException, now: float) -> None:
        """Note that nothing can be sent any more; what waits is dropped."""
        if self.failure is None and self.ended_at is None:
            self.now = now
            self.failure = without_traces(exc)
            self.abort()
            if not self.input_over:
                self._rest = InputAfterClose.UNREAD
            # Senders wait for the end, and reading goes on.
            self.pause_writing()
            self._closing()

    def peer_left(self, gone: bool, now: float) -> None:
        """
        Note that the peer's end was seen while reading is paused.

        Args:
            gone: whether it is gone for good; if not, it has closed its direction, and
                may still read.
        """
        if not self.reading_paused or self._left_by is not None or self.departing:
            return  # reading finds out
        patience = self.options.close_timeout
        if patience is None and gone:
            patience = PATIENCE
        if patience is not None:
            self.now = now
            self._left_by = now + patience
            self._left_unread = self._unread()
            self.attention = True

    def _unread(self) -> int:
        """Return what gets less with every message that is taken."""
        # A message that is parsed has more bytes than one, with its head.
        return len(self.messages) + self.holder.held

    def _look_at_unread(self, now: float) -> None:
        """Do what is due while reading is paused."""
        if not self.watching and now >= self._paused_at + WATCH:
            self.watching = self.attention = True
            if self.reader.holding:
                self.protocol.answer_held_ping()
        if self._left_by is None or now < self._left_by:
            return
        if self._unread() < self._left_unread:
            # The application takes what is there, if slowly.
            self._left_by = None
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

    def output_ended(self) -> None:
        """
        Note that the transport takes nothing more and is about to tell of its end.

        Queued output is lost.  Senders wait for the end, so that the driver can tell.
        """
        if self.ended_at is None:
            self.pause_writing()

    def said_farewell(self) -> None:
        """Note that the end of TLS is on its way, or of no use."""
        self.farewell_due = False

    def half_closed(self, done: bool) -> None:
        """
        Note that our direction of TCP is closed.

        Args:
            done: whether that was possible without closing the other one.
        """
        self._half_closed = True
        if not done:
            self.input_over = True

    def rest_begun(self) -> None:
        """Note that what has arrived is being read; the end of input ends that too."""
        if self._rest is InputAfterClose.UNREAD:
            self._rest = InputAfterClose.BEING_READ

    def rest_read(self) -> None:
        """Note that nothing of what had arrived is left."""
        self._rest = InputAfterClose.NONE

    def transport_lost(self, exc: BaseException | None, now: float) -> list[Waiter]:
        """
        Note that TCP has ended.

        Args:
            exc: the error of TCP; by default the one that was reported before.

        Returns:
            Everything that waits; the driver fires all of it.
        """
        self.now = self.ended_at = now
        self._hear_on()
        exc = self.failure if exc is None else without_traces(exc)
        if exc is None and self.gave_up:
            limit = f"{self.options.close_timeout:g} s (close_timeout)"
            exc = TimeoutError(f"the peer did not close within {limit}")
        self.protocol.transport_lost(exc)
        self.clear_to_send = False
        self._close_by = self._settle_by = None
        self.must_abort = False
        self._keepalive.stop()
        waiters = [*self._send_waiters, *self._closed_waiters]
        if self._recv_waiter is not None:
            waiters.append(self._recv_waiter)
            self._recv_waiter = None
        self._send_waiters.clear()
        self._closed_waiters.clear()
        pings, self._pings = self._pings, {}
        for sink, _ in pings.values():
            if sink is not None:
                sink.lost(self.protocol.close_exc)
        return waiters
