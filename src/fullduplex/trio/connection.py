"""Base of client and server connections on trio.

`AsyncConnection` has all that does not depend on trio, and documents `recv` and `send`.
These two return before an operation is made, `recv` with a message waiting and `send`
below the water mark.  Each is a checkpoint nevertheless, as trio's programs expect.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, overload

from trio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._async.connection import AsyncConnection
from .._async.iteration import Iteration
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import NOT_OPEN
from ..core.endpoint.options import Options
from ..core.frames.close import ConnectionClosedOK
from ..core.frames.frame import Extension, control_payload
from ..core.typing import BytesLike, Data, DataLike, LoggerLike
from ..core.wire.wire import MessageQueue
from ..imports import reexport
from ._byte_stream import ByteStream, discard
from ._driver import Driver
from ._ping import PongEvent
from ._waiter import Waiter, run_buffer

__all__ = ["Connection"]

reexport(globals())


class Connection(AsyncConnection):
    """
    A WebSocket connection; see `ClientConnection` and `ServerConnection`.

    It is an asynchronous iterator over received messages.  The iterator ends when the
    connection is closed with 1000 or 1001, and raises `ConnectionClosedError` when it
    ends in any other way.  It is also an asynchronous context manager, which closes it
    with 1000, or with 1011 when the block raises.

    Before the opening handshake is done, `recv`, `send`, `ping`, `pong` and
    `recv_streaming` raise `InvalidState`, and nothing else happens.
    """

    __slots__ = ("_messages",)

    _driver: Driver

    def __init__(self, options: Options, logger: LoggerLike) -> None:
        super().__init__(options, logger, Driver(self._ended))
        self._messages = MessageQueue()

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

    def _tls(self) -> Any:
        pipe: ByteStream | None = self._driver.pipe
        return None if pipe is None else pipe.tls

    def _now(self) -> float:
        return self._driver.clock()

    def _unsent(self) -> int:
        return self._driver.backlog.size

    def _abort_tcp(self) -> None:
        self._driver.abort()

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        self._session.now = self._driver.clock()
        for waiter in step(self._session) or ():
            waiter.fire()
        self._driver.step()

    # Receiving

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(1000 if exc_type is None else 1011)

    def __aiter__(self) -> AsyncIterator[Data]:
        return Iteration(self, self._driver)

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
        messages = self._messages
        session = self._session
        self._driver.check_run()
        if messages:
            await checkpoint()
        if decode is None:
            message = messages.take()
            if message is None:
                waiter = Waiter()
                if session.begin_wait(waiter):
                    try:
                        await waiter.wait()
                    finally:
                        session.end_wait()
                    message = messages.take()
            if message is not None:
                return message  # type: ignore[no-any-return]
        return await self._receive(decode)

    # Sending

    async def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> None:
        session = self._session
        if text is None and compress is None and session.clear_to_send:
            self._driver.check_run()
            await checkpoint_if_cancelled()
            if session.writer.add_message(message):
                self._driver.flush()
                if session.writing_paused:
                    await self._driver.run(operations.drain(session))
                else:
                    await self._driver.hand_over()
                return
        await self._send(message, text, compress)

    async def ping(
        self, data: str | BytesLike | None = None, *, ack_on_close: bool = False
    ) -> PongEvent:
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
        payload = None if data is None else control_payload("ping data", data)
        pong = PongEvent(ack_on_close)
        driver = self._driver
        await driver.run_fairly(
            operations.ping(self._session, payload, pong, driver.clock())
        )
        return pong

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
        await self._driver.run_fairly(operations.flush(self._session))

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
            await driver.run(
                operations.close(self._session, code, reason, driver.clock())
            )
        elif driver.pipe is not None:
            await discard(driver.pipe)
        await checkpoint_if_cancelled()


# As it is defined; programs may patch the class.
CLOSE = Connection.aclose
