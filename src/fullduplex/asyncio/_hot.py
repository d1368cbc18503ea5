"""Read and write paths of a driver.  Pure-Python twin of ``_hot_c.pyx``.

They run for each read, each message and each write.  Everything rare is in `Driver`,
which subclasses this.  The compiled body calls the compiled part of the session, the
reader and our own transport as C functions.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.endpoint.endpoint import Endpoint
from ..core.implementation import IMPLEMENTATION, loading
from ._running_loop import check_running
from ._time_slice import time_slice

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._waiter import Waiter
else:
    with loading():
        from ._waiter_c import Waiter

__all__ = ["JOIN", "HotDriver"]

# A write that follows another one within this time (seconds) begins a burst.  It leaves
# at once.  The writes that follow it in the same step of the same task are joined and
# go out at the end of the event loop iteration, or at JOIN bytes.
BURST = 50e-6
JOIN = 65536

# Treatment of writes: in the read callback, the first one leaves and others wait.
UNCORKED, UNWRITTEN, CORKED = range(3)


class HotDriver:
    """
    The base of `Driver`.

    Args:
        loop: the running loop.
        eager: whether readers are resumed within the read callback; see `Waiter`.
    """

    __slots__ = (
        "_burst",
        "_corked",
        "_eager",
        "_writer",
        "_wrote_at",
        "ended",
        "get_buffer",
        "loop",
        "session",
        "time_slice",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, eager: bool) -> None:
        self.loop = loop
        self._eager = eager
        self.transport: Any = None
        self.session: Endpoint | None = None
        #: where the transport reads to (asyncio calls this); from `start_frames` on it
        #: is the reader's own method
        self.get_buffer: Any = None
        self._corked = UNCORKED
        self._burst: asyncio.Handle | None = None
        # The identity of the task whose writes are joined.
        self._writer = 0
        self._wrote_at = 0.0
        #: budget of the loop's tasks until it runs
        self.time_slice = time_slice(loop)
        self.ended = False

    def start_frames(self, session: Endpoint) -> None:
        """Turn from the handshake to the messages of `session`."""
        self.session = session
        self.get_buffer = session.reader.get_buffer

    # Input

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read (asyncio calls this)."""
        session = self.session
        if session is None:
            self._handshake_read(nbytes)
            return
        self._corked = UNWRITTEN
        try:
            waiter: Any = session.data_received(nbytes, monotonic())
            # The reader may look after it during its step, and leave something to
            # settle.
            needs_sync = session.needs_sync
            if waiter is not None and session.writer.pending:
                # Pongs do not wait for what the reader does with its message.
                session.sent_at = session.now
                self.write_queued()
            if waiter is not None and not waiter.fire():
                # The reader's step is in the loop's queue; stand behind it.
                self.loop.call_soon(self._after_delivery)
            elif (
                session.messages
                or needs_sync
                or session.needs_sync
                or session.holder.holding
            ):
                session.after_delivery()
        finally:
            self._corked = UNCORKED
            if session.writer.pending:
                session.sent_at = session.now
                self.write_queued()
            if session.needs_sync:
                self._sync()

    def begin_wait(self) -> Any:
        """
        Return what to wait for until there is a message to take.

        The caller calls `end_wait` in any case.

        Returns:
            None where only the session's `recv` knows what to do.
        """
        session = self.session
        if session is None:
            return None
        waiter = Waiter(self.loop, self._eager)
        return waiter if session.begin_wait(waiter) else None

    def end_wait(self) -> None:
        """Note that the receiver no longer waits."""
        assert self.session is not None
        self.session.end_wait()

    # Output

    def send_now(self, message: object) -> bool | None:
        """
        Send a message as one frame if nothing stands against it.

        Returns:
            True if it is on its way, None if also the output is above its mark now,
            False if it needs the session's `send`; nothing has changed then.

        Raises:
            RuntimeError: it is called from another event loop; nothing was sent.
            UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        """
        session = self.session
        if session is None or not session.clear_to_send:
            return False
        check_running(self.loop)
        if not session.queue(message):
            return False
        self.schedule_flush()
        return None if session.writing_paused else True

    def broadcast_now(self, frame: bytes, now: float, fresh: bool) -> bool | None:
        """
        Send a frame that servers' connections share, if nothing stands against it.

        Args:
            fresh: whether it is written at once; if not, the caller queues it.

        Returns:
            True if it is on its way, None if the caller has to queue it, False if this
            connection does not take it, or not as it is.
        """
        session = self.session
        if session is None or not session.clear_to_send or session.writer.masked:
            return False
        session.sent_at = now
        if not fresh or session.writer.pending:
            return None
        if self.transport.is_closing():
            session.output_ended()
            return False
        session.writer.count_unbuffered_frame(len(frame))
        self.transport.write(frame)
        return True

    def schedule_flush(self) -> None:
        """Send what was queued: now, or joined with what follows in the same step."""
        session = self.session
        assert session is not None
        if self._corked == UNWRITTEN:
            self._corked = CORKED
            session.sent_at = session.now
            self.write_queued()
            return
        if self._corked or self._burst is not None:
            task = id(asyncio.current_task(self.loop))
            if not self._corked and task != self._writer:
                # The first write of another step.
                self._writer = task
                self._flush()
            elif session.writer.pending >= JOIN:
                self._flush()
            return
        now = monotonic()
        if now - self._wrote_at < BURST:
            self._burst = self.loop.call_soon(self._end_burst)
            self._writer = id(asyncio.current_task(self.loop))
        self._wrote_at = session.sent_at = now
        self.write_queued()

    def write_queued(self) -> None:
        """Hand all that is queued to the transport, unless that is being lost."""
        assert self.session is not None
        data = self.session.writer.take()
        if self.transport.is_closing():
            # Transports warn of those who go on writing.
            self.session.output_ended()
        else:
            self.transport.write(data)

    # Methods of `Driver`

    def _handshake_read(self, nbytes: int) -> None:
        """Take what was read before `start_frames`."""
        raise NotImplementedError

    def _after_delivery(self) -> None:
        """Let the session look at its marks, once the reader had its turn."""
        raise NotImplementedError

    def _sync(self) -> None:
        """Carry out what the session wants of the transport."""
        raise NotImplementedError

    def step(self) -> None:
        """Carry out what the session wants after something happened."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Send all that is queued."""
        raise NotImplementedError

    def _end_burst(self) -> None:
        """Send what was joined (the loop calls this)."""
        raise NotImplementedError
