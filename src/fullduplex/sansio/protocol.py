"""One end of a connection, as a state machine without I/O: what both sides share.

Input goes in through `receive_data` and `receive_eof`.  After each, and after each
method that sends, the owner takes what `data_to_send` and `events_received` give.
"""

from __future__ import annotations

import uuid
from typing import Final, TypeAlias

from ..core.buffers import check_bytes
from ..core.endpoint.frame_protocol import Side
from ..core.endpoint.options import Options
from ..core.errors import InvalidState, ProtocolError
from ..core.frames.close import (
    Close,
    CloseCode,
    CloseEvent,
    ConnectionClosed,
    State,
    next_state,
)
from ..core.frames.frame import Extension, Frame, prepare_ctrl
from ..core.frames.opcode import Opcode
from ..core.http.messages import Request, Response
from ..core.logs import find_logger
from ..core.typing import BytesLike, LoggerLike, Origin, Subprotocol
from ._frame_events import FrameEvents

__all__ = ["SEND_EOF", "Event", "Protocol", "Side", "State"]

SEND_EOF: Final = b""
"""An item of `Protocol.data_to_send`: close this half of TCP."""

Event: TypeAlias = Request | Response | Frame
"""An item of `Protocol.events_received`."""

MAX_CONTROL_SIZE = 125  # bytes; RFC 6455, 5.5


