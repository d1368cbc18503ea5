"""The asyncio server: `serve`, `unix_serve` and `ServerConnection`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from ..core.errors import ConnectionClosed
from ..core.extensions.base import ServerExtensionFactory
from ..core.extensions.permessage_deflate import enable_server_permessage_deflate
from ..core.handshake.negotiation import OriginRule
from ..core.handshake.server import ServerHandshake
from ..core.http1 import SERVER, Request, Response
from ..core.keywords import unknown
from ..core.options import Options
from ..core.protocol import Side
from ..core.typing import LoggerLike, PathLike
from . import _transport
from .connection import Connection, check_logger

__all__ = ["Server", "ServerConnection", "serve", "unix_serve"]

Handler = Callable[["ServerConnection"], Awaitable[None]]

# What `serve` passes on to ``loop.create_server``.
SERVER_KEYWORDS = frozenset(
    {
        "backlog",
        "family",
        "flags",
        "reuse_address",
        "reuse_port",
        "sock",
        "ssl",
        "ssl_handshake_timeout",
        "ssl_shutdown_timeout",
        "start_serving",
    }
)


class ServerConnection(Connection):
    """
    A connection from a client, as a handler of `serve` gets it.

    Args:
        server: the server that accepted it.
        options: limits and timeouts.
    """

    side = Side.SERVER

    def __init__(self, server: Server, options: Options, logger: LoggerLike) -> None:
        super().__init__(options, logger)
        self.server = server
        self._handshake = server.make_handshake()
        self._requested: asyncio.Future[Request | None] = self._loop.create_future()

    def _connected(self, transport: Any) -> None:
        super()._connected(transport)
        self.server.attach(self)

    def _handshake_received(self, data: bytes) -> None:
        if self._requested.done():
            return
        try:
            request = self._handshake.data_received(data)
        except Exception as exc:
            response = self._handshake.error_response(exc, now_date=_date())
            self._requested.set_result(None)
            if response is not None:
                self._respond(response)
            else:
                self.transport.abort()
            self.logger.debug("! no valid HTTP request", exc_info=exc)
            return
        if request is not None:
            # What follows waits in the system until the answer is known.
            self.transport.pause_reading()
            self.request = request
            self._log_request("<")
            self._requested.set_result(request)

    def _ended(self, exc: BaseException | None) -> None:
        if not self._requested.done():
            self._requested.set_result(None)
        super()._ended(exc)

    def _respond(self, response: Response) -> None:
        """Send a response that ends the connection."""
        self.response = response
        self.transport.write(self._handshake.response_bytes(response))
        self._log_response(">")
        self.transport.close()

    async def handshake(self, open_timeout: float | None) -> bool:
        """
        Answer the opening handshake.

        Returns:
            Whether the connection is open.  Otherwise it has been refused, or the
            client is gone, or took longer than `open_timeout` seconds.
        """
        try:
            async with asyncio.timeout(open_timeout):
                request = await self._requested
        except TimeoutError:
            self.transport.abort()
            return False
        if request is None or self._driver.ended:
            return False
        handshake = self._handshake
        response = handshake.accept(request, now_date=_date())
        if handshake.exception is None and not self.server.is_serving():
            response = handshake.reject(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Server is shutting down.\n",
                now_date=_date(),
            )
        if response.status_code != 101:
            self.logger.info(
                "connection rejected (%d %s)",
                response.status_code,
                response.reason_phrase,
            )
            self._respond(response)
            return False
        self.response = response
        self.subprotocol = handshake.subprotocol
        self.transport.write(handshake.response_bytes(response))
        self._log_response(">")
        self._open(handshake.extensions, handshake.leftover)
        self.transport.resume_reading()
        self.logger.info("connection open")
        return True

    @property
    def origin(self) -> str | None:
        """Value of the ``Origin`` header, if the server checked it."""
        return self._handshake.origin


class Server:
    """
    A running server, as `serve` returns it.

    It is an asynchronous context manager, which closes it at the end of the block.
    """

    def __init__(
        self,
        handler: Handler,
        options: Options,
        *,
        make_handshake: Callable[[], ServerHandshake],
        open_timeout: float | None,
        logger: LoggerLike,
    ) -> None:
        self._handler = handler
        self._options = options
        self._open_timeout = open_timeout
        self._server: Any = None
        self._tasks: dict[ServerConnection, asyncio.Task[None]] = {}
        self._closing: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self.logger = logger
        self.make_handshake = make_handshake

    def make_connection(self) -> asyncio.BaseProtocol:
        """Make the protocol of an accepted connection."""
        return ServerConnection(self, self._options, self.logger)._driver

    def attach(self, connection: ServerConnection) -> None:
        """Begin to serve a connection; called before any of its bytes is read."""
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks[connection] = task
        task.add_done_callback(lambda _: self._tasks.pop(connection, None))

    async def _serve(self, connection: ServerConnection) -> None:
        """Run the life of one connection; nothing escapes from here."""
        try:
            if not await connection.handshake(self._open_timeout):
                return
            try:
                await self._handler(connection)
            except ConnectionClosed as exc:
                connection.logger.info("connection ended in the handler: %s", exc)
                await connection.close(1011)
            except Exception:
                connection.logger.error("connection handler failed", exc_info=True)
                await connection.close(1011)
            except asyncio.CancelledError:
                await connection.close(1011)
                raise
            else:
                await connection.close()
            connection.logger.info("connection closed")
        except asyncio.CancelledError:
            if connection.transport is not None:
                connection.transport.abort()
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            if connection.transport is not None:
                connection.transport.abort()

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open now; a new set each time."""
        return {connection for connection in self._tasks if connection.open}

    @property
    def sockets(self) -> Sequence[Any]:
        """The listening sockets; empty once the server is closed."""
        return self._server.sockets  # type: ignore[no-any-return]

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._closing is None and bool(self._server.is_serving())

    async def start_serving(self) -> None:
        """Begin to accept connections, after ``start_serving=False``."""
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        """Wait until the server is closed; cancelling closes it."""
        await self.start_serving()
        try:
            await self._wait()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def _wait(self) -> Awaitable[None]:
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._closed)

    def close(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
    ) -> None:
        """
        Stop accepting and close all connections; `wait_closed` waits for the end.

        Args:
            close_connections: False lets the connections that are open go on.
            code: close code for the connections.
            reason: close reason for the connections.
        """
        if self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.create_task(
                self._close(close_connections, code, reason)
            )

    async def _close(self, close_connections: bool, code: int, reason: str) -> None:
        self._server.close()
        if close_connections:
            await asyncio.gather(
                *(connection.close(code, reason) for connection in self.connections),
                return_exceptions=True,
            )
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        await self._server.wait_closed()
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        if not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until the server is closed and all handlers have returned."""
        await self._wait()

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


class serve:
    """
    Serve WebSocket connections.

    Await it for a `Server`, or use it as an asynchronous context manager, which
    closes the server at the end of the block.

    Args:
        handler: called with each `ServerConnection`; when it returns, the connection
            is closed with 1000, when it raises, with 1011.
        host: address to listen on, a sequence of these, or None for all.
        port: port to listen on; 0 or None lets the system choose.
        origins: origins that are admitted; None does not check.
        compression: ``"deflate"`` or None.
        open_timeout: seconds for the opening handshake.
        server_header: value of ``Server``; None for none.
        **kwds: arguments for ``loop.create_server``, such as ``ssl``.

    The other parameters are as for `connect`.

    Raises:
        TypeError: (from the call) an argument has the wrong type or name.
        ValueError: (from the call) an argument is out of range.
        OSError: the address cannot be used.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        origins: Sequence[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
        logger: LoggerLike | None = None,
        **kwds: Any,
    ) -> None:
        unknown("serve", kwds, SERVER_KEYWORDS)
        if compression == "deflate":
            extensions = enable_server_permessage_deflate(extensions)
        elif compression is not None:
            raise ValueError(
                f"compression is {compression!r}; it must be 'deflate' or None"
            )

        def make_handshake() -> ServerHandshake:
            return ServerHandshake(
                origins=origins,
                extensions=extensions,
                subprotocols=subprotocols,
                server_header=server_header,
            )

        make_handshake()
        self._server = Server(
            handler,
            Options.check(
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                close_timeout=close_timeout,
                max_size=max_size,
                max_queue=max_queue,
                read_limit=read_limit,
                write_limit=write_limit,
            ),
            make_handshake=make_handshake,
            open_timeout=open_timeout,
            logger=check_logger(logger, "fullduplex.server"),
        )
        self._address = (host, port)
        self._unix_path: PathLike | None = None
        self._kwds = kwds

    async def _start(self) -> Server:
        loop = asyncio.get_running_loop()
        factory = self._server.make_connection
        if self._unix_path is not None:
            listener = await _transport.create_unix_server(
                loop, factory, os.fspath(self._unix_path), **self._kwds
            )
        else:
            host, port = self._address
            if self._kwds.get("sock") is None:
                self._kwds.update(host=host, port=port)
            listener = await _transport.create_server(loop, factory, **self._kwds)
        self._server._server = listener
        return self._server

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        return await self._start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(exc_type, exc, traceback)


class unix_serve(serve):
    """
    Serve WebSocket connections on a Unix socket.

    Args:
        handler: as for `serve`.
        path: path of the socket; `str`, `bytes` or path-like.
        **kwds: as for `serve`.
    """

    def __init__(
        self, handler: Handler, path: PathLike | None = None, **kwds: Any
    ) -> None:
        super().__init__(handler, **kwds)
        self._unix_path = path


def _date() -> str:
    return formatdate(usegmt=True)
