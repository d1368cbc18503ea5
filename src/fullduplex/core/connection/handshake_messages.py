"""Request and response of an open connection, in little memory.

Request and response are kept as bytes unless somebody has seen the objects, which
take ten times the memory, and most programs never look at them.
"""

from __future__ import annotations

from ..http.messages import Request, Response
from ..http.parser import ResponseParser
from .base import BaseConnection


class Keeping(BaseConnection):
    """The part of a connection that remembers its handshake."""

    # Defaults on the class keep instances small.
    _request: Request | bytes | None = None
    _response: Response | bytes | None = None

    @property
    def request(self) -> Request | None:
        """The opening handshake; None before it was received."""
        known = self._request
        if isinstance(known, bytes):
            known = self._request = Request.restore(known)
        return known

    @request.setter
    def request(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, request: Request | None
    ) -> None:
        self._request = request

    @property
    def response(self) -> Response | None:
        """The answer; None before it was sent."""
        known = self._response
        if isinstance(known, bytes):
            known = self._response = ResponseParser().feed(known)
        return known

    @response.setter
    def response(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, response: Response | None
    ) -> None:
        self._response = response
