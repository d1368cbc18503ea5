"""Base of client and server connections on trio.

Each method starts an operation of the session and lets the driver carry it out.
The two calls that a program makes most, `recv` with a message waiting and `send`
below the water mark, return before an operation is made.  Each is a checkpoint
nevertheless, as trio's programs expect.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, overload

from trio.lowlevel import (
    checkpoint,
    checkpoint_if_cancelled,
)

from ..core.connection.base import BaseConnection
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.message_sender import (
    FragmentSender,
    control_payload,
    message_payload,
)
from ..core.endpoint.not_open import NOT_OPEN
from ..core.endpoint.options import Options
from ..core.frames.close import ConnectionClosedOK
from ..core.frames.frame import Extension
from ..core.http.messages import Request, Response
from ..core.typing import BytesLike, Data, DataLike, LoggerLike
from ..core.wire.wire import MessageQueue
from ..imports import reexport
from ._byte_stream import ByteStream, discard
from ._driver import Driver
from ._results import FragmentStream, Messages, Pong
from ._waiter import Waiter, run_buffer

__all__ = ["Connection"]

reexport(globals())


class Connection(BaseConnection):
    """
    A WebSocket connection; see `ClientConnection` and `ServerConnection`.

    It is an asynchronous iterator over received messages.  The iterator ends when the
    connection is closed with 1000 or 1001, and raises `ConnectionClosedError` when it
    ends in any other way.  It is also an asynchronous context manager, which closes it
    with 1000, or with 1011 when the block raises.

    Before the opening handshake is done, `recv`, `send`, `ping`, `pong` and
    `recv_streaming` raise `InvalidState`, and nothing else happens.
    """

    # Attributes that `recv` and `send` read are slots: no look into a dictionary.
    __slots__ = ("__dict__", "__weakref__", "_driver", "_messages", "_session")

    def __init__(self, options: Options, logger: LoggerLike) -> None:
        self._options = options
        self._base_logger = logger
        self._driver = Driver(self._ended)
        self._session: Endpoint = NOT_OPEN
        self._messages = MessageQueue()
        #: the opening handshake; None before it was sent or received
        self.request: Request | None = None
        #: the answer; None before it was received or sent
        self.response: Response | None = None
        #: subprotocol, if one was negotiated
        self.subprotocol: str | None = None

    def _ended(self, exc: BaseException | None) -> None:
        """Take note that TCP has ended (the driver calls this)."""

    def _open(self, extensions: list[Extension], leftover: bytes) -> None:
        """Turn from the handshake to messages."""
        self._session = self._make_session(
            self._options,
            extensions,
            new_waiter=Waiter,
            now=self._driver.clock(),
            buffer=run_buffer(),
        )
        self._messages = self._session.messages
        self._driver.open(self._session, leftover)

    # Attributes

    def _address(self, name: str) -> Any:
        pipe: ByteStream | None = self._driver.pipe
        return None if pipe is None else pipe.address(name)

    def _tcp_ended(self) -> bool:
        return self._driver.ended

    def _tls(self) -> Any:
        pipe: ByteStream | None = self._driver.pipe
        return None if pipe is None else pipe.tls

    def _now(self) -> float:
        return self._driver.clock()

    def _unsent(self) -> int:
        return self._driver.backlog.size

    def _end_tcp(self) -> None:
        self._driver.abort()

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        self._session.now = self._driver.clock()
        for waiter in step(self._session) or ():
            waiter.fire()
        self._driver.step()

    def _begin_close(self, code: int | None, reason: str) -> None:
        self._driver.begin_close(code, reason)

    async def ensure_open(self) -> None:
        """
        Return if messages can be exchanged; if not, wait for the end, and raise.

        Always a checkpoint.  Cancellation: safe.

        Raises:
            ConnectionClosed: the connection is closed.
        """
        if self.open:
            await checkpoint()
            return
        await self.wait_closed()
        raise self.close_exc

    # Receiving

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(1000 if exc_type is None else 1011)

    def __aiter__(self) -> AsyncIterator[Data]:
        # Closing the iterator must not close the connection.
        return Messages(self)

    async def __anext__(self) -> Data:
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...
    @overload
    async def recv(self, decode: bool | None = None) -> Data: ...

    async def recv(self, decode: bool | None = None) -> Data:
        """
        Wait for the next message.

        Cancellation: safe.  A cancelled call takes nothing; the next call gets the
        message.

        Args:
            decode: True returns `str` for binary messages too, which must then be
                UTF-8, False returns `bytes` for text messages too.

        Returns:
            `str` for a text message, `bytes` for a binary one (RFC 6455, 5.6).

        Raises:
            ConnectionClosed: the connection is closed and all messages that had
                arrived before have been returned.
            ConcurrencyError: another call is waiting already.
        """
        messages = self._messages
        session = self._session
        self._driver.check_run()
        if messages:
            await checkpoint()
        if decode is None:
            message = messages.take()
            if message is None:
                waiter = Waiter()
                if session.expect(waiter):
                    try:
                        await waiter.wait()
                    finally:
                        session.awaited()
                    message = messages.take()
            if message is not None:
                return message  # type: ignore[no-any-return]
        await checkpoint_if_cancelled()
        return await self._driver.run(session.recv(decode))

    def recv_streaming(self, decode: bool | None = None) -> FragmentStream:
        """
        Receive the next message fragment by fragment.

        Args:
            decode: as for `recv`; a character that is split between frames comes
                with the frame that ends it.

        Returns:
            An asynchronous iterator over the payloads of its frames.  When it is
            abandoned, the rest of the message is discarded.

        Cancellation: safe; go on with the same iterator.

        Raises:
            ConnectionClosed: (from the iterator) as `recv`.
            ConcurrencyError: (from the iterator) as `recv`.
        """
        return FragmentStream(self._session, self._driver, decode)

    # Sending

    async def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> None:
        """
        Send a message.

        A `str` goes out as text, a bytes-like object as binary.  An iterable or
        asynchronous iterable of either goes out as one message in fragments (RFC
        6455, 5.4); other messages wait until it is complete.

        It waits only while more than `write_limit` bytes are on their way.

        Cancellation: a message goes out whole or not at all.  A message in fragments
        cannot be completed then, so the connection fails with 1011.

        Args:
            text: True sends bytes as a text message, which must then be UTF-8;
                False sends a `str` as a binary one.
            compress: False sends this message as it is, True compresses it whatever
                the policy says, and None, the default, leaves it to the policy (see
                `ClientPerMessageDeflateFactory`).  Of no effect where the extension
                was not negotiated.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TypeError: `message` is of another type; nothing was sent.  For an item
                after the first one, the connection fails with 1011.
            UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        """
        session = self._session
        if text is None and compress is None and session.clear_to_send:
            self._driver.check_run()
            await checkpoint_if_cancelled()
            if session.writer.add_message(message):
                self._driver.flush()
                if session.writing_paused:
                    await self._driver.run(session.drain())
                else:
                    await self._driver.hand_over()
                return
        payload = message_payload(message, text)
        if payload is None:
            await self._send_fragments(message, text, compress)
        else:
            await self._driver.run_sending(session.send(*payload, compress))

    async def _send_fragments(
        self, message: Any, text: bool | None, compress: bool | None
    ) -> None:
        run = self._driver.run_sending
        fragments = FragmentSender(self._session, text, compress)
        failure: BaseException | None = None
        try:
            if isinstance(message, AsyncIterable):
                async for item in message:
                    await run(fragments.add(item))
            else:
                for item in message:
                    await run(fragments.add(item))
            await run(fragments.end())
        except BaseException as exc:
            failure = exc
            raise
        finally:
            self._session.now = self._driver.clock()
            for waiter in fragments.release(failure):
                waiter.fire()
            self._driver.step()

    async def ping(
        self, data: str | BytesLike | None = None, *, ack_on_close: bool = False
    ) -> Pong:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: at most 125 bytes; by default 4 random ones.
            ack_on_close: whether the end of the connection counts as an answer.

        Returns:
            An event that the pong sets; ``await event.wait()`` returns the
            round-trip time in seconds.  It raises `ConnectionClosed` if the
            connection ends before the pong, unless `ack_on_close` is set.

        Cancellation: the ping may or may not be sent.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: a ping with this data waits for its pong already.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
        """
        payload = None if data is None else control_payload("ping", data)
        pong = Pong(ack_on_close)
        driver = self._driver
        await driver.run_sending(self._session.ping(payload, pong, driver.clock()))
        return pong

    async def pong(self, data: str | BytesLike = b"") -> None:
        """
        Send an unsolicited pong, a heartbeat in one direction (RFC 6455, 5.5.3).

        Args:
            data: at most 125 bytes.

        Cancellation: the pong may or may not be sent.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
        """
        payload = control_payload("pong", data)
        driver = self._driver
        await driver.run_sending(self._session.pong(payload, driver.clock()))

    async def flush(self) -> None:
        """
        Hand all that was sent so far to the operating system.

        Each message leaves at once on trio; this is for programs that run on every
        face.  It waits only while more than `write_limit` bytes are on their way.
        Always a checkpoint.

        Cancellation: only the waiting ends; nothing is taken back.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        await self._driver.run_sending(self._session.flush())

    async def aclose(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Close the connection and wait until TCP has ended (RFC 6455, 7.1).

        It takes `close_timeout` seconds at most.  Closing twice does no harm; the
        first code counts.

        Cancellation: ends only the waiting; the connection closes within
        `close_timeout` anyway.

        Args:
            code: 1000 to 1003, 1007 to 1014 or 3000 to 4999; None for an empty
                close frame.
            reason: at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the connection is
                as it was.
        """
        driver = self._driver
        if self._session is not NOT_OPEN:
            await driver.run(self._session.close(code, reason, driver.clock()))
        elif driver.pipe is not None:
            await discard(driver.pipe)
        await checkpoint_if_cancelled()

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, by whichever side.

        Never raises.  Cancellation: safe.
        """
        if self._session is not NOT_OPEN or not self._driver.ended:
            await self._driver.run(self._session.wait_closed())
        await checkpoint_if_cancelled()


# As it is defined; programs may patch the class.
CLOSE = Connection.aclose
