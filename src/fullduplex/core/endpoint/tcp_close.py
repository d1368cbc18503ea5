"""The end of TCP, step by step: output that is still sent, input that is still read.

    what happened             what goes out          what is read        the last move
    -----------------------   --------------------   -----------------   -------------
    the session leaves first  everything, then the   everything, up to   HALF_CLOSE
    (`must_half_close`)       CLOSE_NOTIFY of TLS    the peer's end
    our direction cannot be   everything             nothing             END
    closed alone
    the peer has closed its   everything, replies    nothing             END
    direction                 among it
    input failed              nothing                nothing             END
    output failed             nothing                what has arrived:   END
                                                     DRAIN_INPUT
    the deadline has passed,  nothing                nothing             END
    or `abort` was called

    the peer's end is seen    nothing                what has arrived:   END
    while reading is paused                          DRAIN_INPUT
    (`peer_left`), and what
    it sent is not taken

While reading is paused, the end of input stands behind bytes that nobody reads.  After
a moment the driver is asked to watch for it (`watching`), where the system has events
for that.  The application may then go on to take what the peer sent; once it has taken
nothing for as long as closing may last, TCP is ended.

A peer may close the connection and be gone while we still send.  Then output fails,
and what it sent before, its close frame above all, tells more than the failure does.

Rule: a driver asks for `next_tcp_step` while `closing_tcp` is set and whenever
something has changed, does what it is told, tells what came of it, and asks again.
"""

from __future__ import annotations

import enum

from ..errors import without_traces

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
    #: send what ends TLS; tell `close_notify_sent`
    CLOSE_NOTIFY = enum.auto()
    #: close our direction of TCP; tell `half_closed`
    HALF_CLOSE = enum.auto()
    #: tell `drain_started`, read what has arrived without waiting for more, tell
    #: `drain_ended`
    DRAIN_INPUT = enum.auto()
    #: end TCP, at once if `must_abort`, and tell `transport_lost`
    END = enum.auto()


class InputAfterClose(enum.Enum):
    """Input that had arrived when output failed."""

    NONE = enum.auto()
    UNREAD = enum.auto()
    BEING_READ = enum.auto()


class TCPClose:
    """Facts about the end of TCP, and the next step that follows from them."""

    __slots__ = (
        "_input",
        "close_notify_due",
        "close_timed_out",
        "ended_at",
        "eof",
        "failure",
        "is_half_closed",
        "left_by",
        "left_unread",
    )

    def __init__(self) -> None:
        #: whether the peer has closed its side of TCP
        self.eof = False
        #: error of TCP, if the driver has reported one
        self.failure: BaseException | None = None
        #: whether TLS has to say that no more comes (drivers that do it set this)
        self.close_notify_due = False
        #: whether TCP was ended because closing took too long
        self.close_timed_out = False
        #: when TCP ended
        self.ended_at: float | None = None
        #: whether our direction of TCP is closed
        self.is_half_closed = False
        #: when a peer that has left is given up on, and how much was unread before
        self.left_by: float | None = None
        self.left_unread = 0
        self._input = InputAfterClose.NONE

    def next_step(
        self, waiting: bool, *, abort: bool, input_over: bool, half_close: bool
    ) -> TCPStep:
        """
        Tell what to do next; asking changes nothing.

        Args:
            waiting: whether there is output that the system has not taken.
            abort: whether TCP ends at once, as is `input_over`, `half_close`: see
                `Endpoint`.
        """
        if self.ended_at is not None:
            return TCPStep.WAIT
        if abort:
            if self._input is InputAfterClose.UNREAD:
                return TCPStep.DRAIN_INPUT
            return (
                TCPStep.WAIT
                if self._input is InputAfterClose.BEING_READ
                else TCPStep.END
            )
        if waiting:
            return TCPStep.WAIT
        if input_over:
            return TCPStep.END
        if half_close and not self.is_half_closed:
            return TCPStep.CLOSE_NOTIFY if self.close_notify_due else TCPStep.HALF_CLOSE
        return TCPStep.WAIT

    def failed(self, exc: BaseException) -> None:
        """Note an error of TCP; the first one counts."""
        if self.failure is None:
            self.failure = without_traces(exc)

    def close_notify_sent(self) -> None:
        """Note that the end of TLS is on its way, or of no use."""
        self.close_notify_due = False

    def drain_expected(self) -> None:
        """Note that input which has arrived is to be read, though output failed."""
        self._input = InputAfterClose.UNREAD

    def drain_started(self) -> None:
        """Note that what has arrived is being read; the end of input ends that too."""
        if self._input is InputAfterClose.UNREAD:
            self._input = InputAfterClose.BEING_READ

    def drain_ended(self) -> None:
        """Note that nothing of what had arrived is left."""
        self._input = InputAfterClose.NONE
