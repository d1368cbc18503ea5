"""The trio client: `connect`, `unix_connect` and `ClientConnection`."""

from __future__ import annotations

import math
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import trio

from .._async.client import AsyncConnect, unix_signature, unix_uri
from .._net.tls_context import CONTEXT
from ..core.arguments import keyword_names, reject_unknown
from ..core.client.backoff import (
    Backoff,
)
from ..core.client.plan import ConnectPlan, find_elsewhere
from ..core.client.proxy.address import Proxy
from ..core.client.reconnect import (
    StateChange,
    process_exception,
)
from ..core.client.redirects import display_uri
from ..core.connection.overrides import overridden
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.extensions.base import ClientExtensionFactory
from ..core.http.headers import HeadersLike
from ..core.http.messages import USER_AGENT
from ..core.typing import LoggerLike, PathLike
from ..imports import reexport
from ._byte_stream import discard, make_pipe
from ._client_connection import ClientConnection
from ._connector import Connector
from ._nursery import QuietNursery
from ._reconnect import Reconnecting
from ._tcp_connect import DIALING

__all__ = ["ClientConnection", "connect", "unix_connect"]

reexport(globals())

# Where programs find it.
ClientConnection.__module__ = __name__

# The classes below have an attribute of that name.
decide = process_exception


