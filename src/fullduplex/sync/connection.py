"""Base of client and server connections on the blocking face.

Each method starts an operation of the session and lets the driver carry it out.
The two calls that a program makes most, `recv` of a plain message and `send` of one
that the system takes at once, do without an operation.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, overload

from .._net.socket_view import SocketView
from ..core.connection.base import BaseConnection
from ..core.connection.overrides import overridden
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.message_sender import (
    FragmentSender,
    message_payload,
)
from ..core.endpoint.not_open import NOT_OPEN, check_open, refuse
from ..core.endpoint.options import Options
from ..core.errors import ConcurrencyError
from ..core.frames.close import ConnectionClosedOK
from ..core.frames.frame import Extension, control_payload
from ..core.typing import BytesLike, Data, DataLike, LoggerLike
from ..imports import reexport
from . import _background
from ._channel import HandshakeSocket
from ._driver import Driver, Waiter
from ._fragment_stream import FragmentStream, Messages, Pong, nothing
from ._socket_io import NOTHING, spare_buffer

__all__ = ["Connection"]

reexport(globals())


class _NoDriver:
    """Substitute for the driver of a connection that is not open yet."""

    def run(self, operation: Any, deadline: float | None = None) -> NoReturn:
        refuse(operation)

    def receive_now(self, deadline: float) -> object:
        return NOTHING

    def send_now(self, message: object) -> bool:
        return False

    def receive(self, deadline: float | None) -> Any:
        self.run(operations.recv(NOT_OPEN))


NO_DRIVER: Any = _NoDriver()


class Connection(BaseConnection):
    """
    A WebSocket connection; see `ClientConnection` and `ServerConnection`.

    It is an iterator over received messages.  The iterator ends when the connection is
    closed with 1000 or 1001, and raises `ConnectionClosedError` when it ends in any
    other way.  It is also a context manager, which closes it with 1000, or with 1011
    when the block raises.

    Any thread may call any method at any time; a signal handler may not, for it may
    have interrupted one of them.  Ctrl-C and other signals interrupt
    every call; a message that was being sent then goes out whole.  After a fork, the
    connection is closed in the child, which sends nothing.

    Before the opening handshake is done, `recv`, `send`, `ping`, `pong` and
    `recv_streaming` raise `InvalidState`, and nothing else happens.
    """

    # Attributes that `recv` and `send` read are slots: no look into a dictionary.
    __slots__ = ("__dict__", "__weakref__", "_driver", "_session")

    # The thread that sends a message in fragments.
    _fragmenter: int | None = None

    def __init__(self, options: Options, logger: LoggerLike) -> None:
        self._options = options
        self._base_logger = logger
        self._channel: HandshakeSocket | None = None
        self._driver: Driver = NO_DRIVER
        self._session: Endpoint = NOT_OPEN
        self._addresses: dict[str, Any] = {}
        #: subprotocol, if one was negotiated
        self.subprotocol: str | None = None

    def _connected(self, channel: HandshakeSocket) -> None:
        """Note the socket, before the handshake."""
        self._channel = channel
        sock = channel.sock
        self._addresses = {
            "sockname": sock.getsockname(),
            "peername": sock.getpeername(),
        }

    def _open(self, extensions: list[Extension], leftover: bytes) -> None:
        """Turn from the handshake to messages."""
        channel = self._channel
        assert channel is not None
        session = self._make_session(
            self._options,
            extensions,
            new_waiter=Waiter,
            now=monotonic(),
            buffer=spare_buffer(),
        )
        self._driver = Driver(channel, session, leftover)
        # From here on other threads take it for open.
        self._session = session
        self._channel = None

    def _abandon(self) -> None:
        """Close the socket, whatever state it is in; nobody else uses it."""
        if self._driver is not NO_DRIVER:
            self._driver.abort()
        if self._channel is not None:
            self._channel.close()

    # Attributes

    def _address(self, name: str) -> Any:
        return self._addresses.get(name)

    def _tcp_ended(self) -> bool:
        return self._channel is not None and self._channel.sock.fileno() < 0

    def _tls(self) -> Any:
        if self._driver is not NO_DRIVER:
            tls = self._driver.tls
        else:
            tls = None if self._channel is None else self._channel.tls
        return None if tls is None else tls.object

    def _now(self) -> float:
        return monotonic()

    def _unsent(self) -> int:
        return self._driver.backlog.size

    @property
    def socket(self) -> Any:
        """
        The socket, for looking; None before TCP is connected.

        It has what tells of a socket, and of TLS: ``getpeername``, ``setsockopt``,
        ``getpeercert`` and so on.  ``close()`` ends the connection at once.  It cannot
        be read, written or detached.
        """
        if self._driver is not NO_DRIVER:
            return SocketView(self._driver.sock, self._tls(), self._abort_tcp)
        channel = self._channel
        if channel is None:
            return None
        tls = None if channel.tls is None else channel.tls.object
        return SocketView(channel.sock, tls, self._abort_tcp)

    def _abort_tcp(self) -> None:
        self._abandon()

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        driver = self._driver
        with driver.lock:
            driver.recover_from_interrupt()
            self._session.now = monotonic()
            for waiter in step(self._session) or ():
                waiter.fire()
            driver.step()

    def _begin_close(self, code: int | None, reason: str) -> None:
        self._driver.begin_close(code, reason)

    def ensure_open(self) -> None:
        """
        Return if messages can be exchanged; if not, wait for the end, and raise.

        Raises:
            ConnectionClosed: the connection is closed.
        """
        if not self.open:
            self.wait_closed()
            raise self.close_exc

    # Receiving

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(1000 if exc_type is None else 1011)

    def __iter__(self) -> Iterator[Data]:
        if overridden(self, "recv", RECV) or overridden(self, "__next__", NEXT):
            return Messages(self.__next__, nothing)
        return Messages(self.recv, self._driver.receive_now)

    def __next__(self) -> Data:
        try:
            return self.recv()
        except ConnectionClosedOK:
            raise StopIteration from None

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    def recv(
        self, timeout: float | None = None, *, decode: Literal[False]
    ) -> bytes: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(
        self, timeout: float | None = None, decode: bool | None = None
    ) -> Data: ...

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """
        Wait for the next message.

        Args:
            timeout: seconds to wait at most; None waits for ever, 0 or less takes
                what is there.
            decode: True returns `str`, also for binary messages, which must then
                be UTF-8; False returns `bytes`, also for text; None goes by type.

        Raises:
            TimeoutError: there was no message in time; parts of one are kept.
            ConnectionClosed: the connection is closed and no message is left.
            ConcurrencyError: another thread is in `recv` or `recv_streaming`.
        """
        deadline = None if timeout is None else monotonic() + timeout
        if decode is None:
            message = self._driver.receive_now(inf if deadline is None else deadline)
            if message is not NOTHING:
                return message  # type: ignore[no-any-return]
            return self._driver.receive(deadline)  # type: ignore[no-any-return]
        return self._driver.run(operations.recv(self._session, decode), deadline)

    def recv_streaming(
        self, decode: bool | None = None, *, timeout: float | None = None
    ) -> FragmentStream:
        """
        Receive the next message fragment by fragment.

        Args:
            decode: as for `recv`.
            timeout: seconds to wait for each fragment at most; None for ever.

        Returns:
            An iterator over the payloads of its frames.  When it is closed or
            dropped before its end, the rest of the message is discarded.

        Raises:
            TimeoutError: (from the iterator) there was no fragment in time; go on
                with the same iterator.
            ConnectionClosed: (from the iterator) as `recv`.
            ConcurrencyError: (from the iterator) as `recv`.
        """
        return FragmentStream(self._session, self._driver, timeout, decode)

    # Sending

    def send(
        self,
        message: DataLike | Iterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """
        Send a message; returns when the system has taken all of it.

        A `str` goes out as text, a bytes-like object as binary.  An iterable of
        either goes out as one message in fragments (RFC 6455, 5.4); until it is
        complete, other messages are refused.

        Args:
            text: True sends bytes as a text message, which must then be UTF-8;
                False sends a `str` as a binary one.
            compress: False sends this message as it is, True compresses it whatever
                the policy says, and None, the default, leaves it to the policy (see
                `ClientPerMessageDeflateFactory`).  Of no effect where the extension
                was not negotiated.
            timeout: seconds to wait at most; None for ever.

        Raises:
            TimeoutError: the system has not taken it in time.  A message goes out
                whole or not at all: what was begun goes on without the caller.  One
                in fragments cannot be completed, so the connection fails with 1011.
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: another thread sends a message in fragments, or the
                iterable sends a message of its own; nothing was sent.
            TypeError: `message` is of another type; nothing was sent.  For an item
                after the first one, the connection fails with 1011.
            UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        """
        taken: bool | None = False
        if text is None and compress is None:
            taken = self._driver.send_now(message)
            if taken:
                return
        driver = self._driver
        deadline = None if timeout is None else monotonic() + timeout
        if taken is None:
            driver.run(operations.drain(self._session), deadline)
            return
        payload = message_payload(message, text)
        if self._fragmenter == threading.get_ident():
            raise ConcurrencyError(
                "send() within the iterable that another send() takes from"
            )
        if payload is None:
            self._send_fragments(message, text, compress, deadline)
        else:
            driver.run(operations.send(self._session, *payload, compress), deadline)

    def _send_fragments(
        self,
        message: Any,
        text: bool | None,
        compress: bool | None,
        deadline: float | None,
    ) -> None:
        if isinstance(message, AsyncIterable) and not isinstance(message, Iterable):
            raise TypeError("message is an asynchronous iterable; send an iterable")
        check_open(self._session, "send")
        driver = self._driver
        fragments = FragmentSender(self._session, text, compress)
        failure: BaseException | None = None
        mine = False
        try:
            for item in message:
                driver.run(fragments.add(item), deadline)
                if not mine:
                    mine = True
                    self._fragmenter = threading.get_ident()
            driver.run(fragments.end(), deadline)
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if mine:
                self._fragmenter = None
            with driver.lock:
                driver.recover_from_interrupt()
                self._session.now = monotonic()
                waiters: Any = fragments.release(failure)
                for waiter in waiters:
                    waiter.fire()
                driver.step()

    def ping(
        self,
        data: str | BytesLike | None = None,
        ack_on_close: bool = False,
        *,
        timeout: float | None = None,
    ) -> Pong:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: at most 125 bytes; by default 4 random ones.
            ack_on_close: whether the event is also set when the connection ends
                before the pong; `state` and `latency` of the event then tell.
            timeout: seconds to wait at most until it is sent; None for ever.

        Returns:
            A `threading.Event` that is set once the pong has come, with the
            round-trip time in seconds as its attribute ``latency``.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: a ping with this data waits for its pong already.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
            TimeoutError: the system has not taken it in time; it is sent later.
        """
        payload = None if data is None else control_payload("ping data", data)
        pong = Pong(ack_on_close)
        now = monotonic()
        self._driver.run(
            operations.ping(self._session, payload, pong, now),
            None if timeout is None else now + timeout,
        )
        # The pong is waited for outside of any call.
        _background.watch(self._driver)
        return pong

    def pong(
        self, data: str | BytesLike = b"", *, timeout: float | None = None
    ) -> None:
        """
        Send an unsolicited pong, a heartbeat in one direction (RFC 6455, 5.5.3).

        Args:
            data: at most 125 bytes.
            timeout: as for `ping`.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
            TimeoutError: the system has not taken it in time; it is sent later.
        """
        payload = control_payload("pong data", data)
        now = monotonic()
        self._driver.run(
            operations.pong(self._session, payload, now),
            None if timeout is None else now + timeout,
        )

    def flush(self, *, timeout: float | None = None) -> None:
        """
        Wait until the operating system has taken all that was sent so far.

        A `send` without a timeout has done that already.  Output of a call with a
        timeout, or of `broadcast`, may still wait.

        Args:
            timeout: seconds to wait at most; None for ever.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TimeoutError: the system has not taken it in time; it is sent later.
        """
        self._driver.run(
            operations.flush(self._session),
            None if timeout is None else monotonic() + timeout,
        )

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Close the connection and wait until TCP has ended (RFC 6455, 7.1).

        It takes `close_timeout` seconds at most, and releases all other threads that
        wait for the connection.  Closing twice does no harm; the first code counts.
        When a signal interrupts it, the connection closes in time anyway.

        Args:
            code: 1000 to 1003, 1007 to 1014 or 3000 to 4999; None for an empty
                close frame.
            reason: at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the connection is
                as it was.
        """
        if self._session is NOT_OPEN:
            self._abandon()
            return
        self._driver.run(operations.close(self._session, code, reason, monotonic()))

    def wait_closed(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection is closed, by whichever side.

        Args:
            timeout: seconds to wait at most; None for ever.

        Returns:
            Whether it is closed.
        """
        try:
            self._driver.run(
                operations.wait_closed(self._session),
                None if timeout is None else monotonic() + timeout,
            )
        except TimeoutError:
            return False
        return True


# As they are defined; programs may patch the class.
RECV, NEXT, CLOSE = Connection.recv, Connection.__next__, Connection.close
