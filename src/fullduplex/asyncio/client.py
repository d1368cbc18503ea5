"""The asyncio client: `connect`, `unix_connect` and `ClientConnection`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Sequence,
)
from time import monotonic, time
from types import TracebackType
from typing import Any

from .._async.client import AsyncConnect, unix_signature, unix_uri
from .._net.tls_context import CONTEXT
from ..core.arguments import deprecated, keyword_names, reject_unknown
from ..core.client.backoff import (
    Backoff,
    backoff,
)
from ..core.client.plan import ConnectPlan, find_elsewhere
from ..core.client.proxy.address import Proxy
from ..core.client.reconnect import (
    Reconnector,
    StateChange,
    process_exception,
)
from ..core.client.redirects import display_uri
from ..core.connection.overrides import overridden
from ..core.connection.websockets_names import fallback as attribute
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.extensions.base import ClientExtensionFactory
from ..core.http.headers import HeadersLike
from ..core.http.messages import USER_AGENT
from ..core.typing import LoggerLike, PathLike
from ..core.uri import WebSocketURI
from ..imports import reexport
from ._client_connection import ClientConnection
from ._connector import Connector
from ._timeout import Deadline

__all__ = [
    "ClientConnection",
    "WebSocketClientProtocol",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]

reexport(globals())

# Where programs find it.
ClientConnection.__module__ = __name__

# The classes below have an attribute of that name.
decide = process_exception

# Keywords that `connect` passes on to ``loop.create_connection``.
CONNECTION_KEYWORDS = frozenset(
    {
        "all_errors",
        "family",
        "flags",
        "happy_eyeballs_delay",
        "host",
        "interleave",
        "local_addr",
        "port",
        "proto",
        "server_hostname",
        "sock",
        "ssl",
        "ssl_handshake_timeout",
        "ssl_shutdown_timeout",
    }
)
# Keywords that `connect` uses for a proxy instead of the name without ``proxy_``.
PROXY_KEYWORDS = frozenset(
    f"proxy_{name}" for name in CONNECTION_KEYWORDS - {"host", "port", "sock"}
)


WebSocketClientProtocol = ClientConnection


class connect(AsyncConnect):
    """
    Connect to a WebSocket server.

    Use it in one of three ways::

        ws = await connect(uri)             # then call ws.close()

        async with connect(uri) as ws:      # closed at the end of the block
            ...

        async for ws in connect(uri):       # reconnects with a growing delay
            try:
                ...
            except fullduplex.ConnectionClosed:
                continue

    Args:
        uri: ``ws://`` or ``wss://`` address; a user name and password in it are sent
            as HTTP Basic credentials.
        create_protocol: `ClientConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_connection``.
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
        compression: ``"deflate"`` offers permessage-deflate (RFC 7692); None does not.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        extra_headers: further headers of the request: a mapping, pairs, or `Headers`.
            A function or coroutine function that returns these is called for each
            attempt, so that tokens are fresh.  Also ``additional_headers``.
        logger: where to log; by default the logger ``fullduplex.client``.
        user_agent_header: value of ``User-Agent``; None or ``""`` for none.
        open_timeout: seconds for DNS, TCP, TLS, the handshake and all redirects
            together; None for no limit.
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
        proxy: address of a proxy, such as ``http://user:password@proxy:3128``, with the
            scheme http, https, socks4, socks4a, socks5 or socks5h.  SOCKS needs the
            extra ``socks``.  None is for no proxy.  True takes the one of the
            environment (``https_proxy``, ``all_proxy`` and others, less ``no_proxy``),
            but never for loopback and link-local hosts.
        **kwds: arguments for ``loop.create_connection``, such as ``ssl``,
            ``server_hostname``, ``host`` and ``port`` (to connect to another place
            than the URI says), ``sock``, ``family`` and ``local_addr``.

    Raises:
        InvalidURI: (from the call) `uri` is no WebSocket address.
        TypeError: (from the call) an argument has the wrong type or name.
        ValueError: (from the call) an argument is out of range.
        OSError: TCP or TLS failed.
        InvalidHandshake: the server refused, or answered something else.
        TimeoutError: it took longer than ``open_timeout``.

    After any of these nothing is left open.  Cancellation closes the socket.
    """

    #: the latest connection; None before the first
    connection: ClientConnection | None = None

    #: as it was given; what is set counts for the next loop
    reconnect_delays = None

    _tls_context = CONTEXT
    _connection_class = ClientConnection
    _entered: ClientConnection | None = None

    def __init__(
        self,
        uri: str,
        *,
        create_protocol: Callable[..., ClientConnection] | None = None,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
        compression: str | None = "deflate",
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | Callable[[], Any] | None = None,
        logger: LoggerLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        open_timeout: float | None = 10,
        additional_headers: HeadersLike | Callable[[], Any] | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        process_exception: Callable[[Exception], Exception | None] = decide,
        reconnect_delays: Backoff | Callable[[], Iterator[float]] | None = None,
        on_open: Callable[[ClientConnection], Awaitable[Any]] | None = None,
        on_state: Callable[[StateChange], Any] | None = None,
        proxy: Proxy | str | bool | None = True,
        **kwds: Any,
    ) -> None:
        given = {**locals()}
        if kwds:
            given["close_timeout"] = deprecated(
                kwds, "timeout", "close_timeout", close_timeout, 10
            )
            klass = deprecated(
                kwds, "klass", "create_protocol", create_protocol or create_connection
            )
            if create_connection is None:
                given["create_protocol"] = klass
            for name in ("loop", "legacy_recv"):
                deprecated(kwds, name, "nothing instead", None)
            reject_unknown("connect", kwds, KEYWORDS)
        self._take_arguments(
            given,
            kwds=kwds,
            tls=kwds,
            elsewhere=find_elsewhere(kwds, self._unix_path, "sock", kwds.get("sock")),
        )

    # Attributes that programs read, and set for the next attempt

    @property
    def uri(self) -> str:
        """
        The address that was given; another one counts from the next attempt on.

        Setting it raises what the call would have raised.
        """
        return self._uri

    @uri.setter
    def uri(self, uri: str) -> None:
        if self._plan is None:
            self._uri = uri
        elif uri != self._uri:
            self._make_plan(uri, self._keywords)

    @property
    def additional_headers(self) -> Any:
        """Further headers of the request; others count from the next attempt on."""
        self._checked_plan()
        extra = self._keywords["extra_headers"]
        return self._keywords["additional_headers"] if extra is None else extra

    @additional_headers.setter
    def additional_headers(self, headers: Any) -> None:
        self._checked_plan()
        self._make_plan(
            self._uri,
            {**self._keywords, "extra_headers": headers, "additional_headers": None},
        )

    @property
    def open_timeout(self) -> float | None:
        """Seconds for opening as a whole; another limit counts from the next on."""
        return self._checked_plan().open_timeout

    @open_timeout.setter
    def open_timeout(self, timeout: float | None) -> None:
        self._checked_plan()
        self._make_plan(self._uri, {**self._keywords, "open_timeout": timeout})

    @attribute
    def ws_uri(self) -> WebSocketURI:
        """The parts of the address; after a redirect, of the one that it led to."""
        return self._checked_plan().uri

    @attribute
    def protocol(self) -> ClientConnection | None:
        """The same as `connection`."""
        return self.connection

    # Connecting

    async def connect(self) -> ClientConnection:
        """
        Connect once; the same as ``await`` on the object, and raises as that does.

        Cancellation: the attempt ends, and its socket is closed.
        """
        self.connection = connection = await self._open()
        if self._on_open is not None:
            try:
                await self._on_open(connection)
            except BaseException:
                await connection.close(1011)
                raise
        return connection

    async def _open(self) -> ClientConnection:
        plan = self._checked_plan()
        opening = ConnectTrace(display_uri(plan.uri), monotonic())
        try:
            with Deadline(asyncio.get_running_loop(), plan.open_timeout):
                return await self._follow_redirects(plan, opening)  # type: ignore[no-any-return]
        except Exception as exc:
            if isinstance(exc, TimeoutError) and isinstance(
                exc.__cause__, asyncio.CancelledError
            ):
                raise plan.timed_out(opening) from exc
            plan.failed(exc, opening)
            raise

    async def _attempt(
        self, plan: ConnectPlan, opening: ConnectTrace
    ) -> ClientConnection:
        connection: ClientConnection
        connection, route = plan.new_connection(
            self._create, ClientConnection, self._kwds, opening
        )
        opening.begin(monotonic())
        reach = Connector(
            plan.uri,
            route,
            self._kwds,
            opening,
            timeout=plan.open_timeout,
            user_agent=plan.keywords["user_agent_header"],
        )

        def factory() -> asyncio.BaseProtocol:
            return connection._driver

        try:
            if self._unix_path is not None:
                await reach.open_unix(factory, os.fspath(self._unix_path))
            else:
                await reach.open(factory)
            await connection._handshaken()
            opening.mark("handshake", monotonic())
        except BaseException:
            connection._abandon()
            raise
        return connection

    # Each goes through the one above it, as subclasses for websockets count on.

    def __await_impl__(self) -> Coroutine[Any, Any, ClientConnection]:
        """Do what ``await`` does; as `connect`, for subclasses."""
        return self.connect()

    def __await_impl_timeout__(self) -> Coroutine[Any, Any, ClientConnection]:
        """Do what ``await`` does; as `connect`, for subclasses."""
        return self.__await_impl__()

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.__await_impl_timeout__().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._entered is not None:
            raise RuntimeError("connect() is in use by another block already")
        self._entered = self.connection = connection = await self
        try:
            return await connection.__aenter__()
        except BaseException:
            # A subclass's; nobody else will leave the block.
            self._entered = None
            await connection.close(1011)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._entered = self._entered, None
        assert connection is not None
        await connection.__aexit__(exc_type, exc, traceback)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        again, planned = self._reconnector(), self._plan is not None
        # A subclass may have made the methods of the block do more.
        block = overridden(self, "__aenter__", ENTER) or overridden(
            self, "__aexit__", EXIT
        )
        while True:
            delay: float | None
            again.connecting()
            try:
                entered = await (self.__aenter__() if block else self)
            except Exception as exc:
                again, planned = self._planned(again, planned)
                delay = again.failed(exc, time())
            else:
                again, planned = self._planned(again, planned)
                again.opened(monotonic())
                connection: Any = entered
                if not isinstance(entered, ClientConnection):
                    connection = self.connection
                try:
                    yield entered
                except GeneratorExit:
                    # The loop was left, by `break` or by an exception: nobody can
                    # tell which, and 1001 is true of both.
                    await connection.close(1001)
                    if block:
                        await self.__aexit__(None, None, None)
                    raise
                done = connection.open
                try:
                    if block:
                        await self.__aexit__(None, None, None)
                    await connection.close()
                except Exception as exc:
                    delay = again.failed(exc, time())
                else:
                    delay = again.ended(
                        connection._session.protocol, monotonic(), done=done
                    )
            if delay is not None:
                await asyncio.sleep(delay)

    def _planned(self, again: Reconnector, planned: bool) -> tuple[Reconnector, bool]:
        """Return what decides, anew if the attempt has set up this object."""
        if planned or self._plan is None:
            return again, planned
        again = self._reconnector()
        again.connecting()
        return again, True


connect.process_exception = staticmethod(decide)

# As they are defined; programs may patch the class.
ENTER, EXIT = connect.__aenter__, connect.__aexit__


class unix_connect(connect):
    """
    Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket; `str`, `bytes` or path-like.
        uri: URI to connect to; by default ``ws://localhost/``, or ``wss://localhost/``
            when ``ssl`` is given.
        **kwds: as for `connect`.

    Raises:
        ValueError: neither ``path`` nor ``sock`` is given, or both.
    """

    def __init__(
        self, path: PathLike | None = None, uri: str | None = None, **kwds: Any
    ) -> None:
        uri = unix_uri(path, uri, kwds, "sock")
        self._unix_path = path
        super().__init__(uri, **kwds)


# Keywords that `connect` may have, or that a typo may stand for.
KEYWORDS = CONNECTION_KEYWORDS | PROXY_KEYWORDS | {*keyword_names(connect.__init__)}

unix_connect.__signature__ = unix_signature(connect)  # type: ignore[attr-defined]
