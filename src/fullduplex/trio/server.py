"""The trio server's face: `serve` and `unix_serve`."""

from __future__ import annotations

import ssl as tls
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from .._net.sockets import listen_unix
from .._net.tls_context import CONTEXT
from ..core.arguments import parameter_names, reject_unknown
from ..core.extensions.base import ServerExtensionFactory
from ..core.handshake.negotiation import OriginRule
from ..core.http.messages import SERVER, Response
from ..core.logs import check_logger
from ..core.server.config import ExtraHeaders, ServeConfig
from ..core.typing import LoggerLike, PathLike
from ..imports import reexport
from ._server import Server
from ._server_connection import ServerConnection
from .auth import basic_auth
from .broadcast import broadcast

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

reexport(globals())

# Where programs find them.
Server.__module__ = ServerConnection.__module__ = __name__

Handler = (
    Callable[[ServerConnection], Awaitable[None]]
    | Callable[[ServerConnection, str], Awaitable[None]]
)
ProcessResponse = Callable[..., Awaitable[Response | None] | Response | None]


async def serve(
    handler: Handler | None = None,
    port: int | str | None = None,
    host: str | bytes | int | None = None,
    *,
    backlog: int | None = None,
    listeners: Sequence[trio.abc.Listener[Any]] | None = None,
    ssl: tls.SSLContext | None = None,
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
    create_connection: Callable[..., ServerConnection] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwds: Any,
) -> None:
    """
    Serve WebSocket connections until the server is closed.

    Start it in a nursery, which gives the `Server`::

        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, echo, 8765)
            async with server:                 # closed gracefully at the end
                await stop.wait()

    Args:
        handler: called with each `ServerConnection` that is open, or with it and
            the path of the request; also ``ws_handler``.  When it returns, the
            connection is closed with 1000; when it raises, with 1011, and the
            exception is logged.
        port: port to listen on; 0 lets the system choose.
        host: address to listen on, or None for all; ``serve(handler, host, port)``,
            the order on asyncio, is understood too.
        backlog: connections that may wait to be accepted; None for a good number.
        listeners: listeners to use instead of `port`, `host` and `backlog`; closed with
            the server.
        ssl: context for TLS.
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
        create_connection: `ServerConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_protocol``.
        task_status: for `trio.Nursery.start`, which returns the `Server`.

    Cancellation: not graceful.  Handlers are cancelled, and clients get a close frame
    with 1001 if the system takes it at once; see `Server.aclose`.

    Raises:
        TypeError: an argument has the wrong type or name.
        ValueError: an argument is out of range, or there is nothing to listen on.
        OSError: the address cannot be used.
    """
    given = {**locals(), **kwds}
    reject_unknown("serve", kwds, KEYWORDS)
    hosting = ServeConfig(
        ServerConnection,
        check_logger(logger, "fullduplex.server"),
        given,
    )
    if not isinstance(ssl, (CONTEXT, type(None))):
        raise TypeError(f"ssl must be an SSLContext, not {type(ssl).__name__}")
    if listeners is None:
        if isinstance(port, str) or isinstance(host, int):
            port, host = host, port  # type: ignore[assignment]
        if port is None:
            raise ValueError("give either port or listeners")
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"port must be an int, not {type(port).__name__}")
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)  # type: ignore[arg-type]
    elif port is not None or host is not None or backlog is not None:
        raise ValueError("listeners are given, so port, host and backlog must not be")
    server = Server(hosting, listeners, ssl)
    await server.serve_forever(task_status=task_status)


# Keywords that `serve` may have, or that a typo may stand for.
KEYWORDS = {"ws_handler", "create_protocol"} | parameter_names(serve)


async def unix_serve(
    handler: Handler | None = None,
    path: PathLike | None = None,
    *,
    backlog: int | None = None,
    **kwds: Any,
) -> None:
    """
    Serve WebSocket connections on a Unix socket.

    A socket file that nobody listens on any more is replaced.

    Args:
        handler: as for `serve`.
        path: path of the socket; `str`, `bytes` or path-like.
        backlog: as for `serve`.
        **kwds: as for `serve`.

    Raises:
        TypeError: ``host`` or ``port`` is given.
        ValueError: neither ``path`` nor ``listeners`` is given, or both.
        OSError: the path cannot be used.
    """
    for name in ("host", "port"):
        if name in kwds:
            raise TypeError(f"unix_serve() takes no {name}")
    if (path is None) == (kwds.get("listeners") is None):
        raise ValueError("give either path or listeners")
    if path is not None:
        sock = listen_unix(path, backlog)
        sock.setblocking(False)
        kwds["listeners"] = [trio.SocketListener(trio.socket.from_stdlib_socket(sock))]
    elif backlog is not None:
        raise ValueError("listeners are given, so backlog must not be")
    await serve(handler, **kwds)
