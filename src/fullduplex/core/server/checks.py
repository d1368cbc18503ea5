"""Checks of a request (RFC 6455, 4.2) that subclasses may override."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from ..connection.base import BaseConnection
from ..connection.overrides import SERVER_STEPS, overridden, refuse_overrides
from ..endpoint.frame_protocol import Side
from ..extensions.base import ServerExtensionFactory
from ..frames.frame import Extension
from ..handshake.errors import AbortHandshake
from ..handshake.negotiation import (
    OriginRule,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
)
from ..handshake.server import ServerHandshake
from ..http.dates import http_date
from ..http.headers import Headers
from ..http.messages import Request, Response
from ..typing import StatusLike, Subprotocol
from .config import ServerSettings
from .hooks import HookError, as_response, call_hook

# Result of a handshake: extensions and subprotocol.
Negotiated = tuple[list[Extension], str | None]

# Methods that programs override: the ones that the judge calls, and all.
JUDGED = ("process_origin", "process_extensions", "process_subprotocol")
STEPS = (*JUDGED, "process_request", "select_subprotocol")
steps_of = operator.attrgetter(*STEPS)


class Judging(BaseConnection):
    """The part of a server's connection that judges requests."""

    side = Side.SERVER

    #: value of ``Origin``; None if there was none
    origin: str | None = None
    #: user name of HTTP Basic authentication; None without
    username: str | None = None

    _settings: ServerSettings

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

    def _judge(self, request: Request, now: float) -> tuple[Response, Negotiated]:
        """Decide on a request."""
        judge = self._make_judge()
        response = judge.accept(request, now_date=http_date(now))
        self.origin = judge.origin
        exc = judge.exception
        if exc is None:
            try:
                extra = call_hook(
                    "extra_headers", self._settings.extra_headers_for, request
                )
                if extra is not None:
                    response.headers.update(extra)
                return response, (judge.extensions, judge.subprotocol)
            except Exception as error:
                exc = error
                response = self._server_error(now)
        return self._refusal(exc, response)

    def _judge_unseen(
        self, request: Request, now: float
    ) -> tuple[Response | bytes, Negotiated]:
        """Decide on a request where nobody looks at the response if it is accepted."""
        if self._settings.extra_headers is not None:
            return self._judge(request, now)
        judge = self._make_judge()
        response = judge.accept_bytes(request, now_date=http_date(now))
        self.origin = judge.origin
        if isinstance(response, bytes):
            return response, (judge.extensions, judge.subprotocol)
        assert judge.exception is not None
        return self._refusal(judge.exception, response)

    def _refusal(
        self, exc: Exception, response: Response
    ) -> tuple[Response, Negotiated]:
        """Log why a request is refused; returns the answer."""
        if isinstance(exc, AbortHandshake):
            answer = as_response("hook", (exc.status, exc.headers, exc.body))
            assert answer is not None
            response = answer
        elif response.status_code == 500:
            self._log_failure(exc)
        else:
            self.logger.debug("! invalid handshake", exc_info=exc)
        return response, ([], None)

    def _make_judge(self) -> ServerHandshake:
        settings = self._settings
        if settings.select_subprotocol is None and self._unchanged():
            return settings.judge
        steps: dict[str, Any] = {
            name: getattr(self, name) for name in JUDGED if self._overrides(name)
        }
        own_select = self._overrides("select_subprotocol")
        if not (steps or own_select or settings.select_subprotocol):
            return settings.judge
        if settings.select_subprotocol is not None or own_select:
            steps["process_subprotocol"] = self.process_subprotocol
        for name, step in steps.items():
            steps[name] = functools.partial(call_hook, name, step)
        return settings.make_judge(**steps)

    def _unavailable(self, text: str, now: float, retry_after: int = 0) -> Response:
        response = self._respond(HTTPStatus.SERVICE_UNAVAILABLE, text, now)
        if retry_after:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def _server_error(self, now: float) -> Response:
        return self._respond(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Cannot open a WebSocket connection: the server failed.\n",
            now,
        )

    def _respond(self, status: StatusLike, text: str, now: float) -> Response:
        judge = self._settings.judge
        return judge.reject(int(status), text, now_date=http_date(now))

    def _log_failure(self, exc: Exception) -> None:
        if isinstance(exc, HookError):
            self.logger.error("%s failed", exc.hook, exc_info=exc.__cause__)
        else:
            self.logger.error("opening handshake failed", exc_info=exc)

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
