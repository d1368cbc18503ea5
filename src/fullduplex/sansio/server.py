"""The server's end without I/O: the opening handshake, and then `Protocol`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import TypeAlias

from ..core.endpoint.frame_protocol import Side
from ..core.errors import InvalidHandshake, InvalidMessage, InvalidState, SecurityError
from ..core.extensions.base import ServerExtensionFactory
from ..core.frames.frame import Extension
from ..core.handshake.negotiation import (
    OriginRule,
    choose_subprotocol,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
)
from ..core.handshake.server import ResponseFields, ServerHandshake
from ..core.http.dates import http_date
from ..core.http.headers import Headers
from ..core.http.logs import log_head
from ..core.http.messages import Request, Response
from ..core.http.parser import RequestParser
from ..core.typing import LoggerLike, StatusLike, Subprotocol
from .protocol import Protocol, State

__all__ = ["ServerProtocol"]

Select: TypeAlias = "Callable[[ServerProtocol, Sequence[Subprotocol]], str | None]"


class ServerProtocol(Protocol):
    """
    The server's end of a connection.

    When the `Request` has arrived, make a response with `accept` or `reject` and
    give it to `send_response`.  A subclass may override the ``process_`` methods and
    `select_subprotocol`.

    Args:
        origins: values of ``Origin`` that are admitted: strings, compiled patterns
            that must match all of it, None for requests without; by default the
            origin is not checked.
        extensions: extensions to support, in the order of preference.
        subprotocols: subprotocols to support, in the order of preference.
        select_subprotocol: called with this object and those that the client
            offers; returns one of them or None, or raises `NegotiationError`.
        state: state to begin with.
        max_size: as for `Protocol`.
        logger: as for `Protocol`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        origins: Sequence[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Select | None = None,
        state: State = State.CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(Side.SERVER, state=state, max_size=max_size, logger=logger)
        self.origins = origins
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self._select_subprotocol = select_subprotocol
        self._handshake = ServerHandshake(
            origins=origins,
            extensions=extensions,
            subprotocols=subprotocols,
            server_header=None,
            process_origin=lambda headers, _: self.process_origin(headers),
            process_extensions=lambda headers, _: self.process_extensions(headers),
            process_subprotocol=lambda headers, _: self.process_subprotocol(headers),
        )
        self._parser = RequestParser()
        self._request: Request | None = None

    def accept(self, request: Request) -> Response:
        """
        Check a request and make the response to it.

        Returns:
            The response, with status 101, or with another one that tells what is
            wrong; then `handshake_exc` is set.  It may be changed.
        """
        response = self._handshake.answer(
            lambda: self.process_request(request), now_date=http_date(time())
        )
        exc = self._handshake.exception
        if exc is not None:
            request._exception = self.handshake_exc = exc
            self.extensions = []
            self.subprotocol = None
            if isinstance(exc, InvalidHandshake):
                if self.debug:
                    self.logger.debug("! invalid handshake", exc_info=exc)
            else:
                self.logger.error("opening handshake failed", exc_info=exc)
        return response

    def reject(self, status: StatusLike, text: str) -> Response:
        """
        Make a response that refuses the request, or answers it as plain HTTP.

        Args:
            status: status code, 200 to 599.
            text: body.

        Raises:
            ValueError: the status code is out of range.
        """
        now_date = http_date(time())
        return self._handshake.reject(int(status), text, now_date=now_date)

    def send_response(self, response: Response) -> None:
        """
        Send the response.  With status 101 the connection is open, with another one
        TCP is to be closed.

        Raises:
            InvalidState: the handshake is over.
            ValueError: the response cannot be sent.
        """
        if self.state is not State.CONNECTING or self.eof_sent:
            raise InvalidState(self._condition())
        self._writes.append(self._handshake.response_bytes(response))
        start = f"HTTP/1.1 {response.status_code} {response.reason_phrase}"
        log_head(self.logger, ">", start, response.headers)
        if response.status_code == 101:
            self.logger.info("connection open")
            self._open(self._parser.leftover)
        else:
            self._log_refusal(response)
            self._stop()

    def _log_refusal(self, response: Response) -> None:
        refused = self.handshake_exc is not None or response.status_code >= 400
        text = (
            "connection rejected (%d %s)" if refused else "HTTP response sent (%d %s)"
        )
        self.logger.info(text, response.status_code, response.reason_phrase)

    # Steps that may be overridden

    def process_request(self, request: Request) -> ResponseFields:
        """
        Check a request, and choose extensions and a subprotocol.

        Returns:
            Values of ``Sec-WebSocket-Accept``, ``Sec-WebSocket-Extensions`` and
            ``Sec-WebSocket-Protocol``.

        Raises:
            InvalidHandshake: it is refused; the class decides on the status.
        """
        handshake = self._handshake
        agreed = handshake.check_request(request)
        self.origin = handshake.origin
        self.extensions = handshake.extensions
        self.subprotocol = handshake.subprotocol  # type: ignore[assignment]
        return agreed

    def process_origin(self, headers: Headers) -> str | None:
        """
        Check where a request comes from (RFC 6455, 10.2).

        Raises:
            InvalidOrigin: it is not admitted; answered with 403.
        """
        return process_origin(headers, self.origins)

    def process_extensions(
        self, headers: Headers
    ) -> tuple[str | None, list[Extension]]:
        """Choose extensions; returns the header's value and them."""
        return process_server_extensions(headers, self.available_extensions)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """
        Read and choose a subprotocol.

        Raises:
            NegotiationError: there is none in common.
        """
        return process_server_subprotocol(
            headers, self.available_subprotocols, self.select_subprotocol
        )

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> str | None:
        """
        Choose a subprotocol among those that the client offers.

        Raises:
            NegotiationError: none of them will do.
        """
        if self._select_subprotocol is not None:
            return self._select_subprotocol(self, subprotocols)
        return choose_subprotocol(subprotocols, self.available_subprotocols)

    # Input

    def _handshake_received(self, data: bytes) -> None:
        try:
            request = self._parser.feed(data)
        except (ValueError, SecurityError) as exc:
            self._not_http(exc)
            return
        if request is not None and self._request is None:
            self._request = request
            start = f"{request.method} {request.path} {request.protocol}"
            log_head(self.logger, "<", start, request.headers)
            self._events.append(request)

    def _handshake_ended(self) -> None:
        try:
            self._parser.feed_eof()
        except (EOFError, ValueError, SecurityError) as exc:
            self._not_http(exc)

    def _not_http(self, exc: Exception) -> None:
        now_date = http_date(time())
        response = self._handshake.error_response(exc, now_date=now_date)
        if response is not None:
            self._writes.append(self._handshake.response_bytes(response))
            self._log_refusal(response)
        if not isinstance(exc, SecurityError):
            failure = InvalidMessage(f"did not receive a valid HTTP request: {exc}")
            failure.__cause__ = exc
            exc = failure
        self._handshake_failed(exc)
