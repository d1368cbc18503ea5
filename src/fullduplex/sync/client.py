"""The blocking client: `connect`, `reconnect` and the same for Unix sockets."""

from __future__ import annotations

import inspect
import math
import socket
import ssl as tls
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, sleep, time
from types import TracebackType
from typing import Any

from .._net.tls_context import CONTEXT
from ..core.arguments import deprecated, keyword_names, one_of, reject_unknown
from ..core.client.backoff import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    Backoff,
)
from ..core.client.plan import ConnectPlan, check_functions, find_elsewhere
from ..core.client.proxy.address import Proxy
from ..core.client.reconnect import (
    Reconnector,
    StateChange,
    delays_from,
    process_exception,
)
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
from ._client_connection import ClientConnection
from ._connector import Connector

__all__ = [
    "ClientConnection",
    "connect",
    "reconnect",
    "unix_connect",
    "unix_reconnect",
]

reexport(globals())

# Where programs find it.
ClientConnection.__module__ = __name__

# The classes below have an attribute of that name.
decide = process_exception

# Keywords that are passed on to the functions that make sockets.
CONNECTION_KEYWORDS = frozenset(
    {
        "address",
        "all_errors",
        "happy_eyeballs_delay",
        "host",
        "port",
        "source_address",
    }
)


class _Call:
    """
    Arguments of one `connect` or `reconnect`; see `connect`.

    Args:
        path: of the Unix socket; None for TCP.
    """

    def __init__(
        self,
        function: str,
        uri: str,
        kwds: dict[str, Any],
        *,
        path: PathLike | None = None,
        sock: socket.socket | None = None,
        ssl: Any = None,
        server_hostname: str | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        create_protocol: Callable[..., ClientConnection] | None = None,
        on_open: Callable[[ClientConnection], Any] | None = None,
        proxy_ssl: Any = None,
        proxy_server_hostname: str | None = None,
        **keywords: Any,
    ) -> None:
        ssl = deprecated(kwds, "ssl_context", "ssl", ssl)
        reject_unknown(function, kwds, CONNECTION_KEYWORDS | _own_keywords())
        check_functions(
            {
                "create_connection": create_connection,
                "create_protocol": create_protocol,
                "on_open": on_open,
            }
        )
        address = kwds.pop("address", None)
        if address is not None:
            if "host" in kwds or "port" in kwds:
                raise TypeError("address is host and port; give one of them")
            kwds["host"], kwds["port"] = address
        elsewhere = find_elsewhere(kwds, path, "sock", sock)
        self.plan = ConnectPlan(uri, keywords, elsewhere=elsewhere)
        #: arguments for TLS, with the names of the parameters
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
        self.plan.check_tls(self._given, CONTEXT)
        self.logger = check_logger(keywords.get("logger"), "fullduplex.client")
        self._create = (
            one_of(
                "create_connection",
                create_connection,
                "create_protocol",
                create_protocol,
            )
            or ClientConnection
        )
        self._on_open = on_open
        self._path = path
        self._sock = sock
        self._kwds = kwds

    def connect(self) -> ClientConnection:
        """Connect once."""
        connection = self._open()
        if self._on_open is not None:
            try:
                self._on_open(connection)
            except BaseException:
                connection.close(1011)
                raise
        return connection

    def _open(self) -> ClientConnection:
        plan = self.plan
        timeout = plan.open_timeout
        deadline = math.inf if timeout is None else monotonic() + timeout
        plan.begin()
        if plan.headers_factory is not None:
            plan.set_headers(plan.headers_factory())
        opening = ConnectTrace(display_uri(plan.uri), monotonic())
        try:
            while True:
                try:
                    return self._attempt(opening, deadline)
                except InvalidStatus as exc:
                    if not plan.redirected(exc):
                        raise
                    opening.redirected(display_uri(plan.uri))
        except Exception as exc:
            if isinstance(exc, TimeoutError) and monotonic() >= deadline:
                raise plan.timed_out(opening) from exc
            plan.failed(exc, opening)
            raise

    def _attempt(self, opening: ConnectTrace, deadline: float) -> ClientConnection:
        plan = self.plan
        connection: ClientConnection
        connection, route = plan.new_connection(
            self._create, ClientConnection, self._kwds, opening
        )
        opening.begin(monotonic())
        channel = Connector(
            plan.uri,
            route,
            opening,
            deadline,
            user_agent=plan.keywords["user_agent_header"],
            kwds=self._kwds,
            given=self._given,
        ).open(sock=self._sock, path=self._path)
        try:
            connection._shake_hands(channel)
            opening.mark("handshake", monotonic())
        except BaseException:
            connection._abandon()
            channel.close()
            raise
        return connection


