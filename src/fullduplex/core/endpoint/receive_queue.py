"""Receiving: the queue of messages, its water marks, and the waiting for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ..errors import ConcurrencyError
from ..frames.close import CloseCode, State
from ..frames.messages import Fragment, MessageAssembler, TextDecoder
from ._hot import RECEIVING
from .frame_protocol import FrameProtocol
from .operation import FRAGMENTS, Ending, Operation, Waiter
from .options import Options

# A close frame is deferred for at most this many seconds while earlier messages wait
# unread, so that replies go out before it.  The wait has two halves: after a suspended
# process the first timer may fire late, before the reader ran.
GRACE = 0.25


class Receiving(Ending):
    """The part of a session that receives; see `Session` for the arguments."""

    __slots__ = (
        "_assembly",
        "_discarding",
        "_graceful",
        "_stream_decoder",
        "_streaming",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        new_waiter: Callable[[], Waiter],
        now: float,
    ) -> None:
        super().__init__(protocol, options, new_waiter, now)
        if options.queue_high is not None:
            self.reader.hold_above(options.queue_high, options.unread_high)
        self._assembly = MessageAssembler()
        self._streaming = False
        self._stream_decoder: TextDecoder | None = None
        self._discarding = False
        self._graceful = False

    def _settle_late(self, now: float) -> None:
        """Send the close frame that was put off, or put it off once more."""
        if self._graceful:
            self._graceful = False
            self._settle_by = now + GRACE / 2
            self.attention = True
        else:
            self.settle(now)

    def delivered(self) -> None:
        """Settle what was put off until the reader had its turn; check marks."""
        reader = self.reader
        if reader.holding and len(self.messages) <= self.options.queue_low:
            self.refill()
        if self.protocol.unsettled:
            if not self.messages or self.protocol.state is not State.OPEN:
                # Nobody has replies to send, or nobody may any more.
                self.settle(self.now)
            else:
                self._put_off()
        if not self.messages:
            reader.tally = 0
        elif reader.holding or reader.full:
            self._overfull()

    def _put_off(self) -> None:
        """Let the reader reply to what arrived before a close frame."""
        if self._settle_by is None:
            self._settle_by = self.now + GRACE / 2
            self._graceful = True
            self.attention = True

    def _look_at_frames(self) -> None:
        """Look at what was parsed besides whole messages."""
        protocol = self.protocol
        protocol.pay_pongs()
        if protocol.unsettled:
            self.attention = True
            self._pause_reading(False)
        if protocol.fragments:
            protocol.fragments = False
            self._take_fragments()

    def _after_refill(self) -> None:
        self._look_at_frames()
        self.attention = True
        if self.protocol.unsettled:
            self._put_off()

    def _overfull(self) -> None:
        if self.protocol.state is State.OPEN and self._close_by is None:
            if not self.reading_paused:
                self._pause_reading(True)
        else:
            self._drop_messages()

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
            self.protocol.refuse(exc)
        if self.reader.eventful:
            self._look_at_frames()

    def _hear_on(self) -> None:
        if self.reader.holding:
            self._drop_messages()

    def unread_size(self) -> int:
        """Return the bytes of what waits to be received; text as characters."""
        return self.messages.size()

    def recv(self, decode: bool | None = None) -> Operation[str | bytes]:
        """
        Wait for the next message.

        Cancellation: safe.  Fragments already taken stay with the session.

        Raises:
            ConcurrencyError: another receiver is waiting or streaming.
            ConnectionClosed: TCP has ended and no message is left.
        """
        self._begin_receiving()
        try:
            while True:
                item = yield from self._next_item()
                if isinstance(item, Fragment):
                    self._assembly.add(item.data)
                    if not item.fin:
                        continue
                    item = self._assembly.take()
                    self._reckon_fragments()
                try:
                    return self._convert(item, decode)
                except UnicodeDecodeError as exc:
                    yield from self._undecodable(exc)
        finally:
            self.awaited()

    def recv_fragment(
        self, decode: bool | None = None, *, first: bool
    ) -> Operation[Fragment]:
        """
        Wait for the next part of a message; whole messages are one part.

        Between the first part and the last one no other receiver is let in.
        Cancellation: safe.

        Args:
            first: whether a message begins with this part.
        """
        self._begin_receiving(streaming=not first)
        try:
            item: str | bytes | Fragment
            if self._assembly:
                item = Fragment(self._assembly.take(), False)
            else:
                item = yield from self._next_item()
            if not isinstance(item, Fragment):
                item = Fragment(item, True)
            if first:
                self._stream_decoder = TextDecoder()
            self._streaming = not item.fin
            if item.fin:
                self._reckon_fragments()
            try:
                data = self._convert(item.data, decode, self._stream_decoder, item.fin)
            except UnicodeDecodeError as exc:
                data = yield from self._undecodable(exc)
            return Fragment(data, item.fin)
        finally:
            self.awaited()

    def abandon_stream(self) -> None:
        """Discard the rest of a message that is streamed; frees the receiver."""
        if self._streaming:
            self._streaming = False
            self._discarding = True
            self._take_fragments()
            if self.reading_paused:
                self.taken()

    def _take_fragments(self) -> None:
        """Note that fragments are queued; drop those of an abandoned message."""
        if self._discarding:
            while self.messages and self._discarding:
                item = self.messages.popleft()
                assert isinstance(item, Fragment)
                self._discarding = not item.fin
        self._reckon_fragments()

    def _reckon_fragments(self) -> None:
        if (
            self._assembly
            or self._streaming
            or self._discarding
            or any(isinstance(item, Fragment) for item in self.messages)
        ):
            self.slow |= FRAGMENTS
        else:
            self.slow &= ~FRAGMENTS

    def _begin_receiving(self, *, streaming: bool = False) -> None:
        if self.slow & RECEIVING or self._streaming != streaming:
            raise ConcurrencyError(
                "recv() is already waiting elsewhere; a connection has one reader"
            )
        self.slow |= RECEIVING

    @property
    def exhausted(self) -> bool:
        """Whether TCP has ended, no message is left, and nobody is streaming one."""
        return (
            self.protocol.state is State.CLOSED
            and not self.messages
            and not self.holder.holding
            and not self._streaming
        )

    def _next_item(self) -> Operation[str | bytes | Fragment]:
        while not self.messages:
            if self.holder.holding:
                self.refill()
                continue
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc
            if self.protocol.unsettled:
                self.settle(self.now)
            self._recv_waiter = waiter = self._new_waiter()
            self.now = yield waiter
        item: str | bytes | Fragment = self.messages.popleft()
        if self.reading_paused:
            self.taken()
        return item

    def _convert(
        self,
        data: str | bytes,
        decode: bool | None,
        decoder: TextDecoder | None = None,
        fin: bool = True,
    ) -> str | bytes:
        """
        Apply `decode`.

        Raises:
            UnicodeDecodeError: go on with `_undecodable`.
        """
        if decode is None:
            return data
        if not decode:
            return data.encode() if isinstance(data, str) else data
        if isinstance(data, str):
            return data
        return data.decode() if decoder is None else decoder.decode(data, fin)

    def _undecodable(self, cause: UnicodeDecodeError) -> Operation[NoReturn]:
        """Fail the connection for a message that is not what was asked for."""
        self.protocol.fail(cause, CloseCode.INVALID_DATA, cause.reason)
        if self.protocol.unsettled:
            # Nobody has told the time since the message came in; the timer does.
            self._settle_by = self.now
            self._graceful = False
            self.attention = True
        yield from self.wait_closed()
        raise self.protocol.close_exc from cause
