"""Server side of the opening handshake: from the bytes of a request to a response.

The result of a hook may have to be waited for.  `_answer` is therefore a generator: it
yields what a hook returned, and the face sends back what that became.  Nothing else
here waits, writes or knows the time.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InvalidHandshake
from ..handshake.errors import AbortHandshake
from ..http.dates import http_date
from ..http.messages import Request, Response
from ..http.parser import RequestParser
from .checks import Judging, Negotiated
from .hooks import HookError, as_response, complete_response

if TYPE_CHECKING:
    pass


# Seconds for which input is still read and dropped after a refusal that came before the
# end of a request.  Closing at once would make the system send a reset, which can
# overtake the response.
LINGER = 2.0


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """
    Result of a step of the handshake.

    Args:
        data: bytes to send.
        then: next action.  ``"open"``: the connection is open.  ``"close"``: close TCP
            when the bytes are out.  ``"linger"``: close our direction of TCP, and the
            other one at the client's end or after `LINGER` seconds.  ``"abort"``: close
            TCP, with nothing to send.
        agreed: negotiated extensions and subprotocol, if it is open.
        leftover: bytes that came behind the request, if it is open.
    """

    data: bytes
    then: Literal["open", "close", "linger", "abort"]
    agreed: Negotiated = ([], None)
    leftover: bytes = b""


ABORT = HandshakeResult(b"", "abort")


class Answering(Judging):
    """
    Base of the server connections of all faces.

    A face calls `_take` with the bytes of the client; with the request, `_at_once`,
    and if that leaves it to hooks, `_answer`.
    """

    server: Any

    _parser: RequestParser | None
    # Limits by which it was let in, or refused; defaults on the class keep instances
    # small.
    _admitted_as: str | None = None
    _refused_by: str | None = None

    @property
    def _reception(self) -> Any:
        """The server, a `BaseServer`, which counts its connections."""
        return self.server

    def _client_gone(self) -> bool:
        """Whether nobody is there any more to be answered."""
        return self._tcp_ended()

    # Input

    def _take(self, data: bytes, now: float) -> Request | HandshakeResult | None:
        """
        Take bytes of a client that has not sent its request yet.

        Args:
            now: seconds since 1970.

        Returns:
            The request once it is complete; an answer to what cannot become one.
        """
        parser = self._parser
        assert parser is not None
        try:
            request = parser.feed(data)
        except Exception as exc:
            return self._refuse_garbage(exc, now)
        if request is not None:
            self._request = request
            if self._debugging():
                self._log_request("<")
        return request

    def _at_once(
        self, request: Request, retry_after: int, now: float
    ) -> HandshakeResult | None:
        """
        Answer a request where no hook has to be asked; else return None.

        Args:
            retry_after: seconds after which a client that exceeds a limit may try
                again; 0 if it doesn't.
        """
        settings = self._settings
        if retry_after:
            return self._refuse(
                self._unavailable("Too many clients.\n", now, retry_after), now
            )
        if (
            settings.process_request is None
            and settings.process_response is None
            and (self._unchanged() or not self._overrides("process_request"))
        ):
            assert self._parser is not None
            raw = self._parser.raw
            answer = self._conclude(*self._judge_unseen(request, now), now)
            if answer.then == "open" and self._request is request:
                # Nobody has looked; bytes take a tenth of the memory.
                self._request = request.serialize() if raw is None else raw
                self._response = answer.data
            return answer
        return None

    def _answer(
        self, request: Request, now: float
    ) -> Generator[Any, Any, HandshakeResult]:
        """Answer a request with the help of hooks; yields what these return."""
        settings = self._settings
        agreed: Negotiated = ([], None)
        hook = "process_request"
        try:
            response = None
            if self._overrides("process_request"):
                value = yield self.process_request(request.path, request.headers)
                response = as_response(hook, value)
            elif settings.process_request is not None:
                value = yield settings.process_request(self, request)
                response = as_response(hook, value)
            if response is None:
                response, agreed = self._judge(request, now)
            elif response.status_code != 101:
                complete_response(response, http_date(now))
            if settings.process_response is not None:
                hook = "process_response"
                value = yield settings.process_response(self, request, response)
                answer = as_response(hook, value)
                if answer is not None:
                    response = answer
            # It must be possible to send it.
            settings.judge.response_bytes(response)
        except AbortHandshake as exc:
            aborted = as_response(hook, (exc.status, exc.headers, exc.body))
            assert aborted is not None
            response = aborted
        except Exception as exc:
            if self._client_gone():
                return ABORT
            if self._overrides("process_request") and isinstance(exc, InvalidHandshake):
                # Methods of older programs call the checks of the handshake.
                self.logger.debug("! invalid handshake", exc_info=exc)
                refusal = settings.judge.refusal(exc, http_date(now))
                return self._conclude(refusal, agreed, now)
            failure = HookError(hook)
            failure.__cause__ = exc
            self._log_failure(failure)
            response, agreed = self._server_error(now), ([], None)
        return self._conclude(response, agreed, now)

    # Output

    def _conclude(
        self, response: Response | bytes, agreed: Negotiated, now: float
    ) -> HandshakeResult:
        if self._client_gone():
            return ABORT
        accepted = isinstance(response, bytes) or response.status_code == 101
        if accepted and self._reception._closing_with is not None:
            response = self._unavailable("Server is shutting down.\n", now)
        if isinstance(response, bytes):
            data = response
        elif response.status_code == 101:
            data = self._settings.judge.response_bytes(response)
        else:
            self._log_refusal(response)
            return self._refuse(response, now)
        parser = self._parser
        assert parser is not None
        self._parser = None
        self._response = response
        if self._debugging():
            self._log_response(">")
        self.subprotocol = agreed[1]
        self._note(logging.INFO, "connection open")
        return HandshakeResult(data, "open", agreed, parser.leftover)

    def _refuse(
        self, response: Response, now: float, *, linger: bool = False
    ) -> HandshakeResult:
        """Make the answer that ends the connection."""
        self._response = response
        self._parser = None
        complete_response(response, http_date(now))
        data = self._settings.judge.response_bytes(response)
        if self.request is not None and self.request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        self._log_response(">")
        return HandshakeResult(data, "linger" if linger else "close")

    def _refuse_garbage(self, exc: Exception, now: float) -> HandshakeResult:
        """Answer what is no request, if a client could understand that."""
        self.logger.debug("! no valid HTTP request", exc_info=exc)
        response = self._settings.judge.error_response(exc, now_date=http_date(now))
        if response is None:
            self._parser = None
            return ABORT
        self._log_refusal(response)
        return self._refuse(response, now, linger=True)

    def _shut_out(self, now: float) -> HandshakeResult:
        """Answer a client that has not sent a whole request when the server closes."""
        parser = self._parser
        if parser is not None and parser.leftover:
            response = self._unavailable("Server is shutting down.\n", now)
            return self._refuse(response, now, linger=True)
        return ABORT

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

    def _known(self, part: Any, name: str) -> Any:
        # The request is known to hooks already.
        if part is None:
            raise AttributeError(f"{name} is not known before the request is complete")
        return part

    # Logging

    def _log_refusal(self, response: Response) -> None:
        text = (
            "HTTP response sent (%d %s)"
            if response.status_code < 400
            else "connection rejected (%d %s)"
        )
        self.logger.info(text, response.status_code, response.reason_phrase)
