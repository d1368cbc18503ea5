"""Server side of the opening handshake: from the bytes of a request to a response.

A server's connection has a `HandshakeResponder` from TCP until it is answered.  The
result of a hook may have to be waited for.  `HandshakeResponder.respond` is therefore a
generator: it yields what a hook returned, and the face sends back what that became.
Nothing else here waits, writes or knows the time.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Protocol

from ..errors import InvalidHandshake
from ..frames.frame import Extension
from ..handshake.errors import AbortHandshake
from ..handshake.server import ServerHandshake
from ..http.dates import http_date
from ..http.headers import Headers
from ..http.messages import Request, Response
from ..http.parser import RequestParser
from ..typing import LoggerLike, StatusLike
from .base import BaseServer
from .config import ServerSettings
from .hooks import HookError, as_response, call_hook, complete_response

# Seconds for which input is still read and dropped after a refusal that came before the
# end of a request.  Closing at once would make the system send a reset, which can
# overtake the response.
DRAIN_AFTER_REFUSAL = 2.0

# Result of a handshake: extensions and subprotocol.
Negotiated = tuple[list[Extension], str | None]


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """
    Result of a step of the handshake.

    Args:
        data: bytes to send.
        then: next action.  ``"open"``: the connection is open.  ``"close"``: close TCP
            when the bytes are out.  ``"linger"``: close our direction of TCP, and the
            other one at the client's end or after `DRAIN_AFTER_REFUSAL` seconds.
            ``"abort"``: close TCP, with nothing to send.
        agreed: negotiated extensions and subprotocol, if it is open.
        leftover: bytes that came behind the request, if it is open.
    """

    data: bytes
    then: Literal["open", "close", "linger", "abort"]
    agreed: Negotiated = ([], None)
    leftover: bytes = b""


ABORT = HandshakeResult(b"", "abort")


class RequestedConnection(Protocol):
    """Interface of the connections whose requests are answered."""

    origin: str | None
    subprotocol: str | None
    _request: Request | bytes | None
    _response: Response | bytes | None
    # Dropped with the response.
    _responder: HandshakeResponder | None
    _admitted_as: str | None
    _refused_by: str | None

    @property
    def open(self) -> bool:
        """Whether messages can be exchanged."""
        ...

    @property
    def request(self) -> Request | None:
        """The request, once it is complete."""
        ...

    def _find_logger(self) -> LoggerLike:
        """Return the connection's own logger, which is made only if needed."""
        ...

    def process_request(self, path: str, request_headers: Headers) -> Any:
        """Answer plain HTTP, or check the request; may be overridden."""
        ...

    def _overrides(self, name: str) -> bool:
        """Whether a step of the handshake was overridden."""
        ...

    def _unchanged(self) -> bool:
        """Whether no step of the handshake was overridden."""
        ...

    def _make_handshake(self, settings: ServerSettings) -> ServerHandshake:
        """Return the checks, with the steps that were overridden."""
        ...

    def _client_gone(self) -> bool:
        """Whether nobody is there any more to be answered."""
        ...

    def _describe(self) -> str:
        """Name the handler and its client, for the log."""
        ...

    def _debugging(self) -> bool:
        """Whether records at DEBUG are logged."""
        ...

    def _log_event(self, level: int, message: str, *args: Any) -> None:
        """Log with the connection's own logger."""
        ...

    def _log_request(self, mark: str) -> None:
        """Log the request at DEBUG."""
        ...

    def _log_response(self, mark: str) -> None:
        """Log the response at DEBUG."""
        ...


