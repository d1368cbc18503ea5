"""One open connection: messages, pings, closing, deadlines and water marks.

No I/O and no clock.  A driver tells what happened (`data_received`,
`timer_expired`, `transport_lost`, ...), each time with the moment `now` in
seconds on its own clock, and then carries out what the session wants: the bytes
of ``protocol.writer``, `reading_paused`, `must_half_close`, `must_abort`, and a
timer for `deadline()`.  `attention` tells that one of these may have changed.

What may have to wait is a generator.  It yields the waiter that it waits for,
made by `new_waiter`; the driver resumes it with ``send(now)`` once the waiter was
fired.  Each `yield` is the only place where such an operation can be cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any, TypeVar
from typing import Protocol as Interface

from .closing import State
from .errors import ConcurrencyError, ProtocolError
from .frames import CloseCode
from .keepalive import Keepalive
from .messages import Assembly, Fragment, TextDecoder
from .options import Options
from .protocol import Protocol, Side
from .typing import BytesLike

__all__ = ["Operation", "PingSink", "Session", "Waiter"]

T = TypeVar("T")
# What a waiting operation is: yields waiters, takes the time, returns T.
Operation = Generator["Waiter", float, T]

# A close frame is put off while messages that arrived before it wait unread, so
# that replies go out first, but no longer than this many seconds.
GRACE = 0.25

# Bits of `Session.slow`: why `recv` may not simply take a message.
RECEIVING, PAUSED, FRAGMENTS = 1, 2, 4


class Waiter(Interface):
    """Something to wait for, once.  Firing it twice is firing it once."""

    def fire(self) -> object:
        """Let the operation that waits go on."""


class PingSink(Interface):
    """Where the fate of a ping is told."""

    def acknowledged(self, rtt: float) -> None:
        """The peer answered after `rtt` seconds."""

    def lost(self, exc: BaseException) -> None:
        """The connection ended first."""


class Session:
    """
    An open connection without I/O.

    Args:
        protocol: the frame level, in state OPEN.
        options: limits and timeouts.
        new_waiter: makes a waiter of the driver's kind.
        now: seconds on the driver's clock.
        random: source of ping payloads.
    """

    __slots__ = (
        "_assembly",
        "_close_by",
        "_closed_waiters",
        "_discarding",
        "_keepalive",
        "_new_waiter",
        "_pings",
        "_random",
        "_received_at",
        "_recv_waiter",
        "_send_waiters",
        "_settle_by",
        "_stream_decoder",
        "_streaming",
        "attention",
        "clear_to_send",
        "fragmenting",
        "latency",
        "messages",
        "must_abort",
        "must_half_close",
        "now",
        "options",
        "protocol",
        "reader",
        "reading_paused",
        "slow",
        "writer",
        "writing_paused",
        "written_past",
    )

    def __init__(
        self,
        protocol: Protocol,
        options: Options,
        *,
        new_waiter: Callable[[], Waiter],
        now: float,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.protocol = protocol
        self.options = options
        self.messages = protocol.messages
        self.reader = protocol.reader
        self.writer = protocol.writer
        self.now = self._received_at = now
        self._new_waiter = new_waiter
        self._random = random
        #: whether the driver should look at the outputs
        self.attention = True
        #: why the fast path of `recv` is closed; 0 when it is open
        self.slow = 0
        #: whether `send` may queue a plain message and return
        self.clear_to_send = protocol.plain
        self.reading_paused = False
        self.must_half_close = False
        self.must_abort = False
        self.writing_paused = False
        #: seconds, of the last ping that was answered; 0 before
        self.latency = 0.0
        self._close_by: float | None = None
        self._settle_by: float | None = None
        self._keepalive = Keepalive(options.ping_interval, options.ping_timeout, now)
        self._pings: dict[bytes, tuple[PingSink | None, float]] = {}
        self._recv_waiter: Waiter | None = None
        self._assembly = Assembly()
        self._streaming = False
        self._stream_decoder: TextDecoder | None = None
        self._discarding = False
        #: whether a message is being sent in fragments, which keeps others out
        self.fragmenting = False
        #: bytes of frames that the driver wrote without passing them by `writer`
        self.written_past = 0
        self._send_waiters: list[Waiter] = []
        self._closed_waiters: list[Waiter] = []
        protocol.on_pong = self._pong_received

    # What the driver tells

    def data_received(self, size: int, now: float) -> Waiter | None:
        """
        Parse `size` bytes that were read into ``reader.get_buffer()``.

        Returns:
            The waiter of `recv`, if there is now something for it.  The driver
            fires it, and calls `delivered` when the reader has had its turn.
        """
        self.now = self._received_at = now
        protocol = self.protocol
        try:
            self.reader.received(size)
        except Exception as exc:
            protocol.refuse(exc)
        if protocol.eventful or self._keepalive.pinged_at is not None:
            self._after_events()
        waiter = self._recv_waiter
        if waiter is not None and self.messages:
            self._recv_waiter = None
            return waiter
        return None

    def feed(self, data: BytesLike, now: float) -> Waiter | None:
        """Parse bytes that are elsewhere; otherwise as `data_received`."""
        self.now = self._received_at = now
        try:
            self.reader.feed(data)
        except Exception as exc:
            self.protocol.refuse(exc)
        return self.data_received(0, now)

    def _after_events(self) -> None:
        """Look at what came in besides whole messages."""
        protocol = self.protocol
        protocol.eventful = False
        keepalive = self._keepalive
        keepalive.heard = True
        if keepalive.overdue(self.now):
            self.attention = True
        protocol.pay_pongs()
        if protocol.unsettled:
            self.attention = True
            self._pause_reading(False)
        if protocol.fragments:
            protocol.fragments = False
            self._take_fragments()

    def delivered(self) -> None:
        """Settle what was put off until the reader had its turn; check marks."""
        if self.protocol.unsettled:
            if not self.messages:
                self.settle(self.now)
            elif self._settle_by is None:
                self._settle_by = self.now + GRACE
                self.attention = True
        messages = self.messages
        if not messages:
            self.reader.tally = 0
            return
        options = self.options
        if options.queue_high is None:
            return
        if len(messages) > options.queue_high:
            self._overfull()
        elif options.unread_high is not None and (
            self.reader.tally > options.unread_high
        ):
            # The tally counts what came in since the queue was last empty.
            self.reader.tally = self._unread_size()
            if self.reader.tally > options.unread_high:
                self._overfull()

    def _overfull(self) -> None:
        if self.protocol.state is State.OPEN and self._close_by is None:
            if not self.reading_paused:
                self._pause_reading(True)
            return
        # Closing: go on reading, for the peer's close frame stands behind the
        # messages, but keep no more of them than the queue may hold.
        high = self.options.queue_high
        assert high is not None
        while len(self.messages) > high:
            self.messages.pop()
        self.reader.tally = self._unread_size()

    def _unread_size(self) -> int:
        return sum(
            len(item.data) if isinstance(item, Fragment) else len(item)
            for item in self.messages
        )

    def _pause_reading(self, paused: bool) -> None:
        if self.reading_paused == paused:
            return
        self.reading_paused = paused
        self.slow = self.slow | PAUSED if paused else self.slow & ~PAUSED
        self.attention = True
        self._keepalive.reading(not paused, self.now)

    def settle(self, now: float) -> None:
        """Send the close frame that answers a close frame or a fault."""
        self.now = now
        self._settle_by = None
        self.protocol.settle()
        self._closing()

    def eof_received(self, now: float) -> None:
        """Note that the peer has closed its side of TCP."""
        self.now = now
        self.protocol.eof_received()
        self._closing()

    def transport_lost(self, exc: BaseException | None, now: float) -> list[Waiter]:
        """
        Note that TCP has ended.

        Returns:
            Everything that waits; the driver fires all of it.
        """
        self.now = now
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
                sink.lost(self.protocol.close_exc())
        return waiters

    def pause_writing(self) -> None:
        """Note that more than ``write_high`` bytes wait to be sent."""
        self.writing_paused = True
        self.protocol.pongs_wait = True
        self.clear_to_send = False

    def resume_writing(self) -> list[Waiter]:
        """Note that at most ``write_low`` bytes wait; returns what to fire."""
        self.writing_paused = False
        self.protocol.pongs_wait = False
        self.protocol.pay_pongs()
        self._reckon_sending()
        waiters = list(self._send_waiters)
        self._send_waiters.clear()
        return waiters

    def output_left(self, size: int, now: float) -> None:
        """
        Note how much of the output the peer's system has not taken.

        Called before `timer_expired`; output that moves restarts the deadline
        of the pong, so that a slow upload is not taken for a dead peer.
        """
        self._keepalive.output(self.writer.total + self.written_past - size, size, now)

    # Time

    def deadline(self) -> float | None:
        """When `timer_expired` wants to be called; None for never."""
        if self._settle_by is not None:
            return self._settle_by
        if self._close_by is not None:
            return self._close_by
        return self._keepalive.deadline(self.now)

    def timer_expired(self, now: float) -> None:
        """Do what is due at `now`; calling too early does nothing."""
        self.now = now
        if self._settle_by is not None and now >= self._settle_by:
            self.settle(now)
        if self._close_by is not None:
            if now >= self._close_by:
                self.must_abort = True
                self.attention = True
            return
        if self.protocol.state is not State.OPEN:
            return
        due = self._keepalive.expired(now)
        if due is Keepalive.PING:
            payload = self._ping_payload()
            self._pings[payload] = (None, now)
            self.protocol.send_ping(payload)
        elif due is Keepalive.DEAD:
            self.protocol.fail(
                TimeoutError(self._keepalive.diagnosis(self._received_at, now)),
                CloseCode.INTERNAL_ERROR,
                "keepalive ping timeout",
            )
            self.settle(now)

    def _closing(self) -> None:
        """Start the one deadline of closing; close_timeout covers all of it."""
        self.attention = True
        self.clear_to_send = False
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

    # Receiving

    def recv(self, decode: bool | None = None) -> Operation[str | bytes]:
        """
        Wait for the next message.

        Cut: safe.  Fragments already taken stay with the session.

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
                converted = self._convert(item, decode)
                if converted is not None:
                    return converted
        finally:
            self.awaited()

    def recv_fragment(
        self, decode: bool | None = None, *, first: bool
    ) -> Operation[Fragment]:
        """
        Wait for the next part of a message; whole messages are one part.

        Between the first part and the last one no other receiver is let in.
        Cut: safe.

        Args:
            first: whether a message begins with this part.
        """
        self._begin_receiving(streaming=not first)
        try:
            while True:
                if self._assembly:
                    item: str | bytes | Fragment = Fragment(
                        self._assembly.take(), False
                    )
                else:
                    item = yield from self._next_item()
                if not isinstance(item, Fragment):
                    item = Fragment(item, True)
                if first:
                    self._stream_decoder = TextDecoder()
                    first = False
                converted = self._convert(
                    item.data, decode, self._stream_decoder, item.fin
                )
                if converted is not None:
                    self._streaming = not item.fin
                    if item.fin:
                        self._reckon_fragments()
                    return Fragment(converted, item.fin)
        finally:
            self.awaited()

    def abandon_stream(self) -> None:
        """Discard the rest of a message that is streamed; frees the receiver."""
        if self._streaming:
            self._streaming = False
            self._discarding = True
            self._take_fragments()

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
                "recv() is already waiting in another task; a connection has one reader"
            )
        self.slow |= RECEIVING

    def await_message(self) -> Waiter:
        """
        Return the waiter that is fired when there is something to receive.

        For drivers that wait without making an operation.  They check `messages`
        again afterwards, and call `awaited` in any case.

        Raises:
            ConcurrencyError: another receiver is waiting or streaming.
            ConnectionClosed: TCP has ended.
        """
        protocol = self.protocol
        if protocol.state is State.CLOSED and not self.slow:
            raise protocol.close_exc()
        self._begin_receiving()
        if protocol.unsettled:
            self.settle(self.now)
        self._recv_waiter = waiter = self._new_waiter()
        return waiter

    def awaited(self) -> None:
        """Note that the receiver no longer waits."""
        self.slow &= ~RECEIVING
        self._recv_waiter = None

    def _next_item(self) -> Operation[str | bytes | Fragment]:
        while not self.messages:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc()
            if self.protocol.unsettled:
                self.settle(self.now)
            self._recv_waiter = waiter = self._new_waiter()
            self.now = yield waiter
        item: str | bytes | Fragment = self.messages.popleft()
        if self.reading_paused:
            self.taken()
        return item

    def taken(self) -> None:
        """Resume reading once the queue is at its low marks."""
        options = self.options
        if len(self.messages) > options.queue_low:
            return
        if options.unread_high is not None:
            self.reader.tally = self._unread_size()
            if self.reader.tally > options.unread_high // 2:
                return
        self._pause_reading(False)

    def _convert(
        self,
        data: str | bytes,
        decode: bool | None,
        decoder: TextDecoder | None = None,
        fin: bool = True,
    ) -> str | bytes | None:
        """Apply `decode`; None if that failed, and the connection with it."""
        if decode is None:
            return data
        if not decode:
            return data.encode() if isinstance(data, str) else data
        if isinstance(data, str):
            return data
        try:
            return data.decode() if decoder is None else decoder.decode(data, fin)
        except UnicodeDecodeError as exc:
            self.protocol.fail(exc, CloseCode.INVALID_DATA, exc.reason)
            self.settle(self.now)
            return None

    # Sending

    def send(self, message: str | BytesLike, text: bool) -> Operation[None]:
        """
        Queue a message as one frame and wait while output is above its mark.

        Cut: the frame goes out whole or not at all.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        yield from self._until_clear()
        self.protocol.send_message(message, text)
        yield from self.drain()

    def begin_fragments(self) -> Operation[None]:
        """Wait until no other message is being sent, then keep others out."""
        yield from self._until_clear()
        self.fragmenting = True
        self.clear_to_send = False

    def send_fragment(
        self, opcode: int, data: str | BytesLike, *, fin: bool
    ) -> Operation[None]:
        """Queue one frame of the message begun with `begin_fragments`."""
        yield from self._until_open()
        self.protocol.send_data(opcode, data, fin=fin)
        yield from self.drain()

    def end_fragments(self, exc: BaseException | None = None) -> list[Waiter]:
        """
        Let other senders in again; returns what to fire.

        Args:
            exc: why the message stays incomplete.  A message cannot be taken
                back, so the connection fails with 1011.
        """
        self.fragmenting = False
        if exc is not None and self.protocol.state is State.OPEN:
            self.protocol.fail(exc, CloseCode.INTERNAL_ERROR, "")
            self.settle(self.now)
        self._reckon_sending()
        waiters = list(self._send_waiters)
        self._send_waiters.clear()
        return waiters

    def _reckon_sending(self) -> None:
        self.clear_to_send = (
            self.protocol.plain
            and self.protocol.state is State.OPEN
            and not self.writing_paused
            and not self.fragmenting
            and self._close_by is None
        )

    def _until_open(self) -> Operation[None]:
        """Pass in state OPEN; otherwise wait for the end and raise."""
        while self.protocol.state is not State.OPEN:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc()
            yield from self._wait(self._closed_waiters)

    def _until_clear(self) -> Operation[None]:
        yield from self._until_open()
        while self.fragmenting or self.writing_paused:
            yield from self._wait(self._send_waiters)
            yield from self._until_open()

    def drain(self) -> Operation[None]:
        """
        Wait while output is above its mark.

        Raises:
            ConnectionClosed: TCP has ended meanwhile.
        """
        while self.writing_paused:
            yield from self._wait(self._send_waiters)
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc()

    def _wait(self, queue: Any) -> Operation[None]:
        waiter = self._new_waiter()
        queue.append(waiter)
        try:
            self.now = yield waiter
        finally:
            # Cut, or fired and removed by who fired it.
            if waiter in queue:
                queue.remove(waiter)

    # Control frames

    def ping(
        self, payload: bytes | None, sink: PingSink | None, now: float
    ) -> Operation[None]:
        """
        Queue a ping (RFC 6455, 5.5.2).

        Args:
            payload: at most 125 bytes; None for 4 random ones.

        Raises:
            ProtocolError: `payload` is longer.
            ConcurrencyError: a ping with this payload is waiting for its pong.
            ConnectionClosed: the connection is closing or closed.
        """
        self.now = now
        if payload is None:
            payload = self._ping_payload()
        self._check_control("ping", payload)
        if payload in self._pings:
            raise ConcurrencyError("a ping with the same data waits for its pong")
        yield from self._until_open()
        self._pings[payload] = (sink, self.now)
        self.protocol.send_ping(payload)
        yield from self.drain()

    def pong(self, payload: bytes, now: float) -> Operation[None]:
        """Queue an unsolicited pong (RFC 6455, 5.5.3)."""
        self.now = now
        self._check_control("pong", payload)
        yield from self._until_open()
        self.protocol.send_pong(payload)
        yield from self.drain()

    def _check_control(self, name: str, payload: bytes) -> None:
        if len(payload) > 125:
            raise ProtocolError(
                f"{name} data has {len(payload)} bytes; allowed are 125"
            )

    def _ping_payload(self) -> bytes:
        while True:
            payload = self._random(4)
            if payload not in self._pings:
                return payload

    def _pong_received(self, payload: bytes) -> None:
        if payload not in self._pings:
            return  # unsolicited, 5.5.3
        # A pong answers its ping and all earlier ones: the peer may answer only
        # the latest.
        for key in list(self._pings):
            sink, sent_at = self._pings.pop(key)
            rtt = self.now - sent_at
            if sink is not None:
                sink.acknowledged(rtt)
            if key == payload:
                self.latency = rtt
                break

    # Closing

    def close(self, code: int | None, reason: str, now: float) -> Operation[None]:
        """
        Close the connection and wait until TCP has ended.

        Cut: only the waiting.  The deadline runs on without the caller.

        Raises:
            ProtocolError: `code` or `reason` must not travel; nothing was sent.
        """
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
        while protocol.state is not State.CLOSED:
            yield from self._wait(self._closed_waiters)

    def wait_closed(self) -> Operation[None]:
        """Wait until TCP has ended; never raises.  Cut: safe."""
        while self.protocol.state is not State.CLOSED:
            yield from self._wait(self._closed_waiters)
