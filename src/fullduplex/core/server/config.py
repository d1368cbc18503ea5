"""Arguments of a `serve` call, checked when it is made; as `core.client.plan`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..arguments import check_seconds, keyword_names, one_of
from ..endpoint.options import Options
from ..errors import InvalidHandshake
from ..extensions.base import ServerExtensionFactory
from ..extensions.permessage_deflate import (
    enable_server_permessage_deflate,
    wants_deflate,
)
from ..handshake.negotiation import OriginRule
from ..handshake.server import ServerHandshake, check_extensions
from ..http.headers import Headers, HeadersLike
from ..http.messages import SERVER, Request
from ..typing import LoggerLike
from .hook_forms import (
    adapt_handler,
    adapt_process_request,
    adapt_process_response,
    adapt_select_subprotocol,
)
from .limits import ConnectionLimits

ExtraHeaders = HeadersLike | Callable[[str, Headers], HeadersLike]

# Headers of the handshake itself; a second value would contradict the first.
OURS = (
    "Connection",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Upgrade",
)


class ServerSettings:
    """
    Limits, offers and hooks of a server's connections.

    Args:
        keywords: the parameters of `serve` that concern connections; see there.
        logger: where to log if `keywords` have none.

    Raises:
        TypeError: a parameter has the wrong type.
        ValueError: a parameter is out of range.
    """

    __slots__ = (
        "extensions",
        "extra_headers",
        "handshake",
        "keywords",
        "logger",
        "open_timeout",
        "options",
        "origins",
        "process_request",
        "process_response",
        "select_subprotocol",
        "server_header",
        "subprotocols",
    )

    def __init__(self, keywords: dict[str, Any], logger: LoggerLike) -> None:
        self.keywords = keywords
        self.logger = logger
        self._unpack(**keywords)

    def _unpack(
        self,
        *,
        origins: Sequence[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Any = None,
        process_request: Any = None,
        process_response: Any = None,
        extra_headers: ExtraHeaders | None = None,
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
        logger: LoggerLike | None = None,
        **limits: Any,
    ) -> None:
        self.options = Options.check(**limits)
        self.open_timeout = check_seconds("open_timeout", open_timeout)
        if logger is not None:
            self.logger = logger
        self.origins = without_empty(origins)
        self.extensions = extensions
        self.subprotocols = subprotocols
        self.server_header = server_header
        self.select_subprotocol = adapt_select_subprotocol(select_subprotocol)
        self.process_request = adapt_process_request(process_request)
        self.process_response = adapt_process_response(process_response)
        self.extra_headers: ExtraHeaders | None = extra_headers
        if extra_headers is not None and not callable(extra_headers):
            self.extra_headers = checked_headers(extra_headers)
        #: checks of all connections that have no steps of their own
        self.handshake = self.make_handshake()

    def make_handshake(self, **steps: Any) -> ServerHandshake:
        """Make the checks of requests; `steps` are arguments of `ServerHandshake`."""
        return ServerHandshake(
            origins=self.origins,
            extensions=self.extensions,
            subprotocols=self.subprotocols,
            server_header=self.server_header,
            **steps,
        )

    def extra_headers_for(self, request: Request) -> Headers | None:
        """
        Return the headers to add to the response 101.

        Raises whatever the application's function raises, and what `Headers` does.
        """
        extra = self.extra_headers
        if extra is None or isinstance(extra, Headers):
            return extra
        assert callable(extra)
        return checked_headers(extra(request.path, request.headers))


def enable_compression(
    compression: str | None, extensions: Sequence[ServerExtensionFactory] | None
) -> Sequence[ServerExtensionFactory] | None:
    """
    Return the extensions to support.

    Raises:
        TypeError: `extensions` has other things than factories.
        ValueError: `compression` is neither ``"deflate"`` nor None.
    """
    check_extensions(extensions)
    if wants_deflate(compression):
        return enable_server_permessage_deflate(extensions)
    return extensions


def without_empty(
    origins: Sequence[OriginRule] | None,
) -> Sequence[OriginRule] | None:
    """Replace ``""``, which once stood for requests without origin, by None."""
    if isinstance(origins, (list, tuple, set, frozenset)) and any(
        not isinstance(origin, re.Pattern) and origin == "" for origin in origins
    ):
        warnings.warn(
            "use None instead of '' in origins", DeprecationWarning, stacklevel=5
        )
        return [None if origin == "" else origin for origin in origins]
    return origins


def checked_headers(headers: HeadersLike | None) -> Headers:
    """
    Copy what the application wants to add to a response.

    Raises:
        ValueError: a header is one that the handshake sets.
        TypeError: these are no headers.
    """
    try:
        checked = Headers() if headers is None else Headers(headers)
    except (AttributeError, InvalidHandshake) as exc:
        raise ValueError(f"extra_headers cannot be sent: {exc}") from exc
    for name in OURS:
        if name in checked:
            raise ValueError(f"extra_headers has {name}, which the handshake sets")
    return checked


class ServeConfig:
    """
    One `serve` call: its handler, hooks and limits.

    Args:
        default: the face's own class of connections.
        logger: where to log.
        keywords: the parameters of `serve`, of which those that concern connections
            are taken; see there.

    Raises:
        TypeError: a parameter has the wrong type, or there is no handler.
        ValueError: a parameter is out of range.
    """

    #: names of the parameters
    PARAMETERS: tuple[str, ...]

    __slots__ = ("admission", "create", "handler", "settings")

    def __init__(
        self, default: Callable[..., Any], logger: LoggerLike, keywords: dict[str, Any]
    ) -> None:
        own = {name: keywords[name] for name in self.PARAMETERS if name in keywords}
        self._unpack(default, logger, **own)

    def _unpack(
        self,
        default: Callable[..., Any],
        log_to: LoggerLike,
        /,
        *,
        handler: Any = None,
        ws_handler: Any = None,
        create_protocol: Any = None,
        create_connection: Any = None,
        compression: str | None = "deflate",
        extensions: Any = None,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes_per_second: float | None = None,
        **settings: Any,
    ) -> None:
        handler = one_of("handler", handler, "ws_handler", ws_handler)
        if handler is None:
            raise TypeError("serve() needs a handler")
        given = one_of(
            "create_protocol", create_protocol, "create_connection", create_connection
        )
        if given is not None and not callable(given):
            raise TypeError(
                f"create_protocol must be a class, not {type(given).__name__}"
            )
        #: makes connections
        self.create: Callable[..., Any] = default if given is None else given
        settings["extensions"] = enable_compression(compression, extensions)
        #: settings shared by all connections
        self.settings = ServerSettings(settings, log_to)
        #: called with each connection that is open
        self.handler = adapt_handler(handler)
        #: the limits on clients
        self.admission = ConnectionLimits(
            max_connections=max_connections,
            max_connections_per_ip=max_connections_per_ip,
            max_handshakes_per_second=max_handshakes_per_second,
        )


ServeConfig.PARAMETERS = (
    *keyword_names(ServeConfig._unpack),
    *keyword_names(ServerSettings._unpack),
    *keyword_names(Options.check),
)
