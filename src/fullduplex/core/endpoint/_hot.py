"""Receive and send paths of an open connection.  Twin of ``_hot_c.pyx``.

They run for each message.  Everything rare (closing, fragments, pauses) is in
`Endpoint`, which subclasses this.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from ..frames.close import State

if TYPE_CHECKING:
    from ..wire.wire import FrameReader, FrameWriter, MessageQueue
    from .frame_protocol import FrameProtocol


class Waiter(Interface):
    """Something to wait for, once.  Firing it twice is firing it once."""

    def fire(self) -> object:
        """Let the operation that waits go on."""


# Bits of `recv_blockers`: why `recv` may not simply take a message.
RECEIVING, PAUSED = 1, 2


class HotEndpoint:
    """
    The part of an endpoint that every message passes; see `Endpoint`.

    Args:
        queue_low: number of messages at which reading resumes.
        unread_low: bytes of them at which it may; None for any number.
    """

    __slots__ = (
        "_low",
        "_recv_blockers",
        "_unread_low",
        "clear_to_send",
        "holder",
        "messages",
        "needs_sync",
        "now",
        "protocol",
        "reader",
        "received_at",
        "recv_waiter",
        "sent_at",
        "writer",
        "writing_paused",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        queue_low: int,
        now: float,
        unread_low: int | None = None,
    ) -> None:
        self.protocol = protocol
        self.messages: MessageQueue = protocol.messages
        self.reader: FrameReader = protocol.reader
        #: holds what was read behind a mark: `reader`, or what it was split into
        self.holder: FrameReader = protocol.reader
        self.writer: FrameWriter = protocol.writer
        self._low = queue_low
        self._unread_low = sys.maxsize if unread_low is None else unread_low
        #: waiter of `recv`
        self.recv_waiter: Waiter | None = None
        self.now = now
        #: when the last byte came in
        self.received_at = now
        #: when the driver wrote last
        self.sent_at = now
        #: whether the driver should look at the outputs
        self.needs_sync = True
        self._recv_blockers = 0
        #: whether `send` may queue a plain message and return
        self.clear_to_send = protocol.plain
        self.writing_paused = False

    def data_received(self, size: int, now: float) -> Waiter | None:
        """
        Parse `size` bytes that were read into ``reader.get_buffer()``.

        Returns:
            The waiter of `recv`, if there is now something for it.  The driver
            fires it, and calls `after_delivery` when the reader has had its turn.
        """
        self.now = self.received_at = now
        try:
            self.reader.received(size)
        except Exception as exc:
            self.protocol.fail_for(exc)
        except BaseException as exc:
            self.interrupted(exc)
            raise
        if self.reader.has_events:
            self._after_events()
        if self.reader.holding and not self.messages:
            self.refill()  # fragments that nobody wants were dropped
        waiter = self.recv_waiter
        if waiter is not None and self.messages:
            self.recv_waiter = None
            return waiter
        return None

    def refill(self) -> None:
        """Parse what is held, up to the marks; `needs_sync` tells of a change."""
        reader = self.reader
        if reader.holding and reader.stopped:
            self._hear_on()  # the connection failed, for another reason
        holder = self.holder
        while holder.holding and not holder.full:
            # Held bytes arrived before: they answer no ping that was sent since.
            pinged, reader.has_events = reader.has_events, False
            try:
                holder.proceed()
            except Exception as exc:
                self.protocol.fail_for(exc)
            except BaseException as exc:
                self.interrupted(exc)
                raise
            if reader.has_events:
                self._after_refill()
            reader.has_events = pinged
        if not holder.holding:
            self.holder = self.reader

    def message_taken(self) -> None:
        """Parse on, or resume reading, once the queue is at its low marks."""
        if self._above_low():
            return
        if self.holder.holding:
            self.refill()
            if self.holder.holding or self._above_low():
                return
        self._pause_reading(False)

    def _above_low(self) -> bool:
        if len(self.messages) > self._low:
            return True
        holder = self.holder
        if holder.queued_bytes <= self._unread_low:
            return False
        # It counts what came in since the queue was last empty.
        holder.queued_bytes = self.messages.size()
        return holder.queued_bytes > self._unread_low

    def take_held(self) -> Any:
        """Take what a mark leaves, and parse on; None where only `recv` may."""
        if not self.messages and not self.recv_blockers & ~PAUSED:
            self.refill()
        if not self.messages or self.recv_blockers & ~PAUSED:
            return None
        message = self.messages.popleft()
        if self.recv_blockers:
            self.message_taken()
        return message

    @property
    def recv_blockers(self) -> int:
        """Reasons, as bits, against the fast path of `recv`; 0 when it is open."""
        return self._recv_blockers

    @recv_blockers.setter
    def recv_blockers(self, recv_blockers: int) -> None:
        self._recv_blockers = recv_blockers
        if not recv_blockers:
            self.messages.take_threshold = 0
        elif recv_blockers == PAUSED:
            # Taking a message changes the marks only at the low one.
            self.messages.take_threshold = self._low + 1
        else:
            self.messages.take_threshold = sys.maxsize

    def begin_wait(self, waiter: Waiter) -> bool:
        """
        Let `waiter` be fired when there is something to receive.

        For drivers that wait without making an operation.  They try ``messages.take``
        before and afterwards, and call `end_wait` in any case.

        Returns:
            False where only `recv` knows what to do; nothing has changed then.
        """
        if (
            self.recv_blockers
            or self.messages
            or self.holder.holding
            or self.protocol.close_deferred
            or self.protocol.state is not State.OPEN
        ):
            return False
        self.recv_blockers = RECEIVING
        self.recv_waiter = waiter
        return True

    def end_wait(self) -> None:
        """Note that the receiver no longer waits."""
        self.recv_blockers &= ~RECEIVING
        self.recv_waiter = None

    def queue(self, message: object) -> bool:
        """
        Queue a message as one frame if nothing stands against it.

        Returns:
            False if it needs `send`; nothing has changed then.

        Raises:
            UnicodeEncodeError: a `str` has lone surrogates; nothing was queued.
        """
        return self.clear_to_send and self.writer.add_message(message)

    # Methods of `Endpoint`

    def interrupted(self, exc: BaseException) -> None:
        """Fail the connection, for a part of the input is lost."""
        raise NotImplementedError

    def _after_events(self) -> None:
        """Look at what came in besides whole messages, or after a ping."""
        raise NotImplementedError

    def _after_refill(self) -> None:
        """Look at what came out of `refill`; no driver calls `after_delivery` then."""
        raise NotImplementedError

    def _hear_on(self) -> None:
        """Parse what is held for its control frames; its messages stay for `recv`."""
        raise NotImplementedError

    def _pause_reading(self, paused: bool) -> None:
        """Let the driver read, or not."""
        raise NotImplementedError