class HandshakeResponder:
    """
    Parser, checks and response of one connection (RFC 6455, 4.2).

    A face calls `feed` with the bytes of the client.  If that leaves the response to
    hooks, the face runs `respond`.  Methods take the connection, which holds the
    responder; the responder does not hold the connection.

    Args:
        settings: settings of the connection.
        server: the server that counts it.
    """

    __slots__ = ("parser", "server", "settings")

    def __init__(self, settings: ServerSettings, server: BaseServer[Any]) -> None:
        #: settings of the connection; they may be replaced until it is answered
        self.settings = settings
        #: the server that counts it
        self.server = server
        #: parser of the request; it keeps what comes behind it
        self.parser = RequestParser()

    # Input

    def feed(
        self, connection: RequestedConnection, data: bytes, now: float, date: float
    ) -> Request | HandshakeResult | None:
        """
        Take bytes of a client that has not sent its whole request yet.

        Args:
            now: seconds on the clock of the face.
            date: seconds since 1970.

        Returns:
            None while the request is not complete; the result, where no hook has to be
            asked; the request, where `respond` is to be called.
        """
        try:
            request = self.parser.feed(data)
        except Exception as exc:
            return self._refuse_message(connection, exc, date)
        if request is None:
            return None
        connection._request = request
        if connection._debugging():
            connection._log_request("<")
        retry_after = self.server._retry_after(connection, now)
        return self.respond_now(connection, request, retry_after, date) or request

    # Responses

    def respond_now(
        self,
        connection: RequestedConnection,
        request: Request,
        retry_after: int,
        date: float,
    ) -> HandshakeResult | None:
        """
        Answer a request where no hook has to be asked; else return None.

        Args:
            retry_after: seconds after which a client that exceeds a limit may try
                again; 0 if it doesn't.
            date: seconds since 1970.
        """
        settings = self.settings
        if retry_after:
            response = self._unavailable("Too many clients.\n", date)
            response.headers["Retry-After"] = str(retry_after)
            return self._refuse(connection, response, date)
        if (
            settings.process_request is not None
            or settings.process_response is not None
            or not (
                connection._unchanged() or not connection._overrides("process_request")
            )
        ):
            return None
        raw = self.parser.raw
        result = self.finish(
            connection, *self._accept_without_hooks(connection, request, date), date
        )
        if result.then == "open" and connection._request is request:
            # Nobody has looked; bytes take a tenth of the memory.
            connection._request = request.serialize() if raw is None else raw
            connection._response = result.data
        return result

    def respond(
        self, connection: RequestedConnection, request: Request, date: float
    ) -> Generator[Any, Any, HandshakeResult]:
        """Answer a request with the help of hooks; yields what these return."""
        settings = self.settings
        agreed: Negotiated = ([], None)
        hook = "process_request"
        try:
            response = None
            if connection._overrides("process_request"):
                value = yield connection.process_request(request.path, request.headers)
                response = as_response(hook, value)
            elif settings.process_request is not None:
                value = yield settings.process_request(connection, request)
                response = as_response(hook, value)
            if response is None:
                response, agreed = self._accept(connection, request, date)
            elif response.status_code != 101:
                complete_response(response, http_date(date))
            if settings.process_response is not None:
                hook = "process_response"
                value = yield settings.process_response(connection, request, response)
                other = as_response(hook, value)
                if other is not None:
                    response = other
            # It must be possible to send it.
            settings.handshake.response_bytes(response)
        except AbortHandshake as exc:
            aborted = as_response(hook, (exc.status, exc.headers, exc.body))
            assert aborted is not None
            response = aborted
        except Exception as exc:
            if connection._client_gone():
                return ABORT
            if connection._overrides("process_request") and isinstance(
                exc, InvalidHandshake
            ):
                # Methods of older programs call the checks of the handshake.
                connection._find_logger().debug("! invalid handshake", exc_info=exc)
                refusal = settings.handshake.refusal(exc, http_date(date))
                return self.finish(connection, refusal, agreed, date)
            failure = HookError(hook)
            failure.__cause__ = exc
            log_failure(connection, failure)
            response, agreed = self._server_error(date), ([], None)
        return self.finish(connection, response, agreed, date)

    def finish(
        self,
        connection: RequestedConnection,
        response: Response | bytes,
        agreed: Negotiated,
        date: float,
    ) -> HandshakeResult:
        """Turn a response into the last result; the connection drops the responder."""
        if connection._client_gone():
            return ABORT
        accepted = isinstance(response, bytes) or response.status_code == 101
        if accepted and self.server._closing_with is not None:
            response = self._unavailable("Server is shutting down.\n", date)
        if isinstance(response, bytes):
            data = response
        elif response.status_code == 101:
            data = self.settings.handshake.response_bytes(response)
        else:
            log_refusal(connection, response)
            return self._refuse(connection, response, date)
        connection._responder = None
        connection._response = response
        if connection._debugging():
            connection._log_response(">")
        connection.subprotocol = agreed[1]
        connection._log_event(logging.INFO, "connection open")
        return HandshakeResult(data, "open", agreed, self.parser.leftover)

    def shut_out(self, connection: RequestedConnection, date: float) -> HandshakeResult:
        """Answer a client that has not sent a whole request when the server closes."""
        if not self.parser.leftover:
            return ABORT
        response = self._unavailable("Server is shutting down.\n", date)
        return self._refuse(connection, response, date, linger=True)

    def _refuse(
        self,
        connection: RequestedConnection,
        response: Response,
        date: float,
        *,
        linger: bool = False,
    ) -> HandshakeResult:
        """Make the result that ends the connection."""
        connection._response = response
        connection._responder = None
        complete_response(response, http_date(date))
        data = self.settings.handshake.response_bytes(response)
        if connection.request is not None and connection.request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        connection._log_response(">")
        return HandshakeResult(data, "linger" if linger else "close")

    def _refuse_message(
        self, connection: RequestedConnection, exc: Exception, date: float
    ) -> HandshakeResult:
        """Answer what is no request, if a client could understand that."""
        connection._find_logger().debug("! no valid HTTP request", exc_info=exc)
        response = self.settings.handshake.error_response(exc, now_date=http_date(date))
        if response is None:
            connection._responder = None
            return ABORT
        log_refusal(connection, response)
        return self._refuse(connection, response, date, linger=True)

    # Checks

    def _accept(
        self, connection: RequestedConnection, request: Request, date: float
    ) -> tuple[Response, Negotiated]:
        """Check a request; returns the response, which hooks may see."""
        handshake = connection._make_handshake(self.settings)
        response = handshake.accept(request, now_date=http_date(date))
        connection.origin = handshake.origin
        exc = handshake.exception
        if exc is None:
            try:
                extra = call_hook(
                    "extra_headers", self.settings.extra_headers_for, request
                )
                if extra is not None:
                    response.headers.update(extra)
                return response, (handshake.extensions, handshake.subprotocol)
            except Exception as error:
                exc = error
                response = self._server_error(date)
        return refusal_of(connection, exc, response), ([], None)

    def _accept_without_hooks(
        self, connection: RequestedConnection, request: Request, date: float
    ) -> tuple[Response | bytes, Negotiated]:
        """Check a request where nobody looks at the response if it is accepted."""
        if self.settings.extra_headers is not None:
            return self._accept(connection, request, date)
        handshake = connection._make_handshake(self.settings)
        response = handshake.accept_bytes(request, now_date=http_date(date))
        connection.origin = handshake.origin
        if isinstance(response, bytes):
            return response, (handshake.extensions, handshake.subprotocol)
        assert handshake.exception is not None
        return refusal_of(connection, handshake.exception, response), ([], None)

    def _unavailable(self, text: str, date: float) -> Response:
        return reject(self.settings, HTTPStatus.SERVICE_UNAVAILABLE, text, date)

    def _server_error(self, date: float) -> Response:
        return reject(
            self.settings,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Cannot open a WebSocket connection: the server failed.\n",
            date,
        )


