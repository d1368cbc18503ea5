"""The object ``ws.protocol``: websockets' sans-I/O layer, of an open connection.

A connection of websockets carries bytes between such an object and the network, and
programs reach through to it.  Here the connection does all of that itself, so
what a program sends through this object leaves at once, and what it would take out
of it has been taken.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ..buffers import check_bytes
from ..endpoint.frame_protocol import Side
from ..errors import InvalidState, ProtocolError
from ..frames.close import Close, ConnectionClosed, State
from ..frames.frame import Extension, prepare_ctrl
from ..frames.opcode import Opcode
from ..http.messages import Request, Response
from ..typing import BytesLike, LoggerLike
from ..uri import WebSocketURI

if TYPE_CHECKING:
    from ..endpoint.endpoint import Endpoint


class ConnectionProtocol:
    """
    The frame level of an open connection, with the signatures of websockets.

    Args:
        connection: a `BaseConnection` that is open, closing or closed.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConnectionProtocol):
            return NotImplemented
        return self._connection is other._connection

    def __hash__(self) -> int:
        return hash(self._connection)

    def __repr__(self) -> str:
        return f"<protocol of {self._connection!r}>"

    # Attributes

    @property
    def id(self) -> uuid.UUID:
        """Identifier of the connection."""
        value: uuid.UUID = self._connection.id
        return value

    @property
    def logger(self) -> LoggerLike:
        """The logger of the connection."""
        logger: LoggerLike = self._connection.logger
        return logger

    @property
    def side(self) -> Side:
        """Side of the connection."""
        side: Side = self._connection.side
        return side

    @property
    def debug(self) -> bool:
        """Whether frames are logged."""
        return bool(self._connection._session.protocol.debug)

    @property
    def state(self) -> State:
        """State of the connection (RFC 6455, 4 and 7)."""
        state: State = self._connection._session.protocol.state
        return state

    @property
    def extensions(self) -> list[Extension]:
        """Extensions in use, in the order of the response."""
        extensions: list[Extension] = self._connection._session.protocol.extensions
        return extensions

    @property
    def origin(self) -> str | None:
        """Value of ``Origin`` in the handshake."""
        origin: str | None = getattr(self._connection, "origin", None)
        return origin

    @property
    def subprotocol(self) -> str | None:
        """Subprotocol, if one was negotiated."""
        subprotocol: str | None = self._connection.subprotocol
        return subprotocol

    @property
    def handshake_exc(self) -> None:
        """None: the handshake did not fail."""
        return None

    @property
    def key(self) -> str:
        """Value of ``Sec-WebSocket-Key`` in the handshake."""
        key: str = self._connection.request.headers["Sec-WebSocket-Key"]
        return key

    @property
    def uri(self) -> WebSocketURI:
        """Address of the server.  AttributeError on a server."""
        if self.side is Side.SERVER:
            raise AttributeError("uri is an attribute of clients")
        connection = self._connection
        path, _, query = connection.request.path.partition("?")
        return WebSocketURI(
            connection.secure, connection.host, connection.port, path, query
        )

    @property
    def max_message_size(self) -> int | None:
        """Bytes in a received message; may be set."""
        size: int | None = self._connection._session.reader.max_size
        return size

    @max_message_size.setter
    def max_message_size(self, size: int | None) -> None:
        self._connection.max_size = (size, self.max_fragment_size)

    @property
    def max_fragment_size(self) -> int | None:
        """Bytes in a received frame; may be set."""
        size: int | None = self._connection._session.reader.max_fragment
        return size

    @max_fragment_size.setter
    def max_fragment_size(self, size: int | None) -> None:
        self._connection.max_size = (self.max_message_size, size)

    @property
    def expect_continuation_frame(self) -> bool:
        """Whether a fragmented message is being sent."""
        return bool(self._connection._session.fragmenting)

    @property
    def eof_sent(self) -> bool:
        """Whether our half of TCP is closed."""
        session = self._connection._session
        tcp_close = session.tcp_close
        return tcp_close.ended_at is not None or bool(tcp_close.is_half_closed)

    @property
    def parser_exc(self) -> BaseException | None:
        """Exception that ended the parser, if there was one."""
        fault: BaseException | None = self._connection._session.protocol.fault
        return fault

    @property
    def close_rcvd(self) -> Close | None:
        """The close frame that was received."""
        close: Close | None = self._connection._session.protocol.close_rcvd
        return close

    @property
    def close_sent(self) -> Close | None:
        """The close frame that was sent."""
        close: Close | None = self._connection._session.protocol.close_sent
        return close

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came first; None unless there are both."""
        first: bool | None = self._connection._session.protocol.close_rcvd_then_sent
        return first

    @property
    def close_code(self) -> int | None:
        """Close code received; None until the connection is closed."""
        code: int | None = self._connection._session.protocol.close_code
        return code

    @property
    def close_reason(self) -> str | None:
        """Close reason received; None until the connection is closed."""
        reason: str | None = self._connection._session.protocol.close_reason
        return reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """
        The exception that says how the connection ended.

        Raises:
            InvalidState: it has not ended yet.
        """
        if self.state is not State.CLOSED:
            raise InvalidState("connection isn't closed yet")
        exc: ConnectionClosed = self._connection._session.protocol.close_exc
        return exc

    def close_expected(self) -> bool:
        """Tell whether TCP ought to end soon."""
        return self.state is State.CLOSING

    # Output

    def fail(self, code: int, reason: str = "") -> None:
        """
        Give up on the connection (RFC 6455, 7.1.7); it is carried out at once.

        Args:
            code: close code; 1006 sends no close frame and ends TCP.
            reason: at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; nothing changed.
        """
        if self.state is State.OPEN or code == 1006:
            self._connection.fail_connection(code, reason)

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """
        Begin to close the connection (RFC 6455, 7.1.2).

        Args:
            code: close code; None for an empty close frame.
            reason: at most 123 bytes in UTF-8.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: `code` or `reason` must not be sent; nothing changed.
        """
        self._check_open()
        self._connection._begin_close(code, reason)

    def send_text(self, data: BytesLike, fin: bool = True) -> None:
        """
        Send a text message, or its first frame; nothing waits for room.

        Args:
            data: payload in UTF-8, which is not checked.
            fin: False for the first one of several frames.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: a fragmented message is being sent.
        """
        self._send(Opcode.TEXT, data, fin)

    def send_binary(self, data: BytesLike, fin: bool = True) -> None:
        """Send a binary message, or its first frame; as `send_text`."""
        self._send(Opcode.BINARY, data, fin)

    def send_continuation(self, data: BytesLike, fin: bool) -> None:
        """
        Send a further frame of a message that `send_text` or `send_binary` began.

        Raises:
            InvalidState: the connection is not open.
            ProtocolError: none was begun so.
        """
        self._send(Opcode.CONT, data, fin)

    def send_ping(self, data: BytesLike) -> None:
        """
        Send a ping whose pong nobody waits for (RFC 6455, 5.5.2).

        Args:
            data: at most 125 bytes.

        Raises:
            InvalidState: the connection is neither open nor closing.
            ProtocolError: `data` is too long.
        """
        payload = self._control(data)
        self._take_step(lambda session: session.protocol.send_ping(payload))

    def send_pong(self, data: BytesLike) -> None:
        """Send an unsolicited pong (RFC 6455, 5.5.3); as `send_ping`."""
        payload = self._control(data)
        self._take_step(lambda session: session.protocol.send_pong(payload))

    def data_to_send(self) -> list[bytes]:
        """Return nothing: what is sent has been given to the network."""
        return []

    def events_received(self) -> list[Any]:
        """Return nothing: what arrives is what the connection's `recv` returns."""
        return []

    # Methods that the connection does itself

    def send_eof(self) -> NoReturn:
        """Refuse; see `receive_data`."""
        self._refuse("send_eof")

    def receive_data(self, data: bytes | bytearray) -> NoReturn:
        """
        Refuse to take bytes: the connection reads from the network itself.

        Raises:
            InvalidState: always.
        """
        self._refuse("receive_data")

    def receive_eof(self) -> NoReturn:
        """Refuse; see `receive_data`."""
        self._refuse("receive_eof")

    def connect(self) -> NoReturn:
        """Refuse; see `receive_data`: the opening handshake is over."""
        self._refuse("connect")

    def send_request(self, request: Request) -> NoReturn:
        """Refuse; see `connect`."""
        self._refuse("send_request")

    def process_response(self, response: Response) -> NoReturn:
        """Refuse; see `connect`."""
        self._refuse("process_response")

    def accept(self, request: Request) -> NoReturn:
        """Refuse; see `connect`."""
        self._refuse("accept")

    def reject(self, status: int, text: str) -> NoReturn:
        """Refuse; see `connect`."""
        self._refuse("reject")

    def send_response(self, response: Response) -> NoReturn:
        """Refuse; see `connect`."""
        self._refuse("send_response")

    def _refuse(self, name: str) -> NoReturn:
        raise InvalidState(
            f"protocol.{name}() is a step that the connection itself carries out; for "
            "a protocol of your own, use ClientProtocol or ServerProtocol"
        )

    # Helpers

    def _check_open(self) -> None:
        state = self.state
        if state is not State.OPEN:
            raise InvalidState(f"connection is {state.name.lower()}")

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        self._connection._take_step(step)

    def _send(self, opcode: Opcode, data: BytesLike, fin: bool) -> None:
        data = check_bytes("data", data)
        connection = self._connection
        self._check_open()
        session = connection._session
        more = opcode is Opcode.CONT
        if more != connection._sending_frames or more != session.fragmenting:
            raise ProtocolError(
                "unexpected continuation frame"
                if more
                else "expected a continuation frame"
            )
        # The caller's buffer may change before it is sent.
        payload = bytes(data)

        def step(session: Endpoint) -> list[Any] | None:
            session.protocol.send_data(opcode, payload, fin=fin)
            connection._sending_frames = not fin
            if more and fin:
                return session.end_fragments()
            if not fin:
                session.fragmenting = True
                session.clear_to_send = False
            return None

        self._take_step(step)

    def _control(self, data: BytesLike) -> bytes:
        data = check_bytes("data", data)
        if self.state is State.CLOSED:
            self._check_open()
        payload = prepare_ctrl(data)
        if len(payload) > 125:
            raise ProtocolError(
                f"control frame has {len(payload)} bytes; allowed are 125"
            )
        return payload
