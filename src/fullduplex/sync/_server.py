"""The life of a blocking server: accepting, deadlines of handshakes, shutting down.

Each connection has a thread of its own, from TCP to the end of its handler.  A pool
would only move the limit: a handler that waits for its client occupies a thread.
Bound the number with ``max_connections``.  The threads are daemons, for no thread
can be made to end; `Server.shutdown` waits for them.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ..core.connection.overrides import overridden
from ..core.server.base import HANDLER_GRACE, BaseServer, named
from ..core.server.config import ServerSettings
from ..core.server.exhaustion import ACCEPT_PAUSE, Exhaustion
from ..core.server.limits import ConnectionLimits
from ._channel import IN, HandshakeSocket, wait_for
from ._server_connection import ServerConnection
from .connection import CLOSE

# Seconds between looks at what is due, while a server waits for clients or for the
# end of handlers.
LOOK = 0.5


class Server(BaseServer[ServerConnection]):
    """
    A server that listens, as `serve` returns it; `serve_forever` makes it accept.

    It is a context manager, which shuts it down at the end of the block.

    Not made by programs.
    """

    def __init__(
        self,
        sock: socket.socket,
        handler: Callable[[ServerConnection], Any],
        settings: ServerSettings,
        create: Callable[..., ServerConnection],
        admission: ConnectionLimits,
        context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(settings, admission)
        #: the listening socket
        self.socket = sock
        self._handler = handler
        self._create = create
        self._context = context
        # Guards the counters of `BaseServer`; notified when something has changed.
        self._changed = threading.Condition(threading.RLock())
        self._closes_others = True
        self._report_at = math.inf
        self._exhaustion = Exhaustion()
        # Held by the thread that waits for the end, also within a signal handler.
        self._ending = threading.RLock()
        self._ended = False
        self._log_addresses([sock])

    # Accepting

    def serve_forever(self) -> None:
        """
        Accept connections until the server is shut down, and all is over.

        Raises:
            RuntimeError: the server is shut down already.
        """
        if self._ended:
            raise RuntimeError("server is shut down")
        while self._closing_with is None:
            try:
                if wait_for(self.socket, IN, LOOK) and self._closing_with is None:
                    self._accept()
            except (OSError, ValueError) as exc:
                if self._closing_with is not None or self.socket.fileno() < 0:
                    break  # another thread has shut it down
                if self._exhaustion.begins(monotonic()):
                    self.logger.error("no connection can be accepted for now: %s", exc)
                with self._changed:
                    # A connection that ends cuts it short.
                    self._changed.wait(ACCEPT_PAUSE)
            self._do_what_is_due()
        self._end()

    def _accept(self) -> None:
        try:
            sock, peer = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client is gone again
        try:
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._create(
                ws_handler=self._handler, ws_server=self, **self.settings.keywords
            )
            timeout = self.settings.open_timeout
            deadline = math.inf if timeout is None else monotonic() + timeout
            connection._connected(HandshakeSocket(sock, deadline))
        except OSError:
            sock.close()
            return
        except Exception:
            self.logger.error("create_connection failed", exc_info=True)
            sock.close()
            return
        with self._changed:
            welcome = self._register(connection, peer, monotonic())
        if welcome:
            try:
                threading.Thread(
                    target=connection._live,
                    args=(self._context,),
                    name="fullduplex handler",
                    daemon=True,
                ).start()
                return
            except RuntimeError as exc:
                self.logger.error("no thread for a connection: %s", exc)
        connection._abandon()
        self._unregister(connection)

    def _unregister(self, connection: ServerConnection) -> None:
        with self._changed:
            super()._unregister(connection)
            self._changed.notify_all()

    def _retry_after(self, connection: ServerConnection, now: float) -> int:
        with self._changed:
            return super()._retry_after(connection, now)

    def _handshake_done(self, connection: ServerConnection) -> None:
        with self._changed:
            super()._handshake_done(connection)
            closing = self._closing_with
        if closing is not None and self._closes_others and connection.open:
            # It was not there yet when the others were closed.
            self._close_one(connection, *closing)

    def _refusal_counted(self) -> None:
        self._report_at = min(self._report_at, monotonic() + 1)

    def _do_what_is_due(self) -> None:
        now = monotonic()
        with self._changed:
            late, _ = self._overdue(now)
            if now >= self._report_at:
                self._report_at = math.inf
                self._report()
        for connection in late:
            connection._end_opening()

    # Attributes and methods for programs

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open now; a new set each time."""
        with self._changed:
            return super().connections

    def fileno(self) -> int:
        """Return the file descriptor of the listening socket; -1 once closed."""
        return self.socket.fileno()

    def shutdown(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        drain: float | None = None,
    ) -> None:
        """
        Stop accepting, close all connections and wait until handlers have returned.

        Handshakes that are under way are answered 503.  Clients that have not sent
        a request are cut off after a second.  Handlers learn of the end from `recv`,
        `send` and `wait_closed` of their connection.

        It may be called by any thread, and by a signal handler.  Called within a
        handler of connections, it does not wait, for it would wait for itself;
        `serve_forever` then returns when all is over.

        The first call counts.  A further one may only bring the end nearer, with
        another `drain`.

        Args:
            close_connections: False lets the connections that are open go on, up to
                `drain` seconds.
            code: close code for the connections; 1012 announces a restart.
            reason: close reason for the connections.
            drain: seconds for handlers to return.  After that their connections are
                cut, those that still run are named in the log, and 2 seconds later
                they are left behind, whatever they do.  None waits without limit.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the server goes on.
            ValueError: `drain` is negative.
        """
        with self._changed:
            if self._begin_closing(code, reason, drain, monotonic()):
                self._closes_others = close_connections
                self._stop_listening()
                if close_connections:
                    for connection in super().connections:
                        self._close_one(connection, code, reason)
            self._changed.notify_all()
            me = threading.current_thread()
            inside = any(item._thread is me for item in self._connections)
        if not inside:
            self._end()

    # Shutting down

    def _close_one(
        self, connection: ServerConnection, code: int | None, reason: str
    ) -> None:
        if not overridden(connection, "close", CLOSE):
            connection._begin_close(code, reason)
            return

        def close() -> None:
            """Close it as its class says, and close it anyway."""
            try:
                connection.close(code, reason)
            except Exception:
                self.logger.error("close() of a connection failed", exc_info=True)
            finally:
                connection._begin_close(code, reason)

        # It may wait for its client, and others must not wait for it.
        threading.Thread(target=close, name="close", daemon=True).start()

    def _stop_listening(self) -> None:
        try:
            # Wakes the thread that waits for clients.
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def _end(self) -> None:
        """Wait for the end; the first thread does it, others wait for that one."""
        with self._ending:
            if self._ended:
                return
            if not self._emptied(None):
                self._force_handlers_to_end()
            self._ended = True
            self._report()
            self.logger.info("server closed")

    def _emptied(self, seconds: float | None) -> bool:
        """Wait for all connections to end, for `seconds` or until the deadline."""
        until = None if seconds is None else monotonic() + seconds
        while True:
            with self._changed:
                if not self._connections:
                    return True
                last = until if seconds is not None else self._deadline
                left = LOOK if last is None else min(LOOK, last - monotonic())
                if left <= 0:
                    return False
                self._changed.wait(left)
            self._do_what_is_due()

    def _force_handlers_to_end(self) -> None:
        """End handlers that did not end in time."""
        with self._changed:
            left = list(self._connections)
        running = [item for item in left if item._is_running()]
        if running:
            self.logger.warning(
                "cutting connections of handlers that did not return in time: %s",
                named(running),
            )
        for connection in left:
            connection._abort_tcp()
        if self._emptied(2 * HANDLER_GRACE):
            return
        with self._changed:
            left = list(self._connections)
        self.logger.error(
            "leaving behind handlers that ignore the end of their connection: %s",
            named(left),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
