"""The life of a server on trio: accepting, and shutting down in order.

Shutting down: stop listening, close connections, wait for handlers, and where there
is a deadline, cancel those that exceed it.  The server's nursery holds one task for
each client; nothing that a handler raises gets into it.
"""

from __future__ import annotations

import math
import ssl as tls
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import trio

from ..core.connection.overrides import overridden
from ..core.server.base import HANDLER_GRACE, SHUTDOWN_GRACE, BaseServer, named
from ..core.server.config import ServeConfig
from ..core.server.exhaustion import ACCEPT_PAUSE, Exhaustion
from ._nursery import ungrouped
from ._server_connection import ServerConnection
from ._waiter import run_clock
from .connection import CLOSE


class Server(BaseServer[ServerConnection]):
    """
    A running server, as `serve` passes it to ``task_status.started``.

    It is an asynchronous context manager, which closes it at the end of the block
    and waits until it is closed.

    Not made by programs.
    """

    def __init__(
        self,
        hosting: ServeConfig,
        listeners: Sequence[trio.abc.Listener[Any]],
        ssl: tls.SSLContext | None,
    ) -> None:
        super().__init__(hosting.settings, hosting.admission)
        self._handler: Callable[[ServerConnection], Any] = hosting.handler
        self._create: Callable[..., ServerConnection] = hosting.create
        self._ssl = ssl
        self._clock = run_clock()
        #: the listeners
        self.listeners = listeners
        self._nursery: trio.Nursery
        self._listening = trio.CancelScope()
        self._started = False
        self._reporting = False
        self._close_connections = False
        self._exhaustion = Exhaustion()
        self._freed = trio.Event()
        # They run `aclose` of connections whose class has another one.
        self._closers: set[trio.CancelScope] = set()
        # Set when closing begins, when it is to be looked at again, and at its end.
        self._begun = trio.Event()
        self._news = trio.Event()
        self._closed = trio.Event()

    async def serve_forever(
        self, task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """
        Accept connections until the server is closed; `serve` has called it already.

        Args:
            task_status: for `trio.Nursery.start`.

        Cancellation: as `serve`.

        Raises:
            RuntimeError: it was called before.
        """
        if self._started:
            raise RuntimeError("the server was started already; call serve() once more")
        self._started = True
        try:
            with ungrouped():
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._listen)
                    self._log_addresses(self.sockets)
                    task_status.started(self)
                    await self._begun.wait()
                    await self._shut_down()
                    if self._connections:
                        self.logger.error(
                            "waiting for handlers that ignore being cancelled: %s",
                            named(self._connections),
                        )
        finally:
            self._closed.set()

    # Accepting

    async def _listen(self) -> None:
        with self._listening:
            async with trio.open_nursery() as nursery:
                for listener in self.listeners:
                    nursery.start_soon(self._listen_on, listener)

    async def _listen_on(self, listener: trio.abc.Listener[Any]) -> None:
        """Accept connections, also after the system had no room for one."""
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as exc:
                    if self._exhaustion.begins(self._clock()):
                        self.logger.error(
                            "no connection can be accepted for now: %s", exc
                        )
                    self._freed = trio.Event()
                    with trio.move_on_after(ACCEPT_PAUSE):
                        # A connection that ends cuts it short.
                        await self._freed.wait()
                else:
                    self._nursery.start_soon(self._run, stream)

    async def _run(self, stream: trio.abc.Stream) -> None:
        try:
            await self._welcome(stream)
        finally:
            await trio.aclose_forcefully(stream)
            self._freed.set()

    async def _welcome(self, stream: trio.abc.Stream) -> None:
        try:
            connection = self._create(
                ws_handler=self._handler, ws_server=self, **self.settings.keywords
            )
        except Exception:
            # Nobody else would be told.
            self.logger.error("create_connection failed", exc_info=True)
            return
        await connection._live(stream, self._ssl)

    def _unregister(self, connection: ServerConnection) -> None:
        super()._unregister(connection)
        if not self._connections:
            self._news.set()

    def _refusal_counted(self) -> None:
        if not self._reporting:
            self._reporting = True
            self._nursery.start_soon(self._report_soon)

    async def _report_soon(self) -> None:
        with trio.move_on_after(1):
            await self._begun.wait()
        self._reporting = False
        self._report()

    # Attributes and methods for programs

    @property
    def sockets(self) -> Sequence[Any]:
        """The listening sockets; empty once the server is closed."""
        if self._begun.is_set():
            return ()
        inner: list[Any] = [
            getattr(item, "transport_listener", item) for item in self.listeners
        ]
        return [item.socket for item in inner if hasattr(item, "socket")]

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return not self._begun.is_set()

    async def aclose(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        drain: float | None = None,
    ) -> None:
        """
        Stop accepting, close all connections and wait until all handlers are done.

        Handshakes that are under way are answered 503.  Clients that have not sent
        a request are cut off after a second.  Handlers learn of the end from `recv`,
        `send` and `wait_closed` of their connection.

        The first call counts.  A further one may only bring the end nearer, with
        another `drain`.  A handler may call it; it does not wait for itself then.

        Cancellation: ends only the waiting; the server closes anyway.

        Args:
            close_connections: False lets the connections that are open go on, up to
                `drain` seconds.
            code: close code for the connections; 1012 announces a restart.
            reason: close reason for the connections.
            drain: seconds for handlers to return.  After that they are cancelled,
                those that were still running are named in the log, and 2 seconds
                later this returns, whatever they do.  None waits without limit.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the server goes on.
            ValueError: `drain` is negative.
        """
        if self._begin_closing(code, reason, drain, self._clock()):
            self._listening.cancel()
            self._begun.set()
            self._close_connections = close_connections
            for connection in self.connections:
                self._close_if_closing(connection)
        self._news.set()
        if self._called_from_handler():
            await trio.lowlevel.checkpoint()
        else:
            await self._closed.wait()

    async def wait_closed(self) -> None:
        """
        Wait until the server is closed and all handlers have returned.

        It does not begin to close.  Cancellation: safe.
        """
        await self._closed.wait()

    def _called_from_handler(self) -> bool:
        tasks = {connection._task for connection in self._connections}
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None:
            if task in tasks:
                return True
            nursery = task.parent_nursery
            task = None if nursery is None else nursery.parent_task
        return False

    # Shutting down

    def _close_if_closing(self, connection: ServerConnection) -> None:
        if self._close_connections and self._closing_with is not None:
            if overridden(connection, "aclose", CLOSE):
                self._nursery.start_soon(self._close_as_told, connection)
            else:
                connection._driver.begin_close(*self._closing_with)

    async def _close_as_told(self, connection: ServerConnection) -> None:
        """Close a connection whose class has another `aclose`; close it anyway."""
        assert self._closing_with is not None
        scope = trio.CancelScope()
        self._closers.add(scope)
        try:
            with scope:
                await connection.aclose(*self._closing_with)
        except Exception:
            self.logger.error("aclose() of a connection failed", exc_info=True)
        finally:
            self._closers.discard(scope)
            if connection.open:
                connection._driver.begin_close(*self._closing_with)

    async def _shut_down(self) -> None:
        for listener in self.listeners:
            await listener.aclose()
        self._nursery.start_soon(self._shut_out_silent_soon)
        if not await self._emptied(None):
            await self._force_handlers_to_end()
        self._report()
        self.logger.info("server closed")
        for scope in self._closers:
            scope.cancel()
        self._closed.set()

    async def _shut_out_silent_soon(self) -> None:
        with trio.move_on_after(SHUTDOWN_GRACE):
            await self._closed.wait()
        for connection in list(self._opening):
            connection._shut_out_silent()

    async def _emptied(self, until: float | None) -> bool:
        """
        Wait for all connections to end.

        Args:
            until: when to give up; None for the server's deadline, which may change.
        """
        while self._connections:
            limit = self._deadline if until is None else until
            if limit is not None and limit <= self._clock():
                return False
            self._news = trio.Event()
            with trio.move_on_at(math.inf if limit is None else limit):
                await self._news.wait()
        return True

    async def _force_handlers_to_end(self) -> None:
        """End handlers that did not end in time."""
        running = [item for item in self._connections if item._running]
        if running:
            self.logger.warning(
                "cancelling handlers that did not return in time: %s", named(running)
            )
            for connection in running:
                connection._cut_off()
            await self._emptied(self._clock() + HANDLER_GRACE)
        for connection in list(self._connections):
            connection._kill()
        await self._emptied(self._clock() + HANDLER_GRACE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
