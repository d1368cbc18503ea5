"""The trio client: `connect`, `unix_connect` and `ClientConnection`."""

from __future__ import annotations

import inspect
import math
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import trio

from .._net.tls_context import CONTEXT
from ..core.arguments import callable_or_none, one_of, reject_unknown
from ..core.client.backoff import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    Backoff,
)
from ..core.client.plan import ConnectPlan, Elsewhere, check_tls
from ..core.client.proxy.address import Proxy, check_proxy_tls
from ..core.client.reconnect import (
    Reconnector,
    StateChange,
    delays_from,
    process_exception,
)
from ..core.client.redirect_steps import RedirectSteps
from ..core.client.redirects import display_uri
from ..core.connection.overrides import overridden
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.extensions.base import ClientExtensionFactory
from ..core.handshake.errors import InvalidStatus
from ..core.http.headers import HeadersLike
from ..core.http.messages import USER_AGENT
from ..core.logs import check_logger
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

# The classes below have an attribute of that name.
decide = process_exception


class connect(RedirectSteps):
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

    #: seconds; see `Backoff`
    BACKOFF_INITIAL = BACKOFF_INITIAL_DELAY
    BACKOFF_MIN = BACKOFF_MIN_DELAY
    BACKOFF_MAX = BACKOFF_MAX_DELAY
    BACKOFF_FACTOR = BACKOFF_FACTOR

    #: tells which failures may pass; may be set
    process_exception: Callable[[Exception], Exception | None]
    #: as it was given; what is set counts for the next loop
    reconnect_delays: Backoff | Callable[[], Iterator[float]] | None
    #: where reconnecting is logged; may be set
    logger: LoggerLike
    #: the latest connection; None before the first
    connection: ClientConnection | None = None

    _unix_path: PathLike | None = None
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
        reject_unknown("connect", kwds, DIALING | {"host", "port"} | _own_keywords())
        for name, value in (
            ("create_protocol", create_protocol),
            ("create_connection", create_connection),
            ("process_exception", process_exception),
            ("reconnect_delays", reconnect_delays),
            ("on_open", on_open),
            ("on_state", on_state),
        ):
            callable_or_none(name, value)
        has_address = "host" in kwds or "port" in kwds
        if stream is not None and has_address:
            raise ValueError("stream is given, so host and port must not be")
        elsewhere: Elsewhere = None
        if stream is not None:
            elsewhere = "sock"
        elif self._unix_path is not None:
            elsewhere = "unix"
        elif has_address:
            elsewhere = "address"
        self._plan = ConnectPlan(
            uri,
            {
                "origin": origin,
                "extensions": extensions,
                "subprotocols": subprotocols,
                "compression": compression,
                "extra_headers": extra_headers,
                "additional_headers": additional_headers,
                "user_agent_header": user_agent_header,
                "open_timeout": open_timeout,
                "ping_interval": ping_interval,
                "ping_timeout": ping_timeout,
                "close_timeout": close_timeout,
                "max_size": max_size,
                "max_queue": max_queue,
                "read_limit": read_limit,
                "write_limit": write_limit,
                "logger": logger,
                "proxy": proxy,
            },
            elsewhere=elsewhere,
        )
        # Arguments for TLS, with the names of the parameters.
        self._given = {
            name: value
            for name, value in (
                ("ssl", ssl),
                ("server_hostname", server_hostname),
                ("proxy_ssl", proxy_ssl),
                ("proxy_server_hostname", proxy_server_hostname),
            )
            if value is not None
        }
        check_tls(self._plan.uri, self._given, CONTEXT)
        if isinstance(self._plan.proxy, Proxy):
            check_proxy_tls(self._plan.proxy, self._given)
        self._create = (
            one_of(
                "create_protocol",
                create_protocol,
                "create_connection",
                create_connection,
            )
            or ClientConnection
        )
        self._stream = stream
        self._kwds = kwds
        self._on_open = on_open
        self.process_exception = process_exception
        self.reconnect_delays = reconnect_delays
        self.logger = check_logger(logger, "fullduplex.client")
        self._on_state = on_state

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
        plan = self._plan
        timeout = plan.open_timeout
        opening = ConnectTrace(display_uri(plan.uri), trio.current_time())
        try:
            with trio.move_on_after(math.inf if timeout is None else max(timeout, 0)):
                plan.begin()
                if plan.ask_headers is not None:
                    headers = plan.ask_headers()
                    if inspect.isawaitable(headers):
                        headers = await headers
                    plan.supply(headers)
                while True:
                    try:
                        return await self._attempt(opening)
                    except InvalidStatus as exc:
                        if not plan.redirected(self._judged(exc)):
                            raise
                        opening.redirected(display_uri(plan.uri))
        except Exception as exc:
            plan.failed(exc, opening)
            raise
        raise plan.timed_out(opening)

    async def _attempt(self, opening: ConnectTrace) -> ClientConnection:
        plan, uri = self._plan, self._plan.uri
        connection = self._create(
            **plan.keywords, host=uri.host, port=uri.port, secure=uri.secure
        )
        connection.opening = opening
        # A class of the caller may offer something else.
        own = self._create is ClientConnection
        connection._prepare_handshake(uri, plan.draft if own else None)
        host, port = self._kwds.get("host"), self._kwds.get("port")
        route = plan.route(host, port)
        opening.use_proxy(str(route.proxy) if route.proxy else None, route.reason)
        connection._note(*route.record(host or uri.host, port or uri.port))
        opening.begin(trio.current_time())
        reach = Connector(
            uri,
            route,
            opening,
            timeout=plan.open_timeout,
            user_agent=plan.keywords["user_agent_header"],
            kwds=self._kwds,
            given=self._given,
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
        again = Reconnector(
            delays_from(self.reconnect_delays, self),
            lambda exc: self.process_exception(exc),
            self.logger,
            self._on_state,
        )
        return Reconnecting(self._connect, again)


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
        if (path is None) == (kwds.get("stream") is None):
            raise ValueError("give either path or stream")
        for name in ("host", "port"):
            if name in kwds:
                raise TypeError(f"unix_connect() takes no {name}")
        if uri is None:
            uri = "ws://localhost/" if kwds.get("ssl") is None else "wss://localhost/"
        self._unix_path = path
        super().__init__(uri, **kwds)


def _own_keywords() -> frozenset[str]:
    """The names of `connect`'s own parameters, to suggest for a typo."""
    code = connect.__init__.__code__
    return frozenset(code.co_varnames[2 : 2 + code.co_kwonlyargcount])


def _unix_signature() -> inspect.Signature:
    """Return the signature of `unix_connect`: `path`, and that of `connect`."""
    signature = inspect.signature(connect)
    path = inspect.Parameter(
        "path",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation="PathLike | None",
    )
    uri, *others = signature.parameters.values()
    uri = uri.replace(default=None, annotation="str | None")
    return signature.replace(parameters=[path, uri, *others])


unix_connect.__signature__ = _unix_signature()  # type: ignore[attr-defined]