class Protocol:
    """
    One end of a connection.

    Not safe for use by several threads at a time.  The items of `data_to_send` must be
    written in that order.

    Args:
        side: side of the connection.
        state: ``OPEN`` when somebody else has done the handshake.
        max_size: bytes in a received message, or a pair (message, frame); None for
            no limit.
        logger: where to log; by default ``fullduplex.client`` or
            ``fullduplex.server``.

    Raises:
        TypeError: `max_size` has the wrong type.
        ValueError: `max_size` is out of range.
    """

    def __init__(
        self,
        side: Side,
        *,
        state: State = State.OPEN,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        #: identifier of the connection, useful in logs
        self.id: uuid.UUID = uuid.uuid4()
        side = Side(side)
        if logger is None:
            logger = find_logger(f"fullduplex.{side.name.lower()}")
        limits = Options.check(max_size=max_size)
        self._frames = FrameEvents(
            side,
            max_size=limits.max_size,
            max_fragment=limits.max_fragment,
            logger=logger,
        )
        self._frames.state = State(state)
        self.side = side
        self.logger: LoggerLike = logger
        #: whether DEBUG was on when the object was made
        self.debug = self._frames.debug
        if self.debug:
            logger.debug("= connection is %s", self._frames.state.name)
        #: value of ``Origin`` in the handshake
        self.origin: Origin | str | None = None
        #: subprotocol, if one was negotiated
        self.subprotocol: Subprotocol | None = None
        #: failure of the opening handshake, if there was one
        self.handshake_exc: Exception | None = None
        #: whether the output ends with `SEND_EOF`
        self.eof_sent = False
        #: whether a fragmented message is being sent
        self.expect_continuation_frame = False
        self._eof_received = False
        # Input is of no interest any more: the handshake or `fail` ended it.
        self._deaf = False
        self._events: list[Event] = []
        self._writes: list[bytes] = []

    # State

    @property
    def state(self) -> State:
        """State of the connection (RFC 6455, 4 and 7)."""
        return self._frames.state

    @state.setter
    def state(self, state: State) -> None:
        if self.debug:
            self.logger.debug("= connection is %s", state.name)
        self._frames.state = state

    @property
    def extensions(self) -> list[Extension]:
        """Extensions in use, in the order in which frames are encoded."""
        return self._frames.extensions

    @extensions.setter
    def extensions(self, extensions: list[Extension]) -> None:
        self._frames.use_extensions(extensions)

    @property
    def parser_exc(self) -> BaseException | None:
        """Exception that ended the parser, if there was one."""
        return self._frames.fault

    @property
    def close_rcvd(self) -> Close | None:
        """The close frame that was received."""
        return self._frames.close_rcvd

    @property
    def close_sent(self) -> Close | None:
        """The close frame that was sent."""
        return self._frames.close_sent

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came first; None unless there are both."""
        return self._frames.close_rcvd_then_sent

    @property
    def close_code(self) -> int | None:
        """
        Close code received; 1006 if there was no close frame, 1005 if it was empty.

        None until the connection is closed (RFC 6455, 7.1.5).
        """
        return self._frames.close_code

    @property
    def close_reason(self) -> str | None:
        """Close reason received, maybe empty; None until the connection is closed."""
        return self._frames.close_reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """
        The exception that says how the connection ended.

        Raises:
            InvalidState: it has not ended yet.
        """
        if self.state is not State.CLOSED:
            raise InvalidState("connection isn't closed yet")
        return self._frames.close_exc

    # Input

    def receive_data(self, data: bytes | bytearray) -> None:
        """
        Take bytes from the network.

        Faults in them don't raise: they show in `handshake_exc` or `parser_exc`, and
        the answer to the peer is in `data_to_send`.

        Args:
            data: any portion of what the peer sends.

        Raises:
            EOFError: `receive_eof` was called before.
            TypeError: `data` is not bytes-like.
        """
        if self._eof_received:
            raise EOFError("receive_eof() was called; nothing can come after it")
        received = check_bytes("data", data)
        if not self._deaf:
            if self.state is State.CONNECTING:
                self._handshake_received(bytes(received))
            else:
                self._frames_received(received)

    def receive_eof(self) -> None:
        """Take the end of what the network brings; calling it twice does no harm."""
        if self._eof_received:
            return
        self._eof_received = True
        if not self._deaf:
            if self.state is State.CONNECTING:
                self._handshake_ended()
            else:
                self._frames.eof_received()
        self._deaf = True
        # A client has waited for the server to be the first (RFC 6455, 7.1.1).
        self._end_output()
        self.state = next_state(self.state, CloseEvent.TCP_ENDED)

    def _handshake_received(self, data: bytes) -> None:
        raise InvalidState("only a client or a server has an opening handshake")

    def _handshake_ended(self) -> None:
        pass

    def _handshake_failed(self, exc: Exception) -> None:
        self.handshake_exc = exc
        if self.debug:
            self.logger.debug("! invalid handshake", exc_info=exc)
        self._stop()

    def _open(self, leftover: bytes) -> None:
        """Turn from the handshake to frames; some may have come already."""
        self.state = next_state(self.state, CloseEvent.ACCEPTED)
        if leftover:
            self._frames_received(leftover)

    def _frames_received(self, data: BytesLike) -> None:
        frames = self._frames
        try:
            frames.reader.feed(data)
        except Exception as exc:
            frames.fail_for(exc)
        except BaseException as exc:
            # A part of the input is lost; what follows must not be taken for frames.
            frames.fail(exc, CloseCode.INTERNAL_ERROR, "")
            raise
        if frames.close_deferred:
            frames.send_deferred_close()
        self._take_output()
        # A flood of pings is answered with the last pong.
        frames.send_owed_pong()
        self._take_output()
        if frames.frames:
            self._events += frames.frames
            frames.frames.clear()
        if self.side is Side.SERVER and (
            frames.fault is not None
            or (frames.close_rcvd is not None and frames.close_sent is not None)
        ):
            self._end_output()

    # Output

    def send_continuation(self, data: BytesLike, fin: bool) -> None:
        """
        Send a further frame of a fragmented message (RFC 6455, 5.4).

        Args:
            data: payload.
            fin: whether it is the last one.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: no fragmented message is being sent.
        """
        self._send_data(Opcode.CONT, data, fin)

    def send_text(self, data: BytesLike, fin: bool = True) -> None:
        """
        Send a text message, or its first frame (RFC 6455, 5.6).

        Args:
            data: payload in UTF-8, which is not checked.
            fin: False for the first one of several frames.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: a fragmented message is being sent.
        """
        self._send_data(Opcode.TEXT, data, fin)

    def send_binary(self, data: BytesLike, fin: bool = True) -> None:
        """Send a binary message, or its first frame; as `send_text`."""
        self._send_data(Opcode.BINARY, data, fin)

    def _send_data(self, opcode: Opcode, data: BytesLike, fin: bool) -> None:
        data = check_bytes("data", data)
        if self.expect_continuation_frame != (opcode is Opcode.CONT):
            raise ProtocolError(
                "expected a continuation frame"
                if self.expect_continuation_frame
                else "unexpected continuation frame"
            )
        if self.state is not State.OPEN or self.eof_sent:
            raise InvalidState(self._condition())
        self._frames.send_data(opcode, data, fin=fin)
        self.expect_continuation_frame = not fin
        self._take_output()

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """
        Send a close frame; the state becomes ``CLOSING`` (RFC 6455, 7.1.2).

        Args:
            code: close code; None for an empty close frame.
            reason: at most 123 bytes in UTF-8.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: `code` or `reason` must not be sent; nothing changed.
        """
        if self.state is not State.OPEN or self.eof_sent:
            raise InvalidState(self._condition())
        self._frames.send_close(code, reason)
        self._take_output()

    def send_ping(self, data: BytesLike) -> None:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: at most 125 bytes.

        Raises:
            InvalidState: the connection is neither open nor closing.
            ProtocolError: `data` is too long.
        """
        self._frames.send_ping(self._control(data))
        self._take_output()

    def send_pong(self, data: BytesLike) -> None:
        """Send an unsolicited pong (RFC 6455, 5.5.3); as `send_ping`."""
        self._frames.send_pong(self._control(data))
        self._take_output()

    def fail(self, code: int, reason: str = "") -> None:
        """
        Give up on the connection (RFC 6455, 7.1.7).  Input is ignored from here on.

        Args:
            code: close code; 1006 to send no close frame.
            reason: at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; nothing changed.
        """
        if self.state is State.CLOSED:
            return
        writable = self.state is State.OPEN and not self.eof_sent
        if writable and code != CloseCode.ABNORMAL_CLOSURE:
            self._frames.send_close(code, reason)
            self._take_output()
        self._deaf = True
        if self.side is Side.SERVER or self.state is State.CONNECTING:
            self._end_output()

    def send_eof(self) -> None:
        """Close our half of TCP, unless that was done."""
        self._end_output()

    # Results

    def events_received(self) -> list[Event]:
        """
        Take what has arrived since the last call.

        Returns:
            First a `Request`, on servers, or a `Response`, on clients; then each
            `Frame`, control frames too, decoded by the extensions.  Pings and close
            frames are answered already.
        """
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[bytes]:
        """
        Take what is to be written to the network since the last call.

        Returns:
            Bytes to write, in order; ``b""`` says to close this half of TCP.
        """
        writes, self._writes = self._writes, []
        return writes

    def close_expected(self) -> bool:
        """
        Tell whether TCP ought to end soon.

        If it doesn't within a reasonable time, the owner closes it.
        """
        if self.state is State.CONNECTING:
            return self.eof_sent
        return self.state is State.CLOSING

    # Helpers

    def _control(self, data: BytesLike) -> bytes:
        data = check_bytes("data", data)
        if self.state not in (State.OPEN, State.CLOSING) or self.eof_sent:
            raise InvalidState(self._condition())
        payload = prepare_ctrl(data)
        if len(payload) > MAX_CONTROL_SIZE:
            raise ProtocolError(
                f"control frame has {len(payload)} bytes; {MAX_CONTROL_SIZE} are "
                "allowed"
            )
        return payload

    def _condition(self) -> str:
        if self.eof_sent and self.state is not State.CLOSED:
            return f"connection is {self.state.name.lower()}, and our half is closed"
        return f"connection is {self.state.name.lower()}"

    def _take_output(self) -> None:
        data = self._frames.writer.take()
        if data:
            self._writes.append(data)

    def _end_output(self) -> None:
        if not self.eof_sent:
            self.eof_sent = True
            self._writes.append(SEND_EOF)
            if self.debug:
                self.logger.debug("> EOF")

    def _stop(self) -> None:
        """End a handshake that leads nowhere."""
        self._deaf = True
        self._end_output()
