"""What a `connect` call asks for, checked when it is made, and where it leads.

No face repeats these checks, nor what becomes of the request along redirects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from .datastructures import Headers, HeadersLike
from .errors import InvalidStatus
from .extensions.base import ClientExtensionFactory
from .extensions.permessage_deflate import enable_client_permessage_deflate
from .handshake.client import ClientHandshake, check_extensions
from .http1 import USER_AGENT
from .keywords import either
from .opening import Opening
from .options import Options, seconds
from .proxy import Proxy, Route, check_proxy, choose, system_proxies
from .redirects import follow_redirect, without_headers
from .typing import LoggerLike
from .uri import WebSocketURI, parse_uri

__all__ = ["Elsewhere", "Plan", "check_tls"]

# What the caller gave to connect to, instead of the URI's own host and port.
Elsewhere = Literal["address", "sock", "unix"] | None


class Plan:
    """
    One `connect` call: what to offer, which limits hold, and where to go next.

    Args:
        uri: where to connect to.
        keywords: the parameters of `connect` that concern connections; see there.
        elsewhere: what was given to connect to instead of the URI's host and port.

    Raises:
        InvalidURI: `uri` is no WebSocket address.
        TypeError: a parameter has the wrong type.
        ValueError: a parameter is out of range, or cannot be sent.
    """

    __slots__ = (
        "_dropped",
        "_elsewhere",
        "ask_headers",
        "keywords",
        "open_timeout",
        "options",
        "proxy",
        "trail",
        "uri",
    )

    def __init__(
        self, uri: str, keywords: dict[str, Any], *, elsewhere: Elsewhere = None
    ) -> None:
        #: where the next attempt goes
        self.uri: WebSocketURI = parse_uri(uri)
        #: URIs of this attempt, from the first one along redirects
        self.trail: list[WebSocketURI] = []
        self._elsewhere = elsewhere
        self._dropped: frozenset[str] = frozenset()
        #: to be called for the headers of each attempt; None if they stay the same
        self.ask_headers: Callable[[], Any] | None = None
        self._unpack(**keywords)

    def _unpack(
        self,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        extra_headers: HeadersLike | Callable[[], Any] | None = None,
        additional_headers: HeadersLike | Callable[[], Any] | None = None,
        user_agent_header: str | None = USER_AGENT,
        open_timeout: float | None = 10,
        logger: LoggerLike | None = None,
        proxy: Proxy | str | bool | None = True,
        **limits: Any,
    ) -> None:
        #: a proxy; True to look for one; False for none
        self.proxy = check_proxy(proxy)
        self.open_timeout = seconds("open_timeout", open_timeout, past=True)
        self.options = Options.check(**limits)
        check_extensions(extensions)
        if compression == "deflate":
            extensions = enable_client_permessage_deflate(extensions)
        elif compression is not None:
            raise ValueError(
                f"compression is {compression!r}; it must be 'deflate' or None"
            )
        headers = either(
            "extra_headers", extra_headers, "additional_headers", additional_headers
        )
        #: keyword arguments for the connection's class
        self.keywords: dict[str, Any] = {
            **limits,
            "origin": origin,
            "extensions": extensions,
            "subprotocols": subprotocols,
            "extra_headers": self._headers(headers),
            "user_agent_header": user_agent_header,
            "logger": logger,
        }
        # What no handshake could be made of is refused before a socket is opened.
        self.handshake()

    def _headers(self, given: HeadersLike | Callable[[], Any] | None) -> Headers | None:
        if callable(given) and not isinstance(given, Mapping):
            self.ask_headers = given
            return None
        # A copy: an iterator would be used up by the first attempt.
        return None if given is None else Headers(given)

    def supply(self, headers: HeadersLike | None) -> None:
        """
        Take the headers that `ask_headers` returned for this attempt.

        Raises:
            TypeError, ValueError: they cannot be sent.
        """
        self.keywords["extra_headers"] = without_headers(headers, self._dropped)
        self.handshake()

    def handshake(self, **steps: Callable[..., Any]) -> ClientHandshake:
        """Make the opening handshake for `uri`; `steps` as for `ClientHandshake`."""
        given = self.keywords
        return ClientHandshake(
            self.uri,
            origin=given["origin"],
            extensions=given["extensions"],
            subprotocols=given["subprotocols"],
            extra_headers=given["extra_headers"],
            user_agent=given["user_agent_header"],
            **steps,
        )

    def begin(self) -> None:
        """Note that a new attempt begins, with its own count of redirects."""
        self.trail = [self.uri]

    def route(self, host: str | None = None, port: int | None = None) -> Route:
        """
        Choose how to reach `uri`, which a redirect may have changed.

        Args:
            host: what the caller gave to connect to instead of the URI's host.
            port: likewise.

        Raises:
            InvalidProxy: the environment has a proxy that can't be used.
        """
        if self._elsewhere in ("sock", "unix"):
            return Route(None, "a socket is given")
        return choose(self.uri, self.proxy, host=host, port=port, system=system_proxies)

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
        return True

    def timed_out(self, opening: Opening) -> TimeoutError:
        """Make the error that says that opening took too long, and at what."""
        error = TimeoutError(
            f"timed out {opening.doing}; open_timeout is {self.open_timeout:g} s"
        )
        self.failed(error, opening)
        return error

    def failed(self, exc: Exception, opening: Opening) -> None:
        """Let an error tell how far opening came; it gets a ``diagnosis``."""
        from .diagnosis import blame  # which most programs never need

        blame(exc, opening)


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
