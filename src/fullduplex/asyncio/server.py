"""The asyncio server's face: `serve` and `unix_serve`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import Any

from ..core.arguments import deprecated, parameter_names, reject_unknown
from ..core.extensions.base import ServerExtensionFactory
from ..core.handshake.negotiation import OriginRule
from ..core.http.messages import SERVER, Response
from ..core.logs import check_logger
from ..core.server.config import ExtraHeaders, ServeConfig
from ..core.typing import LoggerLike, PathLike
from ..imports import reexport
from . import _transports as _transport
from ._server import Server
from ._server_connection import ServerConnection
from .auth import (
    BasicAuthWebSocketServerProtocol,
    basic_auth,
    basic_auth_protocol_factory,
)
from .broadcast import broadcast

__all__ = [
    "BasicAuthWebSocketServerProtocol",
    "Server",
    "ServerConnection",
    "WebSocketServer",
    "WebSocketServerProtocol",
    "basic_auth",
    "basic_auth_protocol_factory",
    "broadcast",
    "serve",
    "unix_serve",
]

reexport(globals())

# Where programs find them.
Server.__module__ = ServerConnection.__module__ = __name__

WebSocketServer = Server
WebSocketServerProtocol = ServerConnection

Handler = (
    Callable[[ServerConnection], Awaitable[None]]
    | Callable[[ServerConnection, str], Awaitable[None]]
)

ProcessResponse = Callable[..., Awaitable[Response | None] | Response | None]

# Keywords that `serve` passes on to ``loop.create_server``.
SERVER_KEYWORDS = frozenset(
    {
        "backlog",
        "family",
        "flags",
        "keep_alive",
        "reuse_address",
        "reuse_port",
        "sock",
        "ssl",
        "ssl_handshake_timeout",
        "ssl_shutdown_timeout",
        "start_serving",
    }
)


class serve:
    """
    Serve WebSocket connections.

    Await it for a `Server`, or use it as an asynchronous context manager, which
    closes the server at the end of the block::

        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        async with serve(echo, "localhost", 8765) as server:
            await server.serve_forever()

    Args:
        handler: called with each `ServerConnection` that is open, or with it and
            the path of the request; also ``ws_handler``.  When it returns, the
            connection is closed with 1000; when it raises, with 1011, and the
            exception is logged.
        host: address to listen on, a sequence of these, or None for all.
        port: port to listen on; 0 or None lets the system choose.
        create_protocol: `ServerConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_connection``.
        origins: values of ``Origin`` that are admitted: strings, compiled patterns
            that must match all of it, None for requests without; others are
            answered 403.  By default the origin is not checked.
        extensions: extensions to support, in the order of preference.
        subprotocols: subprotocols to support, in the order of preference.  A client
            that offers none of them is answered 400.
        select_subprotocol: chooses one of those that the client offers, or None:
            ``(connection, client_list)``, or ``(client_list, server_list)``.  It may
            raise `NegotiationError` to refuse.
        compression: ``"deflate"`` supports permessage-deflate (RFC 7692); None does
            not.
        process_request: called with ``(connection, request)`` or ``(path,
            headers)``, for requests of any kind; may be a coroutine function.  It
            returns None to go on, or answers with a `Response`, see
            `ServerConnection.respond`, or with ``(status, headers, body)``.
        process_response: called with ``(connection, request, response)`` before a
            response is sent; may be a coroutine function.  It may change it or
            return another one.
        extra_headers: headers to add to the response 101: a mapping, pairs,
            `Headers`, or a function that returns these for ``(path, headers)``.
        server_header: value of ``Server``; None or ``""`` for none.
        open_timeout: seconds for a client's handshake, TLS and hooks included, after
            which it is cut off; None for no limit.
        ping_interval: seconds between keepalive pings; None sends none.
        ping_timeout: seconds without any sign of life after a ping until the
            connection fails with 1011; None waits for ever.
        close_timeout: seconds that closing may take as a whole; None for no limit.
        max_size: bytes in a received message, or a pair (message, frame); None for
            no limit.  A larger one fails the connection with 1009.
        max_queue: received messages that may wait before reading pauses, or a pair
            (high mark, low mark); None for no limit.
        read_limit: bytes; received data that waits is kept below 16 times this.
        write_limit: bytes on their way above which `send` waits, or a pair (high
            mark, low mark).
        max_connections: TCP connections at a time, those in a handshake included;
            further clients are answered 503.  None, the default, for no limit.
        max_connections_per_ip: of these, from one IPv4 address or one IPv6 network
            of 64 bits.  None, the default, for no limit.
        max_handshakes_per_second: requests a second on average; further ones are
            answered 503.  None, the default, for no limit.
        logger: where to log; by default the logger ``fullduplex.server``.
        **kwds: arguments for ``loop.create_server``, such as ``ssl``, ``sock``,
            ``reuse_port``, ``backlog`` and ``start_serving``.  With ``ssl``,
            ``ssl_handshake_timeout`` is ``open_timeout`` and
            ``ssl_shutdown_timeout`` is a second more than ``close_timeout``, which
            counts first, unless given.

    Raises:
        TypeError: (from the call) an argument has the wrong type or name.
        ValueError: (from the call) an argument is out of range.
        OSError: the address cannot be used.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        create_protocol: Callable[..., ServerConnection] | None = None,
        origins: Sequence[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Callable[..., str | None] | None = None,
        compression: str | None = "deflate",
        process_request: Callable[..., Any] | None = None,
        process_response: ProcessResponse | None = None,
        extra_headers: ExtraHeaders | None = None,
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes_per_second: float | None = None,
        logger: LoggerLike | None = None,
        ws_handler: Handler | None = None,
        create_connection: Callable[..., ServerConnection] | None = None,
        **kwds: Any,
    ) -> None:
        given = {**locals()}
        given["close_timeout"] = close_timeout = deprecated(
            kwds, "timeout", "close_timeout", close_timeout, 10
        )
        klass = deprecated(
            kwds, "klass", "create_protocol", create_protocol or create_connection
        )
        if create_connection is None:
            given["create_protocol"] = klass
        for name in ("loop", "legacy_recv"):
            deprecated(kwds, name, "nothing instead", None)
        reject_unknown("serve", kwds, KEYWORDS)
        if kwds.get("sock") is not None and (host is not None or port is not None):
            raise ValueError("sock is given, so host and port must not be")
        hosting = ServeConfig(
            ServerConnection,
            check_logger(logger, "fullduplex.server"),
            given,
        )
        if kwds.get("ssl") is not None:
            if open_timeout is not None:
                kwds.setdefault("ssl_handshake_timeout", open_timeout)
            if close_timeout is not None:
                # A connection ends by its own deadline; TLS's is for what has none.
                kwds.setdefault("ssl_shutdown_timeout", close_timeout + 1)
        self._server = Server(
            hosting.handler, hosting.settings, hosting.create, hosting.admission
        )
        self._address: dict[str, Any] = {}
        if kwds.get("sock") is None:
            self._address = {"host": host, "port": port}
        self._unix = False
        self._kwds = kwds

    @property
    def ws_server(self) -> Server:
        """The server, which is of use once it has been started."""
        return self._server

    async def _start(self) -> Server:
        server = self._server
        if server._listener is not None:
            raise RuntimeError("serve() was started already; call it once more")
        loop = asyncio.get_running_loop()
        server._loop = loop
        listen = (
            _transport.create_unix_server if self._unix else _transport.create_server
        )
        server._started(
            await listen(loop, server._make_protocol, **self._address, **self._kwds)
        )
        return server

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

    A socket file at the path is replaced, as ``loop.create_unix_server`` does,
    whether somebody listens on it or not.

    Args:
        handler: as for `serve`.
        path: path of the socket; `str`, `bytes` or path-like.
        **kwds: as for `serve`.

    Raises:
        TypeError: ``host`` or ``port`` is given.
        ValueError: neither ``path`` nor ``sock`` is given, or both.
    """

    def __init__(
        self, handler: Handler | None = None, path: PathLike | None = None, **kwds: Any
    ) -> None:
        for name in ("host", "port"):
            if name in kwds:
                raise TypeError(f"unix_serve() takes no {name}")
        if (path is None) == (kwds.get("sock") is None):
            raise ValueError("give either path or sock")
        super().__init__(handler, **kwds)
        self._unix = True
        self._address = {} if path is None else {"path": os.fspath(path)}


# Keywords that `serve` may have, or that a typo may stand for.
KEYWORDS = SERVER_KEYWORDS | parameter_names(serve.__init__) - {"self"}