def reject(
    settings: ServerSettings, status: StatusLike, text: str, date: float
) -> Response:
    """
    Make a plain-text response.

    Raises:
        ValueError: the status code is out of range.
    """
    return settings.handshake.reject(int(status), text, now_date=http_date(date))


def refusal_of(
    connection: RequestedConnection, exc: Exception, response: Response
) -> Response:
    """Log why a request is refused; returns the response."""
    if isinstance(exc, AbortHandshake):
        aborted = as_response("hook", (exc.status, exc.headers, exc.body))
        assert aborted is not None
        return aborted
    if response.status_code == 500:
        log_failure(connection, exc)
    else:
        connection._find_logger().debug("! invalid handshake", exc_info=exc)
    return response


# Logging


def log_refusal(connection: RequestedConnection, response: Response) -> None:
    """Log a response that opens no connection."""
    text = (
        "HTTP response sent (%d %s)"
        if response.status_code < 400
        else "connection rejected (%d %s)"
    )
    connection._find_logger().info(text, response.status_code, response.reason_phrase)


def log_failure(connection: RequestedConnection, exc: Exception) -> None:
    """Log an exception of a hook, or of ours."""
    if isinstance(exc, HookError):
        connection._find_logger().error("%s failed", exc.hook, exc_info=exc.__cause__)
    else:
        connection._find_logger().error("opening handshake failed", exc_info=exc)
