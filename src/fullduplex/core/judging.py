"""Whom a server lets in: the steps that programs may override, and the verdict."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from .datastructures import Headers
from .dates import http_date
from .errors import AbortHandshake
from .extensions.base import Extension, ServerExtensionFactory
from .handshake.negotiation import (
    OriginRule,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
)
from .handshake.server import ServerHandshake
from .hooks import HookError, as_response, call_hook
from .http1 import Request, Response
from .keeping import Keeping
from .overrides import SERVER_STEPS, refuse_overrides
from .protocol import Side
from .serving import Settings
from .typing import StatusLike, Subprotocol

__all__ = ["Agreement", "Judging"]

# What a handshake agreed on: extensions and subprotocol.
Agreement = tuple[list[Extension], str | None]


class Judging(Keeping):
    """The part of a server's connection that judges requests."""

    side = Side.SERVER

    #: value of ``Origin``; None if there was none
    origin: str | None = None
    #: user name of HTTP Basic authentication; None without
    username: str | None = None

    _settings: Settings

    # Which steps a subclass overrides; set once a class.
    _face: type[Judging]
    _own_request = False
    _own_select = False
    _own_steps: tuple[str, ...] = ()

    def __init_subclass__(cls, *, face: bool = False, **kwds: Any) -> None:
        """
        Learn which steps a subclass overrides.

        Args:
            face: whether it is the class of a face, whose steps are the default.

        Raises:
            TypeError: it overrides a step of older libraries, which nothing calls.
        """
        super().__init_subclass__(**kwds)
        if face:
            cls._face = cls
        base = getattr(cls, "_face", None)
        if base is None:
            return
        refuse_overrides(cls, SERVER_STEPS)

        def own(name: str) -> bool:
            return getattr(cls, name) is not getattr(base, name)

        steps = ("process_origin", "process_extensions", "process_subprotocol")
        cls._own_request = own("process_request")
        cls._own_select = own("select_subprotocol")
        cls._own_steps = tuple(name for name in steps if own(name))

    def _judge(self, request: Request, now: float) -> tuple[Response, Agreement]:
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
    ) -> tuple[Response | bytes, Agreement]:
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
    ) -> tuple[Response, Agreement]:
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
        if not (self._own_steps or self._own_select or settings.select_subprotocol):
            return settings.judge
        steps: dict[str, Any] = {name: getattr(self, name) for name in self._own_steps}
        if settings.select_subprotocol is not None or self._own_select:
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

    # What programs override

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
        if self._own_select:

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
        """What is added to the response 101."""
        return self._settings.extra_headers

    @property
    def server_header(self) -> str | None:
        """Value of ``Server``."""
        return self._settings.server_header
