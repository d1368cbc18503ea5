"""One open connection: messages, pings, closing, deadlines and water marks.

No I/O and no clock.  A driver reports events (`data_received`, `timer_expired`,
`transport_lost`, ...), each with the moment `now` in seconds on its own clock.  Then it
carries out the requests of the endpoint: the bytes of ``protocol.writer``,
`reading_paused`, `watching`, `next_move()` while it is `departing`, and a timer for
`deadline()`.  `attention` tells that one of these may have changed.

An endpoint is a chain of classes, one file each: the paths of every message (`hot`),
closing (`operation`), receiving (`receive_queue`), sending (`pings`), and the end of
TCP (`tcp_close`).  Other events of the driver, and time, are here.
"""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Callable
from typing import Any

from ..credentials import escape
from ..frames.close import CloseCode, State
from ..logs import PEER
from ..typing import BytesLike
from .frame_protocol import FrameProtocol
from .keepalive import Keepalive, Verdict
from .operation import Waiter
from .options import Options
from .tcp_close import WATCH, TCPClose
from .tcp_info import TCPInfo

# Seconds that the end of TLS may take where no deadline runs.
FAREWELL = 1.0


def unnoted(level: int, message: str, *arguments: object) -> None:
    """Log nothing: the connection has ended."""


class Endpoint(TCPClose):
    """
    An open connection without I/O.

    Args:
        protocol: the frame level, in state OPEN.
        options: limits and timeouts.
        new_waiter: makes a waiter of the driver's kind.
        now: seconds on the driver's clock.
        random: source of ping payloads.
        note: logs for this connection: level, format, arguments; by default the
            logger of `protocol` does.
    """

    __slots__ = (
        "__weakref__",
        "note",
        "opened_at",
        "opening",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        *,
        new_waiter: Callable[[], Waiter],
        now: float,
        random: Callable[[int], bytes] = os.urandom,
        note: Callable[..., None] | None = None,
    ) -> None:
        super().__init__(protocol, options, new_waiter, now, random)
        #: when messages could first be exchanged
        self.opened_at = now
        #: `ConnectTrace` of the opening, where there is one; for diagnoses
        self.opening: Any = None
        self.note = protocol.logger.log if note is None else note
        protocol.on_fault = self._faulted

    def _faulted(self, exc: BaseException, code: int) -> None:
        """Log the end by a limit or a rule of ours, for the operator of the program."""
        text = exc.reason if isinstance(exc, UnicodeDecodeError) else str(exc)
        self.note(
            logging.WARNING,
            "closing the connection with %s: %s (close code %d)",
            PEER,
            escape(text),
            code,
        )

    # Events that the driver reports

    def feed(self, data: BytesLike, now: float) -> Waiter | None:
        """Parse bytes that are elsewhere; otherwise as `data_received`."""
        self.now = self.received_at = now
        try:
            self.reader.feed(data)
        except Exception as exc:
            self.protocol.refuse(exc)
        except BaseException as exc:
            self.interrupted(exc)
            raise
        # The steps after input are the same, with nothing more to parse.
        return self.data_received(0, now)

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
        if self.protocol.unsettled:
            self.settle(self.now)

    def _after_events(self) -> None:
        """Look at what came in besides whole messages."""
        self.reader.eventful = False
        keepalive = self._keepalive
        keepalive.heard = True
        if keepalive.overdue(self.now):
            self.attention = True
        self._look_at_frames()

    def transport_lost(self, exc: BaseException | None, now: float) -> list[Waiter]:
        """Note that TCP has ended; see `TCPClose`."""
        # Break the reference cycles with the connection, so that memory is freed
        # without the garbage collector.
        self.protocol.witness = weakref.ref(self)
        self.note = unnoted
        return super().transport_lost(exc, now)

    def output_left(self, size: int, now: float, link: TCPInfo | None = None) -> None:
        """
        Note how much of the output the peer's system has not taken.

        Called before `timer_expired`; output that moves restarts the deadline
        of the pong, so that a slow upload is not taken for a dead peer.

        Args:
            size: bytes.
            link: statistics of TCP, where the system has them.
        """
        self._keepalive.output(
            self.writer.total - size,
            size,
            now,
            link,
            blocked=bool(self._send_waiters),
        )

    @property
    def lenient(self) -> bool:
        """Whether the system must not end TCP because output waits (drivers ask)."""
        return self._keepalive.lenient

    @property
    def verdict(self) -> Verdict:
        """State of the peer according to keepalive, also after the end."""
        return self._keepalive.verdict

    @property
    def stalls(self) -> int:
        """Number of times that the application did not read for a ``ping_timeout``."""
        return self._keepalive.stalls

    # Time

    def deadline(self) -> float | None:
        """When `timer_expired` wants to be called; None for never."""
        if self._settle_by is not None:
            return self._settle_by
        if self._close_by is not None:
            return self._close_by
        if self._left_by is not None:
            return self._left_by
        deadline = self._keepalive.deadline(self.now)
        if self.reading_paused and not self.watching:
            watch_at = self._paused_at + WATCH
            return watch_at if deadline is None else min(watch_at, deadline)
        return deadline

    def end_by(self, now: float) -> float:
        """When an end that takes its time, as that of TLS, has to be forced."""
        if self.must_abort:
            return -math.inf
        deadline = self.deadline()
        return now + FAREWELL if deadline is None else deadline

    def timer_expired(self, now: float) -> None:
        """Do what is due at `now`; calling too early does nothing."""
        self.now = now
        if self._settle_by is not None and now >= self._settle_by:
            self._settle_late(now)
        if self._close_by is not None:
            if now >= self._close_by:
                self.gave_up = True
                self.abort()
            return
        if self.protocol.state is not State.OPEN:
            return
        if self.reading_paused:
            self._look_at_unread(now)
            if self._left_by is not None or self.departing:
                return
        due = self._keepalive.expired(now)
        if due is Keepalive.PING:
            self.reader.eventful = True  # any input is a sign of life
            self.keepalive_ping(now)
            if not self.fragmenting:
                self.protocol.rest()
        elif due is Keepalive.STALLED:
            text = self._keepalive.diagnosis(self.received_at, now)
            self.note(
                logging.WARNING,
                "%s; messages waiting: %d; the peer: %s",
                text,
                len(self.messages),
                PEER,
            )
        elif due is Keepalive.DEAD:
            text = self._keepalive.diagnosis(self.received_at, now)
            self.protocol.fail(
                TimeoutError(text), CloseCode.INTERNAL_ERROR, "keepalive ping timeout"
            )
            self.settle(now)
