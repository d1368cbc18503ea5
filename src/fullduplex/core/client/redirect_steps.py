"""Steps of following a redirect that subclasses of `connect` override.

Programs override them to forbid redirects, since these may carry a token or what is
sent afterwards to a host that nobody chose.  So a face must not pass them by.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from ..connection.overrides import CONNECT_STEPS, overridden, refuse_overrides
from ..handshake.errors import InvalidStatus
from ..http.headers import Headers
from ..http.messages import Response
from ..http.parser import is_redirect
from .redirects import WEBSOCKET_SCHEMES, display_uri


class RedirectSteps:
    """Decisions about redirects that a subclass of `connect` may make."""

    _plan: Any  # the face's `ConnectPlan`; None before `__init__`
    _named: str | None = None

    def __init_subclass__(cls, **kwds: Any) -> None:
        super().__init_subclass__(**kwds)
        refuse_overrides(cls, CONNECT_STEPS)

    def process_redirect(self, exc: Exception) -> Exception | str:
        """
        Tell what becomes of a response that is not 101; a subclass may decide that.

        A redirect that is not followed by default, such as one from ``wss`` to ``ws``,
        is not followed either when a subclass names it.

        Args:
            exc: the :exc:`InvalidStatus` with the response.

        Returns:
            The URI to go on with, or the exception that connecting ends with.
        """
        if not isinstance(exc, InvalidStatus) or not is_redirect(exc.response):
            return exc
        location = exc.response.headers.get_all("Location")[0]
        if overridden(self, "handle_redirect", HANDLE):
            self._named = None
            self.handle_redirect(location)
            if self._named is None:
                return exc
            location = self._named
        try:
            target = urljoin(display_uri(self._plan.uri), location)
        except ValueError:
            return location  # brackets don't match, as the next step says
        # Subclasses parse it, to compare origins.
        scheme, colon, rest = target.partition(":")
        return WEBSOCKET_SCHEMES.get(scheme.lower(), scheme) + colon + rest

    def handle_redirect(self, uri: str) -> None:
        """
        Follow a redirect; a subclass may raise here, which ends connecting.

        Args:
            uri: where it leads, as the server wrote it.
        """
        self._named = uri

    def _judged(self, exc: InvalidStatus) -> InvalidStatus:
        """Return a response as the steps of a subclass have it, or raise."""
        if not overridden(self, "process_redirect", PROCESS) and not overridden(
            self, "handle_redirect", HANDLE
        ):
            return exc
        answer = self.process_redirect(exc)
        if answer is exc:
            raise exc
        if isinstance(answer, Exception):
            raise answer from exc
        old = exc.response
        headers = Headers(old.headers)
        if "Location" in headers:
            del headers["Location"]
        headers["Location"] = answer
        response = Response(302, old.reason_phrase, headers, old.body)
        return InvalidStatus(response)


# As they are defined; programs may patch the class.
PROCESS, HANDLE = RedirectSteps.process_redirect, RedirectSteps.handle_redirect