def connect(
    uri: str,
    *,
    sock: socket.socket | None = None,
    ssl: tls.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    origin: str | None = None,
    extensions: Sequence[ClientExtensionFactory] | None = None,
    subprotocols: Sequence[str] | None = None,
    compression: str | None = "deflate",
    additional_headers: HeadersLike | Callable[[], HeadersLike] | None = None,
    extra_headers: HeadersLike | Callable[[], HeadersLike] | None = None,
    user_agent_header: str | None = USER_AGENT,
    proxy: Proxy | str | bool | None = True,
    proxy_ssl: tls.SSLContext | bool | None = None,
    proxy_server_hostname: str | None = None,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 2**5,
    read_limit: int = 2**16,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ClientConnection] | None = None,
    create_protocol: Callable[..., ClientConnection] | None = None,
    on_open: Callable[[ClientConnection], Any] | None = None,
    legacy: bool | None = None,
    **kwds: Any,
) -> ClientConnection:
    """
    Connect to a WebSocket server.

    The connection closes itself at the end of a block, or when it is told to::

        with connect(uri) as ws:
            ...

        ws = connect(uri)               # then call ws.close()

    Args:
        uri: ``ws://`` or ``wss://`` address; a user name and password in it are sent
            as HTTP Basic credentials.
        sock: a connected socket to use.
        ssl: TLS context for ``wss``; by default one that checks certificates.
        server_hostname: name that the certificate must have, instead of the URI's.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        compression: ``"deflate"`` offers permessage-deflate (RFC 7692); None does not.
        additional_headers: further headers of the request: a mapping, pairs, or
            `Headers`; or a function that returns these, which is called for each
            attempt, so that tokens are fresh; also ``extra_headers``.
        user_agent_header: value of ``User-Agent``; None or ``""`` for none.
        proxy: address of a proxy, such as ``http://user:password@proxy:3128``, with the
            scheme http, https, socks4, socks4a, socks5 or socks5h.  SOCKS needs the
            extra ``socks``.  None is for no proxy.  True takes the one of the
            environment (``https_proxy``, ``all_proxy`` and others, less ``no_proxy``),
            but never for loopback and link-local hosts.
        proxy_ssl: TLS context for an ``https`` proxy.
        proxy_server_hostname: name that its certificate must have.
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
        logger: where to log; by default the logger ``fullduplex.client``.
        create_connection: `ClientConnection`, a subclass, or what returns one when
            called with keyword arguments; also ``create_protocol``.
        on_open: called with each new connection before it is returned: the place to
            log in and to subscribe.  When it raises, the connection is closed with
            1011, and opening has failed.
        legacy: False returns a `reconnect` object instead.
        **kwds: ``host`` and ``port``, or both as ``address``, replace those of the URI.
            ``source_address`` is a pair (host, port) of our own.  ``all_errors`` raises
            the errors of all addresses as a group.  ``happy_eyeballs_delay`` is the
            number of seconds until the next address is tried beside the others; None
            tries one after the other.

    Raises:
        InvalidURI: `uri` is no WebSocket address.
        TypeError: an argument has the wrong type or name.
        ValueError: an argument is out of range.
        OSError: TCP or TLS failed.
        InvalidHandshake: the server refused, or answered something else.
        TimeoutError: it took longer than ``open_timeout``.

    After any of these, and after Ctrl-C, nothing is left open.
    """
    given = {**locals(), **kwds}
    del given["kwds"], given["legacy"]
    if legacy is False:
        return reconnect(**given)  # type: ignore[return-value]
    return _call("connect", **given).connect()


def _call(
    function: str, uri: str, *, path: PathLike | None = None, **given: Any
) -> _Call:
    """Divide what was given into what is known here and what is passed on."""
    known = _own_keywords()
    keywords = {name: given.pop(name) for name in list(given) if name in known}
    return _Call(function, uri, given, path=path, **keywords)


