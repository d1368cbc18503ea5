"""The rules of RFC 6455 above single frames, for both sides, without I/O.

Messages come out, control frames are answered, the closing handshake is kept,
and the first thing that is wrong ends the connection with the right code.

Two things are put off until `send_deferred_close`: the echo of the peer's close frame
and the close frame that fails the connection.  Messages that arrived intact before them
are delivered first, and replies that the application sends at once still go out.
"""

from __future__ import annotations

import enum
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import PayloadTooBig, ProtocolError, TooManyFragments, without_traces
from ..extensions import pipeline as _chain
from ..extensions.deflate import PerMessageDeflate
from ..frames.close import (
    OK_CLOSE_CODES,
    Close,
    CloseCode,
    CloseEvent,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
    next_state,
    shorten_reason,
)
from ..frames.frame import Extension
from ..frames.messages import Fragment, FragmentLimit, TextDecoder
from ..logs import find_logger
from ..typing import BytesLike, LoggerLike
from ..wire.lookahead import last_ping
from ..wire.wire import FrameReader, FrameWriter, MessageQueue, ReadBuffer

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FIN, RSV1 = 0x80, 0x40
# Above this many bytes waiting to be sent, only the latest ping is answered,
# which RFC 6455, 5.5.3, allows: a flood of pings must not fill our memory.
PONG_BACKLOG = 65536
# Bytes in the payload of a control frame; RFC 6455, 5.5.
MAX_CONTROL = 125


def find_default_logger() -> LoggerLike:
    """Return where is logged what belongs to no connection."""
    return find_logger("fullduplex")


# Codes for what a limit or a rule of ours ends.
OURS = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.INVALID_DATA,
        CloseCode.MESSAGE_TOO_BIG,
    }
)


def ignore_event(*arguments: object) -> None:
    """Take what nobody waits for."""


def check_control(payload: BytesLike) -> None:
    """
    Check what an extension has made of a control frame.

    Raises:
        ProtocolError: it is too long for one (RFC 6455, 5.5).
    """
    if len(payload) > MAX_CONTROL:
        raise ProtocolError(
            f"an extension made {len(payload)} bytes of the payload of a control "
            f"frame; {MAX_CONTROL} are allowed"
        )


class Side(enum.IntEnum):
    """Side of a connection."""

    SERVER, CLIENT = range(2)


