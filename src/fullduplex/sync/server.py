"""The blocking server's face: `serve` and `unix_serve`."""

from __future__ import annotations

import socket
import ssl as tls
import threading  # noqa: F401 (in an annotation of ServerConnection)
from collections.abc import Callable, Sequence
from typing import Any

from .._net.sockets import listen_unix
from .._net.tls_context import CONTEXT
from ..core.arguments import deprecated, parameter_names, reject_unknown
from ..core.extensions.base import ServerExtensionFactory
from ..core.handshake.negotiation import OriginRule
from ..core.http.messages import SERVER, Response
from ..core.logs import check_logger
from ..core.server.config import ExtraHeaders, ServeConfig
from ..core.typing import LoggerLike, PathLike
from ..imports import reexport
from ._broadcast import broadcast
from ._server import Server
from ._server_connection import ServerConnection
from .auth import basic_auth

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

Handler = Callable[[ServerConnection], None] | Callable[[ServerConnection, str], None]
ProcessResponse = Callable[..., Response | None]

# Keywords that `serve` passes on to `socket.create_server`.
SERVER_KEYWORDS = frozenset({"backlog", "dualstack_ipv6", "family", "reuse_port"})


def serve(
    handler: Handler | None = None,
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    ssl: tls.SSLContext | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
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
    max_connections: int | None = None,
    max_connections_per_ip: int | None = None,
    max_handshakes_per_second: float | None = None,
    logger: LoggerLike | None = None,
    ws_handler: Handler | None = None,
    **kwds: Any,
) -> Server:
    """
    Serve WebSocket connections, each in a thread of its own.

    The server listens when this returns; `Server.serve_forever` accepts::

        def echo(ws):
            for message in ws:
                ws.send(message)

        with serve(echo, "localhost", 8765) as server:
            server.serve_forever()

    Args:
        handler: called with each `ServerConnection` that is open, or with it and
            the path of the request; also ``ws_handler``.  When it returns, the
            connection is closed with 1000; when it raises, with 1011, and the
            exception is logged.
        host: address to listen on, or None for all.
        port: port to listen on; 0 or None lets the system choose.
        sock: socket to listen on, instead of ``host`` and ``port``.
        ssl: TLS context.
        create_connection: `ServerConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_protocol``.
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
            headers)``, for requests of any kind.  It returns None to go on, or
            answers with a `Response`, see `ServerConnection.respond`, or with
            ``(status, headers, body)``.
        process_response: called with ``(connection, request, response)`` before a
            response is sent.  It may change it or return another one.
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
        max_connections: TCP connections at a time, those in a handshake included,
            and so the number of threads; further clients are answered 503.  None,
            the default, for no limit.
        max_connections_per_ip: of these, from one IPv4 address or one IPv6 network
            of 64 bits.  None, the default, for no limit.
        max_handshakes_per_second: requests a second on average; further ones are
            answered 503.  None, the default, for no limit.
        logger: where to log; by default the logger ``fullduplex.server``.
        **kwds: arguments for `socket.create_server`: ``backlog``, ``family``,
            ``reuse_port`` and ``dualstack_ipv6``.

    Raises:
        TypeError: an argument has the wrong type or name.
        ValueError: an argument is out of range.
        OSError: the address cannot be used.
    """
    # `send` waits until the system has taken all.
    given = {**locals(), "write_limit": 0}
    ssl = deprecated(kwds, "ssl_context", "ssl", ssl)
    path = kwds.pop("path", None)
    reject_unknown("serve", kwds, KEYWORDS)
    if sock is not None and (host is not None or port is not None or path is not None):
        raise ValueError("sock is given, so host, port and path must not be")
    if ssl is not None and not isinstance(ssl, CONTEXT):
        raise TypeError(f"ssl must be an SSLContext, not {type(ssl).__name__}")
    hosting = ServeConfig(
        ServerConnection,
        check_logger(logger, "fullduplex.server"),
        given,
    )
    if sock is None:
        sock = listen(host, port, **kwds) if path is None else listen_unix(path, **kwds)
    sock.setblocking(False)
    return Server(
        sock, hosting.handler, hosting.settings, hosting.create, hosting.admission, ssl
    )


def unix_serve(
    handler: Handler | None = None, path: PathLike | None = None, **kwds: Any
) -> Server:
    """
    Serve WebSocket connections on a Unix socket.

    A socket file that nobody listens on any more is replaced.

    Args:
        handler: as for `serve`.
        path: path of the socket; `str`, `bytes` or path-like.
        **kwds: as for `serve`.

    Raises:
        TypeError: ``host`` or ``port`` is given.
        ValueError: neither ``path`` nor ``sock`` is given, or both.
    """
    for name in ("host", "port"):
        if name in kwds:
            raise TypeError(f"unix_serve() takes no {name}")
    if (path is None) == (kwds.get("sock") is None):
        raise ValueError("give either path or sock")
    return serve(handler, path=path, **kwds)


def listen(host: str | None, port: int | None, **kwds: Any) -> socket.socket:
    """Listen on an address, or on all."""
    if not host and "family" not in kwds:
        if socket.has_dualstack_ipv6():
            kwds = {"family": socket.AF_INET6, "dualstack_ipv6": True, **kwds}
    elif host and ":" in host:
        kwds.setdefault("family", socket.AF_INET6)
    return socket.create_server((host or "", port or 0), **kwds)


# Keywords that `serve` may have, or that a typo may stand for.
KEYWORDS = SERVER_KEYWORDS | parameter_names(serve)
