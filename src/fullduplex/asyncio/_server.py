"""The life of a server: accepting, one deadline for all handshakes, shutting down.

All handshakes have the same time, so the oldest one ends first: one dict in the
order of arrival and one timer serve all of them.

Shutting down goes in an order that ends on every version of Python: stop listening,
close connections, wait for handlers, and only then wait for the listener.  Since Python
3.12, the listener waits for connections itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic, time
from types import TracebackType
from typing import Any, Self

from ..core.connection.overrides import overridden
from ..core.server.base import HANDLER_GRACE, SHUTDOWN_GRACE, BaseServer, named
from ..core.server.config import ServerSettings
from ..core.server.limits import ConnectionLimits
from ._listener import Listener
from ._server_connection import ServerConnection
from .connection import CLOSE


class _Refused(asyncio.Protocol):
    """For a client that cannot even be told why."""

    def connection_made(self, transport: Any) -> None:
        """Cut it off (asyncio calls this)."""
        transport.abort()


class Server(BaseServer[ServerConnection]):
    """
    A running server, as `serve` returns it.

    It is an asynchronous context manager, which closes it at the end of the block
    and waits until it is closed.

    Not made by programs.
    """

    def __init__(
        self,
        handler: Callable[[ServerConnection], Any],
        settings: ServerSettings,
        create: Callable[..., ServerConnection],
        admission: ConnectionLimits,
    ) -> None:
        super().__init__(settings, admission)
        self._handler = handler
        self._create = create
        self._listener: Any = None
        self._loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]
        self._opening_timer: asyncio.TimerHandle | None = None
        self._report_timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._hurry: asyncio.Event | None = None
        self._empty: asyncio.Future[None] | None = None
        # They run `close` of connections whose class has another one.
        self._closers: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Future[None] | None = None

    # Accepting

    def _make_protocol(self) -> asyncio.BaseProtocol:
        """Make the protocol of an accepted connection (asyncio calls this)."""
        try:
            connection = self._create(
                ws_handler=self._handler, ws_server=self, **self.settings.keywords
            )
            return connection._driver
        except Exception:
            # asyncio would keep that to itself.
            self.logger.error("create_protocol failed", exc_info=True)
            return _Refused()

    def _register(self, connection: ServerConnection, peer: Any, now: float) -> bool:
        if self._closed is not None and self._closed.done():
            return False
        welcome = super()._register(connection, peer, now)
        timeout = self.settings.open_timeout
        if timeout is not None and self._opening_timer is None:
            self._arm_opening(timeout)
        if self._closing_with is not None:
            self._shut_out_silent_soon()
        return welcome

    def _unregister(self, connection: ServerConnection) -> None:
        super()._unregister(connection)
        empty = self._empty
        if not self._connections and empty is not None and not empty.done():
            empty.set_result(None)

    def _tcp_ended(self) -> None:
        listener = self._listener
        if type(listener) is Listener:
            listener.resume()

    def _refusal_counted(self) -> None:
        if self._report_timer is None:
            self._report_timer = self._loop.call_later(1, self._report)

    def _report(self) -> None:
        self._report_timer = None
        super()._report()

    # The one deadline of all handshakes

    def _arm_opening(self, delay: float) -> None:
        self._opening_timer = self._loop.call_later(delay, self._opening_due)

    def _opening_due(self) -> None:
        self._opening_timer = None
        late, delay = self._overdue(monotonic())
        if delay is not None:
            self._arm_opening(delay)
        for connection in late:
            connection._end_opening()

    # Attributes and methods for programs

    @property
    def sockets(self) -> Sequence[Any]:
        """The listening sockets; empty once the server is closed."""
        return () if self._closing is not None else self._listener.sockets

    @property
    def server(self) -> Any:
        """The listener, with the methods of an `asyncio.Server` that programs use."""
        return self._listener

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the server."""
        return self._loop

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return self._closing is None and bool(self._listener.is_serving())

    async def start_serving(self) -> None:
        """
        Begin to accept connections, after ``start_serving=False``.

        Raises:
            RuntimeError: the server is closed.
        """
        if self._closing is not None:
            raise RuntimeError("server is closed")
        if not self._listener.is_serving():
            await self._listener.start_serving()
            self._log_addresses(self._listener.sockets)

    async def serve_forever(self) -> None:
        """
        Accept connections and wait until the server is closed.

        Cancellation: the call first closes the server with 1001 and waits for the end.

        Raises:
            RuntimeError: the server is closed already.
        """
        await self.start_serving()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        drain: float | None = None,
    ) -> None:
        """
        Stop accepting and close all connections; `wait_closed` waits for the end.

        Handshakes that are under way are answered 503.  Clients that have not sent
        a request are cut off after a second.  Handlers learn of the end from `recv`,
        `send` and `wait_closed` of their connection.

        The first call counts.  A further one may only bring the end nearer, with
        another `drain`.

        Args:
            close_connections: False lets the connections that are open go on, up to
                `drain` seconds.
            code: close code for the connections; 1012 announces a restart.
            reason: close reason for the connections.
            drain: seconds for handlers to return.  After that they are cancelled,
                those that were still running are named in the log, and 2 seconds
                later the server is closed, whatever they do.  None waits without
                limit.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the server goes on.
            ValueError: `drain` is negative.
        """
        first = self._begin_closing(code, reason, drain, monotonic())
        if self._hurry is not None:
            self._hurry.set()
        if not first:
            return
        self._listener.close()
        self._hurry = asyncio.Event()
        self._shut_out_silent_soon()
        if close_connections:
            # Now: the caller may compute before the event loop runs again.
            self._close_open()
        self._closing = self._loop.create_task(self._close())

    async def wait_closed(self) -> None:
        """
        Wait until the server is closed and all handlers have returned.

        It does not begin to close.  Cancellation: safe.
        """
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)

    # Shutting down

    async def _close(self) -> None:
        if not await self._emptied():
            await self._force_handlers_to_end()
        for task in self._closers:
            task.cancel()
        self._stop_timers()
        await self._listener_closed()
        self.logger.info("server closed")
        if self._closed is None:
            self._closed = self._loop.create_future()
        if not self._closed.done():
            self._closed.set_result(None)

    def _shut_out_silent_soon(self) -> None:
        if self._grace_timer is None:
            self._grace_timer = self._loop.call_later(
                SHUTDOWN_GRACE, self._shut_out_silent
            )

    def _shut_out_silent(self) -> None:
        self._grace_timer = None
        for connection in list(self._opening):
            # A hook that is running still has its time.
            if connection.request is None:
                self._handshake_done(connection)
                connection._carry_out(connection._shut_out(time()))

    def _close_open(self) -> None:
        assert self._closing_with is not None
        for connection in self.connections:
            if overridden(connection, "close", CLOSE):
                task = self._loop.create_task(self._close_as_told(connection))
                self._closers.add(task)
                task.add_done_callback(self._closers.discard)
            else:
                connection._begin_close(*self._closing_with)

    async def _close_as_told(self, connection: ServerConnection) -> None:
        """Close a connection whose class has another `close`, and close it anyway."""
        assert self._closing_with is not None
        try:
            await connection.close(*self._closing_with)
        except Exception:
            self.logger.error("close() of a connection failed", exc_info=True)
        finally:
            connection._begin_close(*self._closing_with)

    async def _emptied(self) -> bool:
        """Wait for all connections to end, until the deadline."""
        assert self._hurry is not None
        while self._connections:
            left = None if self._deadline is None else self._deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._empty = self._loop.create_future()
            hurry = self._loop.create_task(self._hurry.wait())
            await asyncio.wait(
                (self._empty, hurry),
                timeout=left,
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurry.cancel()
            self._hurry.clear()
        return True

    async def _force_handlers_to_end(self) -> None:
        """End handlers that did not end in time."""
        running = [item for item in self._connections if item._is_running()]
        if running:
            self.logger.warning(
                "cancelling handlers that did not return in time: %s", named(running)
            )
        for connection in running:
            assert connection.handler_task is not None
            connection.handler_task.cancel()
        if running:
            await self._emptied_within(HANDLER_GRACE)
        for connection in list(self._connections):
            connection.transport.abort()
        await self._emptied_within(HANDLER_GRACE)
        if self._connections:
            self.logger.error(
                "leaving behind handlers that ignore being cancelled: %s",
                named(self._connections),
            )

    async def _emptied_within(self, seconds: float) -> None:
        if self._connections:
            self._empty = self._loop.create_future()
            await asyncio.wait((self._empty,), timeout=seconds)

    def _stop_timers(self) -> None:
        for timer in (self._opening_timer, self._report_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self._opening_timer = self._grace_timer = None
        self._report()

    async def _listener_closed(self) -> None:
        """Wait for the listener: that of a loop may know more connections than we."""
        timeout: float | None = None
        if self._deadline is not None:
            timeout = max(self._deadline - monotonic(), 0) + HANDLER_GRACE
        try:
            async with asyncio.timeout(timeout):
                await self._listener.wait_closed()
        except TimeoutError:
            self.logger.warning("leaving behind a listener that did not end")

    # Starting

    def _started(self, listener: Any) -> None:
        self._listener = listener
        if listener.is_serving():
            self._log_addresses(self._listener.sockets)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()