class reconnect:
    """
    Connect to a WebSocket server, again and again.

    Iterate over it for connections without end; each of them is closed before the
    next one is made, and after a failure there is a growing delay::

        for ws in reconnect(uri):
            try:
                for message in ws:
                    ...
            except fullduplex.ConnectionClosed:
                continue

    As a context manager, it connects once.

    Args:
        uri: as for `connect`, as are all others.
        process_exception: tells whether reconnecting makes sense after an exception:
            returns None to try again, or the exception to raise.
        reconnect_delays: `Backoff`, or what returns an iterator over the seconds to
            wait after each failure in a row.  By default a `Backoff` made of the
            class attributes ``BACKOFF_INITIAL``, ``BACKOFF_MIN``, ``BACKOFF_MAX`` and
            ``BACKOFF_FACTOR``.
        on_state: called with each `StateChange` of state while reconnecting.

    Raises:
        InvalidURI, TypeError, ValueError: as `connect`, from the call; all others
            come from the block or the iterator.
    """

    #: seconds; see `Backoff`
    BACKOFF_INITIAL = BACKOFF_INITIAL_DELAY
    BACKOFF_MIN = BACKOFF_MIN_DELAY
    BACKOFF_MAX = BACKOFF_MAX_DELAY
    BACKOFF_FACTOR = BACKOFF_FACTOR

    def __init__(
        self,
        uri: str,
        *,
        process_exception: Callable[[Exception], Exception | None] = decide,
        reconnect_delays: Backoff | Callable[[], Iterator[float]] | None = None,
        on_state: Callable[[StateChange], Any] | None = None,
        **kwds: Any,
    ) -> None:
        check_functions(
            {
                "process_exception": process_exception,
                "reconnect_delays": reconnect_delays,
                "on_state": on_state,
            }
        )
        self._call = _call("reconnect", uri, **kwds)
        self.process_exception = process_exception
        self.reconnect_delays = reconnect_delays
        self.logger = self._call.logger
        self._on_state = on_state

    #: tells which failures may pass; may be set
    process_exception: Callable[[Exception], Exception | None]
    #: as it was given; what is set counts for the next loop
    reconnect_delays: Backoff | Callable[[], Iterator[float]] | None
    #: where reconnecting is logged; may be set
    logger: LoggerLike
    #: the latest connection; None before the first
    connection: ClientConnection | None = None
    _entered: ClientConnection | None = None

    def connect(self) -> ClientConnection:
        """Connect once; a block and a loop call this."""
        self.connection = self._call.connect()
        return self.connection

    def __enter__(self) -> ClientConnection:
        if self._entered is not None:
            raise RuntimeError("reconnect() is in use by another block already")
        self._entered = self.connection = connection = self.connect()
        try:
            return connection.__enter__()
        except BaseException:
            # A subclass's; nobody else will leave the block.
            self._entered = None
            connection.close(1011)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._entered = self._entered, None
        assert connection is not None
        connection.__exit__(exc_type, exc, traceback)

    def __iter__(self) -> Iterator[ClientConnection]:
        again = Reconnector(
            delays_from(self.reconnect_delays, self),
            lambda exc: self.process_exception(exc),
            self.logger,
            self._on_state,
        )
        # A subclass may have made the methods of the block do more.
        block = overridden(self, "__enter__", ENTER) or overridden(
            self, "__exit__", EXIT
        )
        while True:
            delay: float | None
            again.connecting()
            try:
                entered = self.__enter__() if block else self.connect()
            except Exception as exc:
                delay = again.failed(exc, time())
            else:
                again.opened(monotonic())
                connection: Any = entered
                if not isinstance(entered, ClientConnection):
                    connection = self.connection
                try:
                    yield entered
                except GeneratorExit:
                    # The loop was left, by `break` or by an exception: nobody can
                    # tell which, and 1001 is true of both.
                    connection.close(1001)
                    if block:
                        self.__exit__(None, None, None)
                    raise
                done = connection.open
                try:
                    if block:
                        self.__exit__(None, None, None)
                    connection.close()
                except Exception as exc:
                    delay = again.failed(exc, time())
                else:
                    delay = again.ended(
                        connection._session.protocol, monotonic(), done=done
                    )
            if delay is not None:
                sleep(delay)


# As they are defined; programs may patch the class.
ENTER, EXIT = reconnect.__enter__, reconnect.__exit__


def unix_connect(
    path: PathLike | None = None, uri: str | None = None, **kwds: Any
) -> ClientConnection:
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
    given = _unix("unix_connect", path, uri, kwds)
    if given.pop("legacy", None) is False:
        return reconnect(**given)  # type: ignore[return-value]
    return _call("unix_connect", **given).connect()


class unix_reconnect(reconnect):
    """
    Connect to a WebSocket server on a Unix socket, again and again.

    Args:
        path: as for `unix_connect`, as is ``uri``.
        **kwds: as for `reconnect`.
    """

    def __init__(
        self, path: PathLike | None = None, uri: str | None = None, **kwds: Any
    ) -> None:
        super().__init__(**_unix("unix_reconnect", path, uri, kwds))


def _unix(
    function: str, path: PathLike | None, uri: str | None, kwds: dict[str, Any]
) -> dict[str, Any]:
    if (path is None) == (kwds.get("sock") is None):
        raise ValueError("give either path or sock")
    for name in CONNECTION_KEYWORDS:
        if name in kwds:
            raise TypeError(f"{function}() takes no {name}")
    if uri is None:
        uri = "ws://localhost/" if kwds.get("ssl") is None else "wss://localhost/"
    return {**kwds, "uri": uri, "path": path}


def _own_keywords() -> frozenset[str]:
    """The names of `connect`'s own parameters, to suggest for a typo."""
    return frozenset(keyword_names(connect)) - {"legacy"}


def _signatures() -> None:
    """Tell what the other three take: more, and what `connect` takes."""
    uri, *others = inspect.signature(connect).parameters.values()
    own = [item for item in others if item.name not in ("legacy", "kwds")]
    kwds = others[-1]
    path = inspect.Parameter(
        "path", uri.kind, default=None, annotation="PathLike | None"
    )
    uri = uri.replace(default=None, annotation="str | None")
    more = [
        item
        for item in inspect.signature(reconnect).parameters.values()
        if item.kind is item.KEYWORD_ONLY
    ]
    made: Any
    for made, parameters in (
        (reconnect, [uri.replace(default=uri.empty), *own, *more, kwds]),
        (unix_connect, [path, uri, *others]),
        (unix_reconnect, [path, uri, *own, *more, kwds]),
    ):
        made.__signature__ = inspect.Signature(parameters)


_signatures()