class FrameProtocol:
    """
    One end of an open connection.

    Args:
        side: masks what it sends if it is the client (RFC 6455, 5.1).
        max_size: bytes in a received message; None for no limit.
        max_fragment: bytes in a received frame; None for no limit.
        logger: where to log, or what returns that when there is something to log.
        debug: whether frames are logged; by default, whether `logger` takes DEBUG.
        buffer: memory to read into; see `FrameReader`.
        direct_view: see `FrameReader`.
    """

    __slots__ = (
        "_decoder",
        "_deflate",
        "_dropping",
        "_fault_close",
        "_kept",
        "_logger",
        "_meter",
        "_owed_pong",
        "_started",
        "_truncated",
        "close_deferred",
        "close_rcvd",
        "close_rcvd_then_sent",
        "close_sent",
        "debug",
        "diagnose",
        "extensions",
        "fault",
        "fragments",
        "messages",
        "on_fault",
        "on_pong",
        "pongs_wait",
        "reader",
        "side",
        "state",
        "writer",
    )

    def __init__(
        self,
        side: Side,
        *,
        max_size: int | None = 2**20,
        max_fragment: int | None = None,
        logger: LoggerLike | Callable[[], LoggerLike] | None = None,
        debug: bool | None = None,
        buffer: ReadBuffer | None = None,
        direct_view: bool = True,
    ) -> None:
        self.side = side
        self.state = State.OPEN
        self._logger = find_default_logger if logger is None else logger
        #: whether frames are logged; sampled once
        self.debug = self.logger.isEnabledFor(logging.DEBUG) if debug is None else debug
        #: whole messages and `Fragment`s, in order of arrival
        self.messages = MessageQueue()
        self.reader = FrameReader(
            self.frame_received,
            self.messages,
            masked=side is Side.SERVER,
            max_size=max_size,
            max_fragment=max_fragment,
            buffer=buffer,
            direct_view=direct_view,
        )
        # With DEBUG each frame passes `frame_received`, which logs it.
        self.reader.deliver_messages = not self.debug
        self.writer = FrameWriter(mask=side is Side.CLIENT)
        self.extensions: list[Extension] = []
        self._deflate: PerMessageDeflate | None = None
        self._decoder: TextDecoder | None = None
        self._meter: FragmentLimit | None = None
        self._started = 0
        self._dropping = False
        self._kept: FrameReader | None = None
        #: whether `Fragment`s may be in the queue
        self.fragments = False
        #: the close frames, and which came first once both are known
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.close_rcvd_then_sent: bool | None = None
        #: error that failed the connection
        self.fault: BaseException | None = None
        self._fault_close: Close | None = None
        self._truncated = False
        #: whether `send_deferred_close` has something to do
        self.close_deferred = False
        self._owed_pong: bytes | None = None
        #: whether pongs are put off because output does not move
        self.pongs_wait = False
        #: once it is closed, refers to the session, for the diagnosis of exceptions
        self.diagnose: Callable[[], Any] | None = None
        #: called with what one of our limits or rules has ended, and the close code
        self.on_fault: Callable[[BaseException, int], None] = ignore_event
        #: called with the payload of each pong
        self.on_pong: Callable[[bytes], None] = ignore_event

    @property
    def logger(self) -> LoggerLike:
        """Where this end logs."""
        logger = self._logger
        return logger() if callable(logger) else logger

    # Opening

    def use_extensions(self, extensions: Sequence[Extension]) -> None:
        """Set what the handshake has negotiated, in the order of the header."""
        self.extensions = list(extensions)
        if not extensions:
            return
        if len(extensions) == 1 and type(extensions[0]) is PerMessageDeflate:
            self._deflate = self.reader.deflate = extensions[0]
            self.reader.allowed_rsv = RSV1
        else:
            self.reader.allowed_rsv = 0x70
            self.reader.deliver_messages = False

    @property
    def plain(self) -> bool:
        """Whether messages are sent as they are: no extension, no logging."""
        return not self.extensions and not self.debug

    # Input

    def fail_for(self, exc: Exception) -> None:
        """Fail the connection for what the reader raised, with the right code."""
        if isinstance(exc, ProtocolError):
            self.fail(exc, CloseCode.PROTOCOL_ERROR, str(exc))
        elif isinstance(exc, UnicodeDecodeError):
            self.fail(exc, CloseCode.INVALID_DATA, exc.reason)
        elif isinstance(exc, PayloadTooBig):
            self.fail(exc, CloseCode.MESSAGE_TOO_BIG, str(exc))
        elif isinstance(exc, TooManyFragments):
            self.fail(exc, CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        else:
            self.logger.error("unexpected internal error", exc_info=exc)
            self.fail(exc, CloseCode.INTERNAL_ERROR, "")
        without_traces(exc)

    def frame_received(self, head: int, payload: bytes) -> bool:
        """
        Take a frame that is not simply a whole message.

        Args:
            head: its first byte: fin, reserved bits, opcode.
            payload: unmasked.

        Returns:
            True once nothing more may be read.
        """
        opcode = head & 0x0F
        self.reader.has_events = True
        if self.debug and not self._logs_inflated(head):
            self.logger.debug("< %s", _chain.frame_of(head, payload))
        if opcode < 8:
            if not self._dropping:
                self._data_received(self.reader, head, payload)
            return False
        if self._chained:
            payload = _chain.decode(self.extensions, head, payload, MAX_CONTROL)
            check_control(payload)
        return self._control_received(opcode, payload)

    def _control_received(self, opcode: int, payload: bytes) -> bool:
        """Take a control frame as the extensions have decoded it."""
        if opcode == PING:
            self._ping_received(payload)
        elif opcode == PONG:
            self.on_pong(payload)
        else:
            self._close_received(payload)
            return True
        return False

    @property
    def _chained(self) -> bool:
        """Whether there are extensions that see every frame."""
        return bool(self.extensions) and self._deflate is None

    def _logs_inflated(self, head: int) -> bool:
        """Whether a frame is logged once it was inflated, so that it can be read."""
        if self._deflate is None or self._dropping or head & 0x0F >= 8:
            return False
        return (head if head & 0x0F else self._started) & RSV1 != 0

    def drop_messages(self) -> FrameReader | None:
        """
        Keep no message that is still to come; control frames are heard.

        All of them: a gap between messages would be worse than an early end.

        Returns:
            A reader of the messages in what was held, which ``proceed`` of `reader`
            parses for control frames; None if nothing was held.
        """
        self._dropping = True
        if self.reader.holding:
            self._kept = self.reader.split(self._kept_received)
            return self._kept
        self.reader.deliver_messages = False
        self.reader.hold_above(None, None)
        return None

    def _kept_received(self, head: int, payload: bytes) -> bool:
        """Take a frame of what was held, whose control frames were heard before."""
        opcode = head & 0x0F
        if opcode < 8:
            assert self._kept is not None
            self.reader.has_events = True
            self._data_received(self._kept, head, payload)
        return opcode == CLOSE

    def _data_received(self, reader: FrameReader, head: int, payload: bytes) -> None:
        fin = head & FIN != 0
        opcode = head & 0x0F
        if opcode:
            self._started = head
            if not fin:
                self._decoder = TextDecoder() if opcode == TEXT else None
                self._meter = FragmentLimit()
        deflate = self._deflate
        if deflate is not None:
            if self._started & RSV1:
                payload = self._inflate(reader, deflate, payload, fin, opcode != 0)
        elif self.extensions:
            payload = self._decode(reader, head, payload)
        data: str | bytes = payload
        if opcode and fin:
            if opcode == TEXT:
                data = payload.decode()
            self.messages.append(data)
        else:
            if self._meter is not None:
                self._meter.count(len(payload))
            if self._decoder is not None:
                data = self._decoder.decode(payload, fin)
            self.fragments = True
            self.messages.append(Fragment(data, fin))
            if fin:
                self._decoder = self._meter = None
        reader.queued_bytes += len(payload)

    def _inflate(
        self,
        reader: FrameReader,
        deflate: PerMessageDeflate,
        payload: bytes,
        fin: bool,
        first: bool,
    ) -> bytes:
        used = 0 if first else reader.message_size
        limit = left = (
            None if reader.max_size is None else max(reader.max_size - used, 0)
        )
        if reader.max_fragment is not None:
            limit = min(reader.max_fragment, sys.maxsize if left is None else left)
        opcode = self._started & 0x0F if first else 0
        head = opcode | (FIN if fin else 0)
        try:
            inflated = deflate.inflate(payload, fin=fin, max_size=limit)
        except Exception as exc:
            if isinstance(exc, PayloadTooBig) and limit == left:
                exc.set_current_size(used)
            if self.debug:
                self.logger.debug("< %s", _chain.frame_of(head | RSV1, payload))
            raise
        if self.debug:
            frame = _chain.frame_of(head, inflated)
            self.logger.debug("< %s", frame.describe(compressed=len(payload)))
        reader.message_size += len(inflated)
        return inflated

    def _decode(self, reader: FrameReader, head: int, payload: bytes) -> bytes:
        """Let extensions other than a single permessage-deflate decode."""
        if not self._started & RSV1:
            # Counted as it travelled; what it becomes counts.
            reader.message_size -= len(payload)
        limit = reader.max_size
        if limit is not None:
            limit = max(limit - reader.message_size, 0)
        try:
            data = _chain.decode(self.extensions, head, payload, limit)
        except PayloadTooBig as exc:
            exc.set_current_size(reader.message_size)
            raise
        reader.message_size += len(data)
        return data

    def _ping_received(self, payload: bytes) -> None:
        if self.state is State.CLOSED or self.close_rcvd is not None:
            return
        if self.pongs_wait or self.writer.pending > PONG_BACKLOG:
            self._owed_pong = payload
        else:
            self._send_control(PONG, payload)

    def answer_held_ping(self) -> None:
        """
        Answer the last ping among what is held, which waits for room in the queue.

        It is answered again when it is parsed: a pong more does no harm (RFC 6455,
        5.5.3).  Extensions that see control frames may have changed it; they wait.
        """
        if self.state is not State.OPEN or (self.extensions and self._deflate is None):
            return
        payload = last_ping(self.reader.held_bytes(), self.side is Side.SERVER)
        if payload is not None:
            self._owed_pong = payload
            self.send_owed_pong()

    def send_owed_pong(self) -> None:
        """Answer the latest ping that was put off, once output moves again."""
        if self._owed_pong is None or self.pongs_wait:
            return
        payload, self._owed_pong = self._owed_pong, None
        # After the close frames it would be futile, and a server has closed its
        # half of TCP.
        if (
            self.state is not State.CLOSED
            and self.close_rcvd is None
            and self.fault is None
        ):
            self._send_control(PONG, payload)

    def _close_received(self, payload: bytes) -> None:
        close = Close.parse(payload)
        self.state = next_state(self.state, CloseEvent.CLOSE_RECEIVED)
        self.close_rcvd = close
        # RFC 6455, 5.4: control frames may stand between fragments.  A message
        # that is cut off so is lost, and that must not look like a good end.
        self._truncated = self.reader.opcode != 0
        if self.close_sent is not None:
            self.close_rcvd_then_sent = False
        self.close_deferred = True

    def send_deferred_close(self) -> None:
        """Send the close frame that was put off, if there is one."""
        self.close_deferred = False
        if self.state is not State.OPEN:
            return
        if self._fault_close is not None:
            self._send_close_frame(self._fault_close)
        elif self.close_rcvd is not None:
            # 5.5.1: the echo has the code of the frame that it answers.
            self._send_close_frame(self.close_rcvd)

    def eof_received(self) -> None:
        """Note that the peer will send nothing more."""
        if self.close_rcvd is None and self.fault is None:
            self.fault = EOFError("the peer closed TCP without a close frame")

    def transport_lost(self, exc: BaseException | None) -> None:
        """Note that TCP has ended; the state is CLOSED for good."""
        if exc is not None and self.fault is None:
            # After a good closing handshake, TCP may still end too late.
            late = isinstance(exc, TimeoutError) and not self._truncated
            if self.close_rcvd is None or late:
                self.fault = exc
        self.eof_received()
        self.state = next_state(self.state, CloseEvent.TCP_ENDED)
        if self.debug:
            self.logger.debug("= connection is CLOSED")
        self.close_deferred = False
        self.writer.take()
        # These references form a cycle with the connection, and would keep it until the
        # garbage collector runs.
        self.reader.end()
        self.on_pong = self.on_fault = ignore_event
        if callable(self._logger):
            self._logger = find_default_logger

    # Output

    def send_message(
        self, message: str | BytesLike, text: bool, compress: bool | None = None
    ) -> None:
        """Queue a message in one frame, compressed if that was negotiated."""
        self.send_data(TEXT if text else BINARY, message, fin=True, compress=compress)

    def send_data(
        self,
        opcode: int,
        data: str | BytesLike,
        *,
        fin: bool,
        compress: bool | None = None,
    ) -> None:
        """
        Queue a data frame.  Compressing and framing are one step: what fails
        before it leaves no trace, and nothing can cut it.

        Args:
            opcode: 1 or 2 for the first frame of a message, 0 for others.
            compress: for the first frame, as for `PerMessageDeflate.compress_payload`.
        """
        head = opcode | (FIN if fin else 0)
        if not self.extensions:
            self._send(head, data)
            return
        payload = str.encode(data) if isinstance(data, str) else data
        if self._deflate is not None:
            plain = payload
            rsv1, payload = self._deflate.compress_payload(
                plain, opcode != 0, fin, compress
            )
            if self.debug:
                size = None if payload is plain else memoryview(payload).nbytes
                frame = _chain.frame_of(head, bytes(plain))
                self.logger.debug("> %s", frame.describe(compressed=size))
                self.writer.add(head | RSV1 if rsv1 else head, payload)
                return
            self._send(head | RSV1 if rsv1 else head, payload)
            return
        self._send(*_chain.encode(self.extensions, head, payload, compress))

    def rest(self) -> None:
        """Release memory that sending has not used since the last call."""
        for extension in self.extensions:
            if isinstance(extension, PerMessageDeflate):
                extension.rest()

    def send_ping(self, payload: bytes) -> None:
        """Queue a ping; `payload` has at most 125 bytes, checked by the caller."""
        self._send_control(PING, payload)

    def send_pong(self, payload: bytes) -> None:
        """Queue an unsolicited pong (RFC 6455, 5.5.3)."""
        self._send_control(PONG, payload)

    def send_close(self, code: int | None, reason: str) -> None:
        """
        Queue a close frame; the state becomes CLOSING.

        Args:
            code: None sends an empty close frame.

        Raises:
            ProtocolError: the code or the reason must not travel (7.4); nothing
                was sent and the state is what it was.
        """
        if code is None:
            if reason:
                raise ProtocolError("a close frame cannot have a reason without a code")
            close = Close(CloseCode.NO_STATUS_RCVD, "")
        else:
            close = Close(code, reason)
            close.check()
        self._send_close_frame(close)

    def fail(self, exc: BaseException, code: int, reason: str) -> None:
        """
        Fail the connection (RFC 6455, 7.1.7); `send_deferred_close` tells the peer.

        Args:
            exc: the error; becomes the cause of `ConnectionClosedError`.
            reason: for the peer; cut at 123 bytes.
        """
        self.reader.stopped = True
        self.reader.has_events = True
        if self.fault is not None or self.close_rcvd is not None:
            return
        self.fault = exc
        if self.debug:
            self.logger.debug("! failing the connection with %d", code, exc_info=exc)
        if code in OURS or isinstance(exc, TimeoutError):
            self.on_fault(exc, code)
        self._fault_close = Close(code, shorten_reason(reason))
        self.close_deferred = True

    def _send_close_frame(self, close: Close) -> None:
        self.state = next_state(self.state, CloseEvent.CLOSE_SENT)
        empty = close.code == CloseCode.NO_STATUS_RCVD
        # Checked when it was received, or given; ours are right.
        payload = b"" if empty else close._pack()
        try:
            self._send_control(CLOSE, payload)
        except Exception:
            # An extension of the application's; the end must be told all the same.
            self.logger.error("an extension failed at a close frame", exc_info=True)
            self._send(FIN | CLOSE, payload)
        self.close_sent = close
        if self.close_rcvd is not None:
            self.close_rcvd_then_sent = True
        if self.debug:
            self.logger.debug("= connection is CLOSING")

    def _send_control(self, opcode: int, payload: bytes) -> None:
        if self._chained:
            head, data = _chain.encode(self.extensions, FIN | opcode, payload, None)
            check_control(data)
            self._send(head, data)
        else:
            self._send(FIN | opcode, payload)

    def _send(self, head: int, payload: str | BytesLike) -> None:
        if self.debug:
            data = str.encode(payload) if isinstance(payload, str) else bytes(payload)
            self.logger.debug("> %s", _chain.frame_of(head, data))
        self.writer.add(head, payload)

    # Results

    @property
    def close_code(self) -> int | None:
        """Code received, 1006 if there was none (7.1.5); None before CLOSED."""
        if self.state is not State.CLOSED:
            return None
        if self.close_rcvd is None:
            return CloseCode.ABNORMAL_CLOSURE
        return self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Reason received, "" if there was none (7.1.6); None before CLOSED."""
        if self.state is not State.CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    @property
    def ended_well(self) -> bool:
        """Whether the close frames say that nothing is wrong."""
        return (
            self.close_rcvd is not None
            and self.close_sent is not None
            and self.close_rcvd.code in OK_CLOSE_CODES
            and self.close_sent.code in OK_CLOSE_CODES
            and not self._truncated
        )

    @property
    def close_exc(self) -> ConnectionClosed:
        """Build the exception that says how the connection ended."""
        kind = ConnectionClosedOK if self.ended_well else ConnectionClosedError
        exc = kind(self.close_rcvd, self.close_sent, self.close_rcvd_then_sent)
        exc._witness = None if self.diagnose is None else self.diagnose()
        if self.fault is not None:
            exc.__cause__ = self.fault
        elif self._truncated:
            exc.__cause__ = ProtocolError("close frame inside a fragmented message")
        return exc
