"""The asyncio client: `connect`, `unix_connect` and `ClientConnection`."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl as tls
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from time import monotonic, time
from types import TracebackType
from typing import Any

from ..core.backoff import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    Backoff,
    backoff,
)
from ..core.connecting import Elsewhere, Plan, check_tls
from ..core.datastructures import HeadersLike
from ..core.errors import InvalidStatus
from ..core.extensions.base import ClientExtensionFactory
from ..core.http1 import USER_AGENT
from ..core.keywords import callable_or_none, deprecated, either, unknown
from ..core.logs import check_logger
from ..core.opening import Opening
from ..core.proxy import Proxy, check_proxy_tls
from ..core.reconnect import Reconnector, StateChange, delays_from, process_exception
from ..core.redirects import shown
from ..core.typing import LoggerLike, PathLike
from ..imports import reexport
from ._client_connection import ClientConnection
from ._deadline import Deadline
from ._reach import Reach

__all__ = [
    "ClientConnection",
    "WebSocketClientProtocol",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]

reexport(globals())

# What `connect` passes on to ``loop.create_connection``.
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
# What `connect` uses on the way to a proxy, instead of the name without ``proxy_``.
PROXY_KEYWORDS = frozenset(
    f"proxy_{name}" for name in CONNECTION_KEYWORDS - {"host", "port", "sock"}
)


WebSocketClientProtocol = ClientConnection


class connect:
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
        extra_headers: further headers of the request: a mapping, pairs, or
            `Headers`; or a function or coroutine function that returns these, which
            is called for each attempt, so that tokens are fresh; also
            ``additional_headers``.
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
        proxy: address of a proxy, such as ``http://user:password@proxy:3128``, with
            the scheme http, https, socks4, socks4a, socks5 or socks5h (SOCKS needs the
            extra ``socks``); None for none; True to take the one of the environment
            (``https_proxy``, ``all_proxy`` and others, less ``no_proxy``), which is
            never used for loopback and link-local hosts.
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

    After any of these nothing is left open.  Cut: cancelling closes the socket.
    """

    #: seconds; see `Backoff`
    BACKOFF_INITIAL = BACKOFF_INITIAL_DELAY
    BACKOFF_MIN = BACKOFF_MIN_DELAY
    BACKOFF_MAX = BACKOFF_MAX_DELAY
    BACKOFF_FACTOR = BACKOFF_FACTOR

    _unix_path: PathLike | None = None

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
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        reconnect_delays: Backoff | Callable[[], Iterator[float]] | None = None,
        on_open: Callable[[ClientConnection], Awaitable[Any]] | None = None,
        on_state: Callable[[StateChange], Any] | None = None,
        proxy: Proxy | str | bool | None = True,
        **kwds: Any,
    ) -> None:
        if kwds:
            close_timeout = deprecated(
                kwds, "timeout", "close_timeout", close_timeout, 10
            )
            klass = deprecated(
                kwds, "klass", "create_protocol", create_protocol or create_connection
            )
            if create_connection is None:
                create_protocol = klass
            for name in ("loop", "legacy_recv"):
                deprecated(kwds, name, "nothing instead", None)
            unknown(
                "connect", kwds, CONNECTION_KEYWORDS | PROXY_KEYWORDS | _own_keywords()
            )
        for name, value in (
            ("create_protocol", create_protocol),
            ("create_connection", create_connection),
            ("process_exception", process_exception),
            ("reconnect_delays", reconnect_delays),
            ("on_open", on_open),
            ("on_state", on_state),
        ):
            if value is not None:
                callable_or_none(name, value)
        sock = kwds.get("sock")
        has_address = "host" in kwds or "port" in kwds
        if sock is not None and has_address:
            raise ValueError("sock is given, so host and port must not be")
        elsewhere: Elsewhere = None
        if sock is not None:
            elsewhere = "sock"
        elif self._unix_path is not None:
            elsewhere = "unix"
        elif has_address:
            elsewhere = "address"
        self._plan = Plan(
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
        check_tls(self._plan.uri, kwds, tls.SSLContext)
        if isinstance(self._plan.proxy, Proxy):
            check_proxy_tls(self._plan.proxy, kwds)
        self._create = (
            either(
                "create_protocol",
                create_protocol,
                "create_connection",
                create_connection,
            )
            or ClientConnection
        )
        self._kwds = kwds
        self._process_exception = process_exception
        self._delays = delays_from(reconnect_delays, type(self))
        self._on_open = on_open
        self._on_state = on_state
        self._logger = check_logger(logger, "fullduplex.client")
        self._connection: ClientConnection | None = None

    # Connecting

    async def connect(self) -> ClientConnection:
        """
        Connect once; the same as ``await`` on the object, and raises as that does.

        Cut: the attempt is given up, and its socket closed.
        """
        connection = await self._open()
        if self._on_open is not None:
            try:
                await self._on_open(connection)
            except BaseException:
                await connection.close(1011)
                raise
        return connection

    async def _open(self) -> ClientConnection:
        plan = self._plan
        opening = Opening(shown(plan.uri), monotonic())
        try:
            with Deadline(asyncio.get_running_loop(), plan.open_timeout):
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
                        if not plan.redirected(exc):
                            raise
                        opening.redirected(shown(plan.uri))
        except Exception as exc:
            if isinstance(exc, TimeoutError) and isinstance(
                exc.__cause__, asyncio.CancelledError
            ):
                raise plan.timed_out(opening) from exc
            plan.failed(exc, opening)
            raise

    async def _attempt(self, opening: Opening) -> ClientConnection:
        plan, uri = self._plan, self._plan.uri
        connection = self._create(
            **plan.keywords, host=uri.host, port=uri.port, secure=uri.secure
        )
        connection.opening = opening
        # A class of the caller may offer something else.
        own = self._create is ClientConnection
        factory = connection._prepare(uri, plan.draft if own else None)
        host, port = self._kwds.get("host"), self._kwds.get("port")
        route = plan.route(host, port)
        opening.use_proxy(str(route.proxy) if route.proxy else None, route.reason)
        connection._note(*route.record(host or uri.host, port or uri.port))
        opening.begin(monotonic())
        reach = Reach(
            uri,
            route,
            self._kwds,
            opening,
            timeout=plan.open_timeout,
            user_agent=plan.keywords["user_agent_header"],
        )
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

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._connection is not None:
            raise RuntimeError("connect() is in use by another block already")
        self._connection = await self.connect()
        return self._connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        await connection.__aexit__(exc_type, exc, traceback)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        again = Reconnector(
            self._delays, self._process_exception, self._logger, self._on_state
        )
        while True:
            delay: float | None
            again.connecting()
            try:
                connection = await self.connect()
            except Exception as exc:
                delay = again.failed(exc, time())
            else:
                again.opened(monotonic())
                try:
                    yield connection
                except GeneratorExit:
                    # The loop was left, by `break` or by an exception: nobody can
                    # tell which, and 1001 is true of both.
                    await connection.close(1001)
                    raise
                done = connection.open
                try:
                    await connection.close()
                except Exception as exc:
                    delay = again.failed(exc, time())
                else:
                    delay = again.ended(
                        connection._session.protocol, monotonic(), done=done
                    )
            if delay is not None:
                await asyncio.sleep(delay)


class unix_connect(connect):
    """
    Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket; `str`, `bytes` or path-like.
        uri: what to ask for; by default ``ws://localhost/``, or
            ``wss://localhost/`` when ``ssl`` is given.
        **kwds: as for `connect`.

    Raises:
        ValueError: neither ``path`` nor ``sock`` is given, or both.
    """

    def __init__(
        self, path: PathLike | None = None, uri: str | None = None, **kwds: Any
    ) -> None:
        if (path is None) == (kwds.get("sock") is None):
            raise ValueError("give either path or sock")
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
    """What `unix_connect` takes: `path`, and what `connect` takes."""
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
