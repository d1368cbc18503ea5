"""Arguments of a `connect` call, checked when it is made, and the next address.

No face repeats these checks, nor the changes of the request along redirects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ..arguments import callable_or_none, check_seconds, keyword_names, one_of
from ..diagnostics.connect_trace import ConnectTrace
from ..diagnostics.diagnosis import blame
from ..endpoint.options import Options
from ..extensions.base import ClientExtensionFactory
from ..extensions.permessage_deflate import (
    enable_client_permessage_deflate,
    wants_deflate,
)
from ..handshake.errors import InvalidStatus
from ..handshake.request_template import RequestTemplate, check_extensions
from ..http.headers import Headers, HeadersLike
from ..http.messages import USER_AGENT
from ..uri import WebSocketURI, parse_uri
from .proxy.address import Proxy, Route, check_proxy, check_proxy_tls
from .proxy.selection import select_proxy, system_proxies
from .redirects import follow_redirect, without_headers

# Argument that replaces the URI's own host and port.
Elsewhere = Literal["address", "sock", "unix"] | None


class ConnectConfig(NamedTuple):
    """Arguments of a `connect` call, once they are checked."""

    uri: WebSocketURI
    options: Options
    proxy: Proxy | bool
    open_timeout: float | None
    draft: RequestTemplate
    headers_factory: Callable[[], Any] | None
    # Arguments for the connection's class.
    keywords: dict[str, Any]


class ConnectPlan:
    """
    One `connect` call: what to offer, which limits hold, and where to go next.

    Args:
        uri: where to connect to.
        keywords: the parameters of `connect`, of which the plan takes its own; see
            there.
        elsewhere: the argument that replaces the URI's host and port.

    Raises:
        InvalidURI: `uri` is no WebSocket address.
        TypeError: a parameter has the wrong type.
        ValueError: a parameter is out of range, or cannot be sent.
    """

    #: names of the parameters
    PARAMETERS: tuple[str, ...]

    __slots__ = (
        "_dropped",
        "_elsewhere",
        "draft",
        "headers_factory",
        "keywords",
        "open_timeout",
        "options",
        "proxy",
        "trail",
        "uri",
    )

    def __init__(
        self, uri: str, keywords: Mapping[str, Any], *, elsewhere: Elsewhere = None
    ) -> None:
        keywords = {
            name: keywords[name] for name in self.PARAMETERS if name in keywords
        }
        #: URIs of this attempt, from the first one along redirects
        self.trail: list[WebSocketURI] = []
        self._elsewhere = elsewhere
        self._dropped: frozenset[str] = frozenset()
        # The logger does not take part in the key of the cache.
        plain = {**keywords, "logger": None}
        terms = _recall(uri, plain) or _agree(uri, **plain)
        #: where the next attempt goes
        self.uri = terms.uri
        self.options = terms.options
        #: a proxy; True to look for one; False for none
        self.proxy = terms.proxy
        self.open_timeout = terms.open_timeout
        #: the request to `uri`
        self.draft = terms.draft
        #: to be called for the headers of each attempt; None if they stay the same
        self.headers_factory = terms.headers_factory
        #: keyword arguments for the connection's class
        self.keywords = terms.keywords.copy()
        self.keywords["logger"] = keywords.get("logger")
        if self.keywords["extensions"] is not None:
            # Each call has its own list.
            self.keywords["extensions"] = list(self.keywords["extensions"])

    def set_headers(self, headers: HeadersLike | None) -> None:
        """
        Take the headers that `headers_factory` returned for this attempt.

        Raises:
            TypeError, ValueError: they cannot be sent.
        """
        self.keywords["extra_headers"] = without_headers(headers, self._dropped)
        self._draw_up()

    def _draw_up(self) -> None:
        """Draft the request anew, because what goes into it has changed."""
        given = self.keywords
        self.draft = RequestTemplate(
            self.uri,
            origin=given["origin"],
            extensions=given["extensions"],
            subprotocols=given["subprotocols"],
            extra_headers=given["extra_headers"],
            user_agent=given["user_agent_header"],
        )

    def begin(self) -> None:
        """Note that a new attempt begins, with its own count of redirects."""
        self.trail = [self.uri]

    def check_tls(self, kwds: dict[str, Any], context: type) -> None:
        """
        Check the arguments of TLS against the schemes of the URI and the proxy.

        Args:
            kwds: keyword arguments of `connect`.
            context: the class of TLS contexts.

        Raises:
            TypeError: one of them has the wrong type.
            ValueError: they contradict a scheme.
        """
        check_tls(self.uri, kwds, context)
        if isinstance(self.proxy, Proxy):
            check_proxy_tls(self.proxy, kwds)

    def new_connection(
        self,
        create: Callable[..., Any],
        default: Callable[..., Any],
        kwds: Mapping[str, Any],
        opening: ConnectTrace,
    ) -> tuple[Any, Route]:
        """
        Make the connection of an attempt and its request, and choose its route.

        Args:
            create: the class of connections.
            default: the face's own class, whose request is known; another one may
                offer something else.
            kwds: arguments of `connect` that the plan does not take.

        Raises:
            InvalidProxy: the environment has a proxy that can't be used.
        """
        uri = self.uri
        connection = create(
            **self.keywords, host=uri.host, port=uri.port, secure=uri.secure
        )
        connection.opening = opening
        connection._start_handshake(uri, self.draft if create is default else None)
        host, port = kwds.get("host"), kwds.get("port")
        route = self.route(host, port)
        opening.use_proxy(str(route.proxy) if route.proxy else None, route.reason)
        connection._log_event(*route.record(host or uri.host, port or uri.port))
        return connection, route

    def route(self, host: str | None = None, port: int | None = None) -> Route:
        """
        Choose how to reach `uri`, which a redirect may have changed.

        Args:
            host: the host that the caller gave instead of the URI's.
            port: likewise.

        Raises:
            InvalidProxy: the environment has a proxy that can't be used.
        """
        if self._elsewhere in ("sock", "unix"):
            return Route(None, "a socket is given")
        return select_proxy(
            self.uri, self.proxy, host=host, port=port, system=system_proxies
        )

    def redirected(self, exc: InvalidStatus) -> bool:
        """
        Tell whether to try again, at the new `uri`, after a response that is not 101.

        Raises:
            InvalidURI, InvalidHeader, SecurityError, ValueError: it is a redirect
                that must not or cannot be followed.
        """
        redirect = follow_redirect(
            self.trail,
            exc.response,
            has_address=self._elsewhere == "address",
            has_sock=self._elsewhere == "sock",
            is_unix=self._elsewhere == "unix",
        )
        if redirect is None:
            return False
        self.trail.append(redirect.uri)
        self.uri = redirect.uri
        if redirect.drop_headers:
            self._dropped |= redirect.drop_headers
            self.keywords["extra_headers"] = without_headers(
                self.keywords["extra_headers"], redirect.drop_headers
            )
        self._draw_up()
        return True

    def timed_out(self, opening: ConnectTrace) -> Exception:
        """
        Make the error that says that opening took too long, and at what.

        A server or proxy that has refused is told apart: its verdict counts, and only
        its body took too long.
        """
        error: Exception = TimeoutError(
            f"timed out {opening.doing}; open_timeout is {self.open_timeout:g} s"
        )
        if opening.refusal is not None:
            error = opening.refusal(error)
        self.failed(error, opening)
        return error

    def failed(self, exc: Exception, opening: ConnectTrace) -> None:
        """Let an error tell how far opening came; it gets a ``diagnosis``."""
        blame(exc, opening)


def _agree(
    uri: str,
    *,
    origin: str | None = None,
    extensions: Sequence[ClientExtensionFactory] | None = None,
    subprotocols: Sequence[str] | None = None,
    compression: str | None = "deflate",
    extra_headers: HeadersLike | Callable[[], Any] | None = None,
    additional_headers: HeadersLike | Callable[[], Any] | None = None,
    user_agent_header: str | None = USER_AGENT,
    open_timeout: float | None = 10,
    proxy: Proxy | str | bool | None = True,
    logger: None = None,
    **limits: Any,
) -> ConnectConfig:
    """Check everything; what no request can be made of is refused here."""
    where = parse_uri(uri)
    chosen = check_proxy(proxy)
    open_timeout = check_seconds("open_timeout", open_timeout, past=True)
    options = Options.check(**limits)
    check_extensions(extensions)
    if wants_deflate(compression):
        extensions = enable_client_permessage_deflate(extensions)
    given = one_of(
        "extra_headers", extra_headers, "additional_headers", additional_headers
    )
    ask = headers = None
    if callable(given) and not isinstance(given, Mapping):
        ask = given
    elif given is not None:
        # A copy: an iterator would be used up by the first attempt.
        headers = Headers(given)
    draft = RequestTemplate(
        where,
        origin=origin,
        extensions=extensions,
        subprotocols=subprotocols,
        extra_headers=headers,
        user_agent=user_agent_header,
    )
    keywords = {
        **limits,
        "origin": origin,
        "extensions": extensions,
        "subprotocols": subprotocols,
        "extra_headers": headers,
        "user_agent_header": user_agent_header,
    }
    return ConnectConfig(where, options, chosen, open_timeout, draft, ask, keywords)


ConnectPlan.PARAMETERS = (*keyword_names(_agree), *keyword_names(Options.check))

# Parameters of `connect` that are functions.
FUNCTIONS = (
    "create_protocol",
    "create_connection",
    "process_exception",
    "reconnect_delays",
    "on_open",
    "on_state",
)


def check_functions(given: Mapping[str, Any]) -> None:
    """
    Refuse what can't be called, among the parameters of `connect`.

    Raises:
        TypeError: naming the parameter.
    """
    for name in FUNCTIONS:
        callable_or_none(name, given.get(name))


def find_elsewhere(
    kwds: Mapping[str, Any], path: Any, name: str, sock: Any
) -> Elsewhere:
    """
    Tell which argument replaces the URI's host and port.

    Args:
        kwds: keyword arguments, which may have ``host`` and ``port``.
        path: of a Unix socket, or None.
        name: the parameter that takes an open socket or stream.
        sock: its value, or None.

    Raises:
        ValueError: there are two.
    """
    has_address = "host" in kwds or "port" in kwds
    if sock is not None:
        if has_address:
            raise ValueError(f"{name} is given, so host and port must not be")
        return "sock"
    if path is not None:
        return "unix"
    return "address" if has_address else None


# Values that never change, and mean the same in another call.
PLAIN = frozenset({bool, float, int, str, type(None)})


def _recall(uri: str, keywords: dict[str, Any]) -> ConnectConfig | None:
    """Return terms that were checked before, or now; None if they are not kept."""
    values = tuple(keywords.values())
    if type(uri) is not str or not PLAIN.issuperset(map(type, values)):
        return None
    if "@" in uri or isinstance(keywords.get("proxy"), str):
        return None  # secrets are not kept
    return _remembered(uri, tuple(keywords), *values)


# Programs connect to few addresses in few ways, often.
@lru_cache(maxsize=64, typed=True)
def _remembered(uri: str, names: tuple[str, ...], *values: Any) -> ConnectConfig:
    return _agree(uri, **dict(zip(names, values, strict=True)))


def check_tls(uri: WebSocketURI, kwds: dict[str, Any], context: type) -> None:
    """
    Check ``ssl`` and ``server_hostname`` against the scheme of the URI.

    Args:
        kwds: keyword arguments of `connect`.
        context: the class of TLS contexts.

    Raises:
        TypeError: ``ssl`` is neither a context nor True.
        ValueError: they contradict the scheme.
    """
    given = kwds.get("ssl")
    if uri.secure:
        if given is None and "ssl" in kwds:
            raise ValueError("ssl is None, but the URI begins with wss://")
        if not isinstance(given, (bool, context, type(None))):
            raise TypeError(
                f"ssl must be an SSLContext or True, not {type(given).__name__}"
            )
        if given is False:
            raise ValueError("ssl is False, but the URI begins with wss://")
    elif given is not None:
        raise ValueError("ssl is given, but the URI begins with ws://; use wss://")
    elif kwds.get("server_hostname") is not None:
        raise ValueError("server_hostname is given, but the URI begins with ws://")
