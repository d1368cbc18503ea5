"""Base of client and server connections on asyncio.

`AsyncConnection` has all that does not depend on the event loop, and documents `recv`
and `send`.  These two return before an operation is made, `recv` with a message waiting
and `send` below the water mark.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
)
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._async.connection import AsyncConnection
from .._async.iteration import Iteration
from ..core.connection.overrides import overridden
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import NOT_OPEN
from ..core.endpoint.options import Options
from ..core.frames.close import ConnectionClosedOK, State
from ..core.frames.frame import Extension, control_payload
from ..core.implementation import IMPLEMENTATION, loading
from ..core.typing import BytesLike, Data, DataLike, LoggerLike
from ..imports import reexport
from ._driver import Driver
from ._ping import PongFuture
from ._transports import read_buffer

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from . import _awaitables as calls
else:
    with loading():
        from . import _awaitables_c as calls

__all__ = ["Connection"]

reexport(globals())

T = TypeVar("T", bound=Callable[..., Any])


def coroutine_function(function: T) -> T:
    """Say that a function returns what coroutine functions return."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    before: Any = asyncio.coroutines
    marked: Any = function
    marked._is_coroutine = before._is_coroutine
    return function


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

    __slots__ = ()

    _driver: Driver

    def __init__(self, options: Options, logger: LoggerLike) -> None:
        self._loop = loop = asyncio.get_running_loop()
        driver = Driver(
            loop,
            on_connect=self._connected,
            on_handshake=self._handshake_received,
            on_end=self._ended,
        )
        super().__init__(options, logger, driver)

    # Methods that the driver calls

    def _connected(self, transport: Any) -> None:
        self.connection_made(transport)

    def _handshake_received(self, data: bytes) -> None:
        raise NotImplementedError

    def _ended(self, exc: BaseException | None) -> None:
        self.connection_lost(exc)

    def _open(self, extensions: list[Extension], leftover: bytes) -> None:
        """Turn from the handshake to messages, within the read callback."""
        buffer = read_buffer(self._loop)
        self._session = self._make_session(
            self._options,
            extensions,
            new_waiter=self._driver.new_waiter,
            now=monotonic(),
            buffer=buffer,
            direct_view=buffer is not None,
        )
        self._driver.open(self._session, leftover)
        self.connection_open()

    def _tls(self) -> Any:
        transport = self._driver.transport
        return None if transport is None else transport.get_extra_info("ssl_object")

    def _now(self) -> float:
        return monotonic()

    def _unsent(self) -> int:
        if self._driver.ended:
            return 0
        return self._driver.transport.get_write_buffer_size()  # type: ignore[no-any-return]

    # Hooks for subclasses

    def connection_made(self, transport: Any) -> None:
        """Override to learn of the transport, before the handshake."""

    def connection_open(self) -> None:
        """Override to learn that the handshake is done."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Override to learn that TCP has ended."""

    # Attributes

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection."""
        return self._loop

    @property
    def transport(self) -> Any:
        """The asyncio transport; None before TCP is connected."""
        return self._driver.transport

    def _address(self, name: str) -> Any:
        transport = self._driver.transport
        return None if transport is None else transport.get_extra_info(name)

    def _abort_tcp(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        self._session.now = monotonic()
        for waiter in step(self._session) or ():
            waiter.fire_soon()
        self._driver.step()

    # Receiving

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(1000 if exc_type is None else 1011)

    def __aiter__(self) -> AsyncIterator[Data]:
        if overridden(self, "recv", RECV) or overridden(self, "__anext__", ANEXT):
            return Iteration(self, self._driver)
        return calls.Messages(self._driver, self)

    def __anext__(self) -> Coroutine[Any, Any, Data]:
        return self._next()

    @overload
    def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
    @overload
    def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
    @overload
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]: ...

    @coroutine_function
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]:
        if decode is None:
            return calls.recv(self._driver, self)
        return self._receive(decode)

    async def _next(self) -> Data:
        session = self._session
        if (
            session is not NOT_OPEN
            and session.exhausted
            and session.protocol.ended_well
            and not overridden(self, "recv", RECV)
        ):
            raise StopAsyncIteration
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    # Sending

    @coroutine_function
    def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> Coroutine[Any, Any, None]:
        if text is None and compress is None:
            return calls.send(self._driver, self, message)
        return self._send(message, text, compress)

    def _end_turn(self) -> None:
        # The last frame of a message in fragments is not a message to join.
        self._driver.end_turn()

    async def _drain(self) -> None:
        await self._driver.run(operations.drain(self._session))

    async def ping(self, data: str | BytesLike | None = None) -> Awaitable[float]:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: at most 125 bytes; by default 4 random ones.

        Returns:
            A future whose result is the round-trip time in seconds.  It raises
            `ConnectionClosed` if the connection ends before the pong.

        Cancellation: the ping may or may not be sent.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: a ping with this data waits for its pong already.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
        """
        payload = None if data is None else control_payload("ping data", data)
        pong = PongFuture(self._loop.create_future())
        await self._driver.run_fairly(
            operations.ping(self._session, payload, pong, monotonic())
        )
        return pong.future

    async def flush(self) -> None:
        """
        Hand all that was sent so far to the operating system.

        The first message that a task sends after it was resumed leaves at once; later
        ones may be joined until the event loop runs again.  Call this between the last
        message and a computation that does not suspend.

        It waits only while more than `write_limit` bytes are on their way.

        Cancellation: only the waiting ends; nothing is taken back.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        await self._driver.flush(self._session)

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
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
        if self._session is NOT_OPEN:
            if self._driver.transport is not None:
                self._driver.transport.abort()
            return
        session = self._session
        if session.protocol.state is not State.CLOSED:
            await self._driver.run_fairly(
                operations.close(session, code, reason, monotonic())
            )
        else:
            await self._driver.share()


# As they are defined; programs may patch the class.
RECV, ANEXT, CLOSE = Connection.recv, Connection.__anext__, Connection.close
