"""Base of the server connections of all faces: steps to override, and the handler.

The steps of the handshake (RFC 6455, 4.2) are methods that programs override.  A
request is answered at once where no step that may have to wait is overridden, see
`HandshakeResponder`.
"""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..connection.base import BaseConnection
from ..connection.overrides import SERVER_STEPS, overridden, refuse_overrides
from ..connection.websockets_names import fallback
from ..diagnostics.connect_trace import show_address
from ..endpoint.frame_protocol import Side
from ..extensions.base import ServerExtensionFactory
from ..frames.close import ConnectionClosedOK, State
from ..handshake.negotiation import (
    OriginRule,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
)
from ..handshake.server import ServerHandshake
from ..http.headers import Headers
from ..typing import Subprotocol
from .base import BaseServer
from .config import ServerSettings
from .hooks import call_hook, only_closed
from .responder import ABORT, HandshakeResponder, HandshakeResult

# Methods that programs override: the ones that the checks call, and all.
CHECKS = ("process_origin", "process_extensions", "process_subprotocol")
STEPS = (*CHECKS, "process_request", "select_subprotocol")
steps_of = operator.attrgetter(*STEPS)


class BaseServerConnection(BaseConnection):
    """
    Base of the server connections of all faces.

    Args:
        ws_handler: called with the connection once it is open.
        ws_server: the server that accepted it.
        **kwds: parameters of `serve` that concern connections.
    """

    side = Side.SERVER

    #: called with the connection once it is open
    ws_handler: Any
    #: value of ``Origin``; None if there was none
    origin: str | None = None
    #: user name of HTTP Basic authentication; None without
    username: str | None = None

    _settings: ServerSettings
    # The server, and what the connection has until its request is answered.
    _server: BaseServer[Any]
    _responder: HandshakeResponder | None
    # Limits by which it was let in, or refused; defaults on the class keep instances
    # small.
    _admitted_as: str | None = None
    _refused_by: str | None = None

    # The steps of the class of a face, as they were defined.
    _defaults: dict[str, Any] = {}  # noqa: RUF012
    _usual: tuple[Any, ...] | None = None

    def __init_subclass__(cls, *, face: bool = False, **kwds: Any) -> None:
        """
        Learn which steps there are to override.

        Args:
            face: whether it is the class of a face, whose steps are the default.

        Raises:
            TypeError: it overrides a step of older libraries, which nothing calls.
        """
        super().__init_subclass__(**kwds)
        if face:
            cls._defaults = {name: getattr(cls, name) for name in STEPS}
            cls._usual = steps_of(cls)
        if cls._defaults:
            refuse_overrides(cls, SERVER_STEPS)

    def __init__(
        self, ws_handler: Callable[[Any], Any], ws_server: Any, **kwds: Any
    ) -> None:
        settings: ServerSettings = ws_server.settings
        # Each value is compared by identity first, so this is fast.
        if kwds != settings.keywords:
            settings = ServerSettings(kwds, settings.logger)
        # This is the constructor of the face.
        super().__init__(settings.options, settings.logger)  # type: ignore[call-arg]
        self.ws_handler = ws_handler
        self._server = ws_server
        self._settings = settings
        self._responder = HandshakeResponder(settings, ws_server)

    @fallback
    def server(self) -> Any:
        """The server that accepted the connection."""
        return self._server

    # Steps that programs override

    def process_request(self, path: str, request_headers: Headers) -> Any:
        """Override to answer plain HTTP, or to check requests."""
        raise NotImplementedError

    def select_subprotocol(
        self, client_subprotocols: Sequence[str], server_subprotocols: Sequence[str]
    ) -> str | None:
        """
        Override to choose a subprotocol; called if neither list is empty.

        By default this calls the function that was given to `serve`, or takes the
        server's first one that the client offers too.
        """
        hook = self._settings.select_subprotocol
        client, server = list(client_subprotocols), list(server_subprotocols)
        if hook is not None:
            return hook(self, client, server)
        return next((name for name in server if name in client), None)

    #: overridable step: ``(headers, origins) -> origin``
    process_origin = staticmethod(process_origin)
    #: overridable step: ``(headers, factories) -> (header value, extensions)``
    process_extensions = staticmethod(process_server_extensions)

    def process_subprotocol(
        self, headers: Headers, available_subprotocols: Sequence[str] | None
    ) -> Subprotocol | None:
        """Override to read and choose a subprotocol."""
        available = list(available_subprotocols or ())
        if self._overrides("select_subprotocol"):

            def select(offered: list[Subprotocol]) -> str | None:
                if not offered or not available:
                    return None
                return call_hook(
                    "select_subprotocol", self.select_subprotocol, offered, available
                )

            return process_server_subprotocol(headers, available, select)
        hook = self._settings.select_subprotocol
        if hook is None:
            return process_server_subprotocol(headers, available)
        return process_server_subprotocol(
            headers,
            available,
            lambda offered: call_hook(
                "select_subprotocol", hook, self, offered, available
            ),
        )

    def _unchanged(self) -> bool:
        """Whether all steps are those of the class of a face; asked most, so fast."""
        own = self._usual
        return own is None or (
            steps_of(type(self)) == own and vars(self).keys().isdisjoint(STEPS)
        )

    def _overrides(self, name: str) -> bool:
        """Whether a step is a subclass's, a patch, or an attribute of this object."""
        own = self._defaults.get(name)
        return own is not None and overridden(self, name, own)

    def _make_handshake(self, settings: ServerSettings) -> ServerHandshake:
        """Return the checks of a request, with the steps that were overridden."""
        if settings.select_subprotocol is None and self._unchanged():
            return settings.handshake
        steps: dict[str, Any] = {
            name: getattr(self, name) for name in CHECKS if self._overrides(name)
        }
        own_select = self._overrides("select_subprotocol")
        if not (steps or own_select or settings.select_subprotocol):
            return settings.handshake
        if settings.select_subprotocol is not None or own_select:
            steps["process_subprotocol"] = self.process_subprotocol
        for name, step in steps.items():
            steps[name] = functools.partial(call_hook, name, step)
        return settings.make_handshake(**steps)

    # Until the connection is open

    def _drop_responder(self) -> None:
        """Free what only a request needs, where none is answered any more."""
        self._responder = None

    def _client_gone(self) -> bool:
        """Whether nobody is there any more to be answered."""
        return self._tcp_ended()

    def _shut_out(self, date: float) -> HandshakeResult:
        """Answer a client that has not sent a whole request when the server closes."""
        responder = self._responder
        return ABORT if responder is None else responder.shut_out(self, date)

    def _timed_out(self, *, hooks: bool) -> None:
        """
        Log that ``open_timeout`` is over; the client gets no answer.

        Args:
            hooks: whether it was spent in hooks of the application.
        """
        timeout = self._settings.open_timeout
        if hooks:
            self.logger.error(
                "process_request or process_response took longer than %s s "
                "(open_timeout)",
                timeout,
            )
        else:
            self.logger.debug("! no request within %s s (open_timeout)", timeout)

    def _tls_failed(self, peer: Any, exc: BaseException) -> None:
        """
        Log at INFO that the TLS handshake of a client has failed.

        It is no WARNING: port scanners cause it too.

        Args:
            peer: address of the client; None if that is not known.
        """
        name = show_address(peer) if peer else "a client"
        text = str(exc) or type(exc).__name__
        self._log_event(logging.INFO, "TLS handshake with %s failed: %s", name, text)

    def _known(self, part: Any, name: str) -> Any:
        # The request is known to hooks already.
        if part is None:
            raise AttributeError(f"{name} is not known before the request is complete")
        return part

    # The handler

    def _returned(self) -> tuple[int, str]:
        """Note that the handler has returned; returns what to close with."""
        if self.open:
            self._log_event(logging.DEBUG, "handler returned; closing")
        return 1000, ""

    def _failed(self, exc: Exception) -> tuple[int, str]:
        """Log what the handler raised; returns what to close with."""
        # A ConnectionClosed while this connection is open is another one's, such
        # as that of a client that the handler runs: nobody has noticed it yet.
        if self.state is State.OPEN or not only_closed(exc):
            self.logger.error("connection handler failed", exc_info=exc)
        elif isinstance(exc, ConnectionClosedOK):
            self._log_event(logging.DEBUG, "handler ended: %s", exc)
        else:
            self._log_event(logging.INFO, "handler ended: %s", exc)
        return 1011, ""

    def _cancelled(self) -> tuple[int, str]:
        """Return what to close with when the handler was cancelled."""
        return self._server._closing_with or (1011, "")

    def _describe(self) -> str:
        """Name the handler and its client, for the log."""
        handler: Any = self.ws_handler
        while isinstance(handler, functools.partial):
            handler = handler.func
        name = getattr(handler, "__qualname__", type(handler).__name__)
        path = "?" if self.request is None else self.request.path
        return f"{name} with path {path[:64]!r} from {self.remote_address}"

    # Attributes

    @property
    def origins(self) -> Sequence[OriginRule] | None:
        """Origins that are admitted; None for all."""
        return self._settings.origins

    @property
    def available_extensions(self) -> Sequence[ServerExtensionFactory] | None:
        """Extensions that the server supports."""
        return self._settings.extensions

    @property
    def available_subprotocols(self) -> Sequence[str] | None:
        """Subprotocols that the server supports."""
        return self._settings.subprotocols

    @property
    def extra_headers(self) -> Any:
        """Headers that are added to the response 101."""
        return self._settings.extra_headers

    @property
    def server_header(self) -> str | None:
        """Value of ``Server``."""
        return self._settings.server_header