class connect(AsyncConnect):
    """
    Connect to a WebSocket server.

    Use it in one of two ways::

        async with connect(uri) as ws:      # closed at the end of the block
            ...

        async for ws in connect(uri):       # reconnects with a growing delay
            try:
                ...
            except fullduplex.ConnectionClosed:
                continue

    Nothing of the connection is left when the block ends, and no exception group
    comes out of it.  Where the loop is left, its last connection is closed with
    1001 in the background, within `close_timeout` seconds.

    Args:
        uri: ``ws://`` or ``wss://`` address; a user name and password in it are sent
            as HTTP Basic credentials.
        stream: an open stream to the server, over which to do everything, TLS
            included; it is closed with the connection.
        ssl: context for TLS; by default, or if True, the usual one.
        server_hostname: name that the certificate must be for, if not the URI's host.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        compression: ``"deflate"`` offers permessage-deflate (RFC 7692); None does not.
        additional_headers: further headers of the request: a mapping, pairs, or
            `Headers`.  A function or coroutine function that returns these is called
            for each attempt, so that tokens are fresh.  Also ``extra_headers``.
        user_agent_header: value of ``User-Agent``; None or ``""`` for none.
        open_timeout: seconds for DNS, TCP, TLS, the handshake and all redirects
            together; None for no limit.
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
        process_exception: tells whether reconnecting makes sense after an exception:
            returns None to try again, or the exception to raise.
        reconnect_delays: `Backoff`, or what returns an iterator over the seconds to
            wait after each failure in a row.  By default a `Backoff` made of the
            class attributes ``BACKOFF_INITIAL``, ``BACKOFF_MIN``, ``BACKOFF_MAX`` and
            ``BACKOFF_FACTOR``.
        on_open: coroutine function, called with each new connection before it is
            returned: the place to log in and to subscribe.  When it raises, the
            connection is closed with 1011, and opening has failed.
        on_state: called with each `StateChange` of state while reconnecting.
        logger: where to log; by default the logger ``fullduplex.client``.
        create_connection: `ClientConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_protocol``.
        proxy: address of a proxy, such as ``http://user:password@proxy:3128``, with the
            scheme http, https, socks4, socks4a, socks5 or socks5h.  SOCKS needs the
            extra ``socks``.  None is for no proxy.  True takes the one of the
            environment (``https_proxy``, ``all_proxy`` and others, less ``no_proxy``),
            but never for loopback and link-local hosts.
        proxy_ssl: TLS context for an ``https`` proxy.
        proxy_server_hostname: name that its certificate must have.
        **kwds: ``host`` and ``port`` replace those of the URI.  ``local_address`` is
            our own.  ``happy_eyeballs_delay`` is the number of seconds until the next
            address is tried beside the others; None tries one after the other.

    Raises:
        InvalidURI: (from the call) `uri` is no WebSocket address.
        TypeError: (from the call) an argument has the wrong type or name.
        ValueError: (from the call) an argument is out of range.
        OSError: TCP or TLS failed.
        InvalidHandshake: the server refused, or answered something else.
        TimeoutError: it took longer than ``open_timeout``.

    After any of these nothing is left open.  Cancellation closes the socket, also of an
    open connection, after a close frame if the system takes one at once.
    """

    #: the latest connection; None before the first
    connection: ClientConnection | None = None

    _tls_context = CONTEXT
    _connection_class = ClientConnection
    _connection: ClientConnection | None = None
    _nursery: Any = None

    def __init__(
        self,
        uri: str,
        *,
        stream: trio.abc.Stream | None = None,
        ssl: tls.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | Callable[[], Any] | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: Proxy | str | bool | None = True,
        proxy_ssl: tls.SSLContext | bool | None = None,
        proxy_server_hostname: str | None = None,
        process_exception: Callable[[Exception], Exception | None] = decide,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Backoff | Callable[[], Iterator[float]] | None = None,
        on_open: Callable[[ClientConnection], Awaitable[Any]] | None = None,
        on_state: Callable[[StateChange], Any] | None = None,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        extra_headers: HeadersLike | Callable[[], Any] | None = None,
        create_protocol: Callable[..., ClientConnection] | None = None,
        **kwds: Any,
    ) -> None:
        given = {**locals()}
        reject_unknown("connect", kwds, KEYWORDS)
        names = ("ssl", "server_hostname", "proxy_ssl", "proxy_server_hostname")
        self._take_arguments(
            given,
            kwds=kwds,
            tls={name: given[name] for name in names if given[name] is not None},
            elsewhere=find_elsewhere(kwds, self._unix_path, "stream", stream),
        )
        self._stream = stream

    # Connecting

    async def connect(self, nursery: trio.Nursery) -> ClientConnection:
        """
        Connect once, for a program with a nursery of its own.

        Close the connection with `ClientConnection.aclose`; cancelling the nursery
        ends it with 1001.

        Args:
            nursery: where the connection lives.

        Cancellation: the attempt ends, and its socket is closed.
        """
        opened: list[ClientConnection] = []

        def start(connection: ClientConnection) -> None:
            opened.append(connection)
            connection._driver.start(nursery.start_soon, shield=False)

        await self._connect(start)
        self.connection = opened[0]
        return self.connection

    async def _connect(self, start: Callable[[ClientConnection], None]) -> None:
        """
        Connect once.

        Args:
            start: called with the connection that is open, to let it live.
        """
        connection = await self._open()
        start(connection)
        if self._on_open is not None:
            try:
                await self._on_open(connection)
            except BaseException:
                await connection.aclose(1011)
                raise

    async def _open(self) -> ClientConnection:
        plan = self._checked_plan()
        timeout = plan.open_timeout
        opening = ConnectTrace(display_uri(plan.uri), trio.current_time())
        try:
            with trio.move_on_after(math.inf if timeout is None else max(timeout, 0)):
                return await self._follow_redirects(plan, opening)  # type: ignore[no-any-return]
        except Exception as exc:
            plan.failed(exc, opening)
            raise
        raise plan.timed_out(opening)

    async def _attempt(
        self, plan: ConnectPlan, opening: ConnectTrace
    ) -> ClientConnection:
        connection: ClientConnection
        connection, route = plan.new_connection(
            self._create, ClientConnection, self._kwds, opening
        )
        opening.begin(trio.current_time())
        reach = Connector(
            plan.uri,
            route,
            opening,
            timeout=plan.open_timeout,
            user_agent=plan.keywords["user_agent_header"],
            kwds=self._kwds,
            given=self._tls_arguments,
        )
        stream = await reach.open(stream=self._stream, path=self._unix_path)
        pipe = make_pipe(stream)
        try:
            await connection._shake_hands(pipe)
            opening.mark("handshake", trio.current_time())
        except BaseException:
            connection._driver.ended = True
            connection._driver.forget()
            await discard(pipe)
            raise
        return connection

    async def __aenter__(self) -> ClientConnection:
        if self._nursery is not None:
            raise RuntimeError("connect() is in use by another block already")
        self._nursery = QuietNursery()
        nursery = await self._nursery.__aenter__()

        def start(connection: ClientConnection) -> None:
            self._connection = connection
            connection._driver.start(nursery.start_soon, shield=True)

        try:
            if overridden(self, "connect", CONNECT):
                self._connection = await self.connect(nursery)
            else:
                await self._connect(start)
            assert self._connection is not None
            self.connection = self._connection
            return await self._connection.__aenter__()
        except BaseException:
            await self._leave()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        try:
            await self._connection.__aexit__(exc_type, exc, traceback)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        nursery, self._nursery = self._nursery, None
        if connection is not None:
            connection._driver.abort()
        await nursery.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[ClientConnection]:
        for name, own in METHODS.items():
            if overridden(self, name, own):
                raise TypeError(
                    f"{type(self).__qualname__} overrides {name}(), which async for "
                    "does not call; use async with in a loop of your own"
                )
        return Reconnecting(self._connect, self._reconnector())


# As they are defined; programs may patch the class.
CONNECT = connect.connect
METHODS = {
    "connect": CONNECT,
    "__aenter__": connect.__aenter__,
    "__aexit__": connect.__aexit__,
}


class unix_connect(connect):
    """
    Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket; `str`, `bytes` or path-like.
        uri: URI to connect to; by default ``ws://localhost/``, or ``wss://localhost/``
            when ``ssl`` is given.
        **kwds: as for `connect`.

    Raises:
        ValueError: neither ``path`` nor ``stream`` is given, or both.
    """

    def __init__(
        self, path: PathLike | None = None, uri: str | None = None, **kwds: Any
    ) -> None:
        uri = unix_uri(path, uri, kwds, "stream")
        self._unix_path = path
        super().__init__(uri, **kwds)


# Keywords that `connect` may have, or that a typo may stand for.
KEYWORDS = DIALING | {"host", "port", *keyword_names(connect.__init__)}

unix_connect.__signature__ = unix_signature(connect)  # type: ignore[attr-defined]
