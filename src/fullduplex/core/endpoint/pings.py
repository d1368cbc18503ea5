"""Sending: whole messages, fragments, pings and pongs, and the waiting for room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol as Interface

from ..errors import ConcurrencyError, ProtocolError
from ..frames.close import CloseCode, State
from ..typing import BytesLike
from .frame_protocol import FrameProtocol
from .operation import FLUSH, Operation, Waiter
from .options import Options
from .receive_queue import Receiving
from .roundtrips import RoundTrips

# Keepalive pings that are remembered while no pong comes.
KEPT_PINGS = 4


class PingSink(Interface):
    """Where the fate of a ping is told."""

    def acknowledged(self, rtt: float) -> None:
        """The peer answered after `rtt` seconds."""

    def lost(self, exc: BaseException) -> None:
        """The connection ended first."""


class Outgoing(Receiving):
    """The part of a session that sends; see `Session` for the arguments."""

    __slots__ = (
        "_pings",
        "_random",
        "_send_waiters",
        "exclusive",
        "latency",
        "pings_answered",
        "pings_sent",
        "rtt",
    )

    def __init__(
        self,
        protocol: FrameProtocol,
        options: Options,
        new_waiter: Callable[[], Waiter],
        now: float,
        random: Callable[[int], bytes],
    ) -> None:
        super().__init__(protocol, options, new_waiter, now)
        self._random = random
        #: seconds, of the last ping that was answered; 0 before
        self.latency = 0.0
        #: the last round-trip times; None before the first
        self.rtt: RoundTrips | None = None
        self.pings_sent = 0
        self.pings_answered = 0
        self._pings: dict[bytes, tuple[PingSink | None, float]] = {}
        self._send_waiters: list[Waiter] = []
        #: whether senders are refused, instead of made to wait, while another one
        #: sends a message in fragments (drivers of threads set this)
        self.exclusive = False
        protocol.on_pong = self._pong_received

    def send(
        self, message: str | BytesLike, text: bool, compress: bool | None = None
    ) -> Operation[None]:
        """
        Queue a message as one frame and wait while output is above its mark.

        Cancellation: the frame goes out whole or not at all.

        Args:
            compress: as for `PerMessageDeflate.compress_payload`.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: a message is being sent in fragments, and this session
                is `exclusive`.
        """
        yield from self._until_clear()
        self.protocol.send_message(message, text, compress)
        yield from self.drain()

    def begin_fragments(self) -> Operation[None]:
        """Wait until no other message is being sent, then keep others out."""
        yield from self._until_clear()
        self.fragmenting = True
        self.clear_to_send = False

    def send_fragment(
        self,
        opcode: int,
        data: str | BytesLike,
        *,
        fin: bool,
        compress: bool | None = None,
    ) -> Operation[None]:
        """Queue one frame of the message begun with `begin_fragments`."""
        yield from self._until_open()
        self.protocol.send_data(opcode, data, fin=fin, compress=compress)
        yield from self.drain()

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

    def _until_clear(self) -> Operation[None]:
        yield from self._until_open()
        while self.fragmenting or self.writing_paused:
            if self.fragmenting and self.exclusive:
                raise ConcurrencyError(
                    "another thread is sending a message in fragments; "
                    "wait until that send() has returned"
                )
            yield from self._wait(self._send_waiters)
            yield from self._until_open()

    def drain(self) -> Operation[None]:
        """
        Send what is queued, and wait while output is above its mark.

        Raises:
            ConnectionClosed: TCP has ended meanwhile.
        """
        yield FLUSH
        while self.writing_paused:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc
            yield from self._wait(self._send_waiters)

    def flush(self) -> Operation[None]:
        """
        Do what `drain` does on an open connection.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        yield from self._until_open()
        yield from self.drain()

    def pause_writing(self) -> None:
        """Note that more than ``write_high`` bytes wait to be sent."""
        self.writing_paused = True
        self.protocol.pongs_wait = True
        self.clear_to_send = False
        if self._keepalive.blocked():
            self.attention = True

    def resume_writing(self) -> list[Waiter]:
        """Note that at most ``write_low`` bytes wait; returns what to fire."""
        self.writing_paused = False
        self.protocol.pongs_wait = False
        self.protocol.pay_pongs()
        self._reckon_sending()
        waiters = list(self._send_waiters)
        self._send_waiters.clear()
        return waiters

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
            raise ConcurrencyError(
                f"a ping with the same data, {payload[:64]!r}, waits for its pong"
            )
        yield from self._until_open()
        self._pings[payload] = (sink, self.now)
        self.pings_sent += 1
        self.protocol.send_ping(payload)
        yield from self.drain()

    def pong(self, payload: bytes, now: float) -> Operation[None]:
        """Queue an unsolicited pong (RFC 6455, 5.5.3)."""
        self.now = now
        self._check_control("pong", payload)
        yield from self._until_open()
        self.protocol.send_pong(payload)
        yield from self.drain()

    def keepalive_ping(self, now: float) -> None:
        """Queue a ping whose pong only measures the latency."""
        # A peer that lives but does not answer must not cost memory for ever.
        unanswered = [key for key, (sink, _) in self._pings.items() if sink is None]
        for key in unanswered[:-KEPT_PINGS]:
            del self._pings[key]
        payload = self._ping_payload()
        self._pings[payload] = (None, now)
        self.pings_sent += 1
        self.protocol.send_ping(payload)

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
            self.pings_answered += 1
            if sink is not None:
                sink.acknowledged(rtt)
            if key == payload:
                self.latency = rtt
                if self.rtt is None:
                    self.rtt = RoundTrips()
                self.rtt.add(rtt)
                break
