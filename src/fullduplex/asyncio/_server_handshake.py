"""The server's opening handshake on asyncio: from the first byte to an answer.

Bytes are parsed as they arrive.  Where no hook may have to wait, the request is
answered within the same callback and the connection's one task is made only for
the handler; a client that does not get that far costs no task and no timer.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Any

from ..core.datastructures import Headers
from ..core.errors import AbortHandshake
from ..core.extensions.base import Extension
from ..core.handshake.server import ServerHandshake
from ..core.hooks import HookError, as_response, call_hook, complete_response
from ..core.http1 import Request, RequestParser, Response, ResponseParser
from ..core.protocol import Side
from ..core.serving import Settings
from ..core.typing import StatusLike, Subprotocol
from ._transport import unsent
from .connection import Connection

if TYPE_CHECKING:
    from ._server import Server

__all__ = ["Opening", "maybe"]

# Seconds for which input is still read and dropped after a refusal that came
# before the end of a request: closing at once would make the system send a reset,
# which can overtake the response.
LINGER = 2.0

# What a handshake agreed on: extensions and subprotocol.
Agreement = tuple[list[Extension], str | None]


class Opening(Connection):
    """
    The part of a server's connection that lives until it is open.

    Args:
        ws_handler: called with the connection once it is open.
        ws_server: the server that accepted it.
        **kwds: parameters of `serve` that concern connections.
    """

    side = Side.SERVER

    #: value of ``Origin``; None if there was none
    origin: str | None = None

    _request: Request | bytes | None
    _response: Response | bytes | None

    # Rare states have no place in each instance.
    _gone: asyncio.Event | None = None
    _response_timer: asyncio.TimerHandle | None = None
    _early_paused = False
    _admitted_as: str | None = None
    _refused_by: str | None = None

    def __init__(
        self,
        ws_handler: Callable[[Any], Awaitable[None]],
        ws_server: Server,
        **kwds: Any,
    ) -> None:
        settings = ws_server.settings
        if kwds != settings.keywords:
            settings = Settings(kwds, settings.logger)
        super().__init__(settings.options, settings.logger)
        #: the server that accepted the connection
        self.server: Any = ws_server
        self.ws_handler = ws_handler
        #: the task that runs the handler; None until the request is complete
        self.handler_task: asyncio.Task[None] | None = None
        self._settings = settings
        self._parser: RequestParser | None = RequestParser()

    # What a subclass of `ServerConnection` may override

    # Which of these it does; set once a class.
    _own_request = False
    _own_select = False
    _own_steps: tuple[str, ...] = ()

    async def process_request(self, path: str, request_headers: Headers) -> Any:
        raise NotImplementedError

    def process_subprotocol(
        self, headers: Headers, available_subprotocols: Sequence[str] | None
    ) -> Subprotocol | None:
        raise NotImplementedError

    async def _serve(self, request: Request | None) -> None:
        raise NotImplementedError

    # Input

    def _connected(self, transport: Any) -> None:
        self.server._attach(self, transport)
        super()._connected(transport)

    def _handshake_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return  # answered; nobody wants the rest
        if self.request is not None:
            # Frames that came before our answer.  What follows waits in the system.
            parser.feed(data)
            self._early_paused = True
            self.transport.pause_reading()
            return
        try:
            request = parser.feed(data)
        except Exception as exc:
            self._refuse_garbage(exc)
            return
        if request is not None:
            self._request = request
            if self._base_logger.isEnabledFor(logging.DEBUG):
                self._log_request("<")
            try:
                self._requested(request)
            except Exception:
                self._fail_handshake()

    def _requested(self, request: Request) -> None:
        retry_after = self.server._retry_after(self)
        settings = self._settings
        if retry_after:
            self._reply(self._unavailable("Too many clients.\n", retry_after))
        elif (
            settings.process_request is None
            and settings.process_response is None
            and not self._own_request
        ):
            if self._conclude(*self._judge(request)):
                self._compact()
                self._start(self._serve(None))
        else:
            self._start(self._serve(request))

    # Request and response are kept as bytes unless somebody has seen the objects,
    # which take ten times the memory, and most programs never look at them.

    @property
    def request(self) -> Request | None:
        """The opening handshake; None before it was received."""
        known = self._request
        if isinstance(known, bytes):
            known = self._request = RequestParser().feed(known)
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

    def _compact(self) -> None:
        if isinstance(self._request, Request):
            self._request = self._request.serialize()
        if isinstance(self._response, Response):
            self._response = self._response.serialize()

    def _start(self, life: Any) -> None:
        task = self._loop.create_task(life)
        self.handler_task = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._driver.ended:
            self.server._detach(self)
        elif self._session is None and self._parser is not None:
            # Cancelled before it ran.
            self.transport.abort()

    def _ended(self, exc: BaseException | None) -> None:
        self._parser = None if self.handler_task is None else self._parser
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None
        if self._gone is not None:
            self._gone.set()
        if self._session is not None:
            self._note(logging.INFO, "connection closed")
        elif self.request is None and self.response is None:
            self._note(logging.DEBUG, "! the client left before a request")
        if self.handler_task is None or self.handler_task.done():
            self.server._detach(self)
        super()._ended(exc)

    # The opening handshake

    def _judge(self, request: Request) -> tuple[Response, Agreement]:
        """Decide on a request; nothing here waits."""
        judge = self._make_judge()
        response = judge.accept(request, now_date=http_date())
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
                response = self._server_error()
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
        steps: dict[str, Any] = {name: getattr(self, name) for name in self._own_steps}
        if settings.select_subprotocol is not None or self._own_select:
            steps["process_subprotocol"] = self.process_subprotocol
        for name, step in steps.items():
            steps[name] = functools.partial(call_hook, name, step)
        return settings.make_judge(**steps) if steps else settings.judge

    def _conclude(self, response: Response, agreed: Agreement) -> bool:
        """Send the response; returns whether the connection is open now."""
        if self._driver.ended or self.transport.is_closing():
            return False
        if response.status_code == 101 and self.server._closing_with is not None:
            response = self._unavailable("Server is shutting down.\n")
        if response.status_code != 101:
            self._log_refusal(response)
            self._reply(response)
            return False
        parser = self._parser
        assert parser is not None
        data = self._settings.judge.response_bytes(response)
        self._parser = None
        self._response = response
        self.transport.write(data)
        if self._base_logger.isEnabledFor(logging.DEBUG):
            self._log_response(">")
        self.server._answered(self)
        self.subprotocol = agreed[1]
        if self._early_paused:
            self.transport.resume_reading()
        self._note(logging.INFO, "connection open")
        self._open(agreed[0], parser.leftover)
        return True

    async def _answer(self, request: Request) -> bool:
        """Call the hooks, which may wait, and answer; returns whether it is open."""
        settings = self._settings
        agreed: Agreement = ([], None)
        hook = "process_request"
        try:
            response = None
            if self._own_request:
                value = await maybe(self.process_request(request.path, request.headers))
                response = as_response(hook, value)
            elif settings.process_request is not None:
                value = await maybe(settings.process_request(self, request))
                response = as_response(hook, value)
            if response is None:
                response, agreed = self._judge(request)
            elif response.status_code != 101:
                complete_response(response, http_date())
            if settings.process_response is not None:
                hook = "process_response"
                value = await maybe(settings.process_response(self, request, response))
                answer = as_response(hook, value)
                if answer is not None:
                    response = answer
            # It must be possible to send it.
            self._settings.judge.response_bytes(response)
        except AbortHandshake as exc:
            aborted = as_response(hook, (exc.status, exc.headers, exc.body))
            assert aborted is not None
            response = aborted
        except Exception as exc:
            if self._driver.ended:
                return False
            failure = HookError(hook)
            failure.__cause__ = exc
            self._log_failure(failure)
            response, agreed = self._server_error(), ([], None)
        return self._conclude(response, agreed)

    def _reply(self, response: Response, *, linger: bool = False) -> None:
        """Send a response that ends the connection."""
        self._response = response
        self._parser = None
        complete_response(response, http_date())
        data = self._settings.judge.response_bytes(response)
        if self.request is not None and self.request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        transport = self.transport
        transport.write(data)
        self._log_response(">")
        self.server._answered(self)
        if linger and transport.can_write_eof():
            transport.write_eof()
            self._response_timer = self._loop.call_later(LINGER, transport.abort)
            return
        if transport.get_write_buffer_size():
            self._watch_response(2**62)
        transport.close()

    def _watch_response(self, before: int) -> None:
        """Give up on a response when nothing of it is taken for `close_timeout`."""
        left = unsent(self.transport)
        if left >= before:
            self.transport.abort()
            return
        timeout = self._options.close_timeout
        if timeout is not None:
            self._response_timer = self._loop.call_later(
                timeout, self._watch_response, left
            )

    def _refuse_garbage(self, exc: Exception) -> None:
        """Answer what is no request, if a client could understand that."""
        self.logger.debug("! no valid HTTP request", exc_info=exc)
        response = self._settings.judge.error_response(exc, now_date=http_date())
        if response is None:
            self._parser = None
            self.transport.abort()
            return
        self._log_refusal(response)
        self._reply(response, linger=True)

    def _shut_out(self) -> None:
        """End a handshake that did not get as far as a request; the server closes."""
        parser = self._parser
        if parser is not None and parser.leftover:
            self._reply(self._unavailable("Server is shutting down.\n"), linger=True)
        else:
            self.transport.abort()

    def _timed_out(self) -> None:
        """Give up on a handshake after ``open_timeout``; the client gets no answer."""
        self.transport.abort()
        timeout = self._settings.open_timeout
        task = self.handler_task
        if task is None:
            self.logger.debug("! no request within %s s (open_timeout)", timeout)
        else:
            self.logger.error(
                "process_request or process_response took longer than %s s "
                "(open_timeout)",
                timeout,
            )
            task.cancel()

    def _unavailable(self, text: str, retry_after: int = 0) -> Response:
        response = self.respond(HTTPStatus.SERVICE_UNAVAILABLE, text)
        if retry_after:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def _server_error(self) -> Response:
        return self.respond(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Cannot open a WebSocket connection: the server failed.\n",
        )

    def _fail_handshake(self) -> None:
        self.logger.error("opening handshake failed", exc_info=True)
        self._parser = None
        self.transport.abort()

    # Logging

    def _log_refusal(self, response: Response) -> None:
        text = (
            "HTTP response sent (%d %s)"
            if response.status_code < 400
            else "connection rejected (%d %s)"
        )
        self.logger.info(text, response.status_code, response.reason_phrase)

    def _log_failure(self, exc: Exception) -> None:
        if isinstance(exc, HookError):
            self.logger.error("%s failed", exc.hook, exc_info=exc.__cause__)
        else:
            self.logger.error("opening handshake failed", exc_info=exc)

    def respond(self, status: StatusLike, text: str) -> Response:
        """
        Make a plain-text response, for `process_request` to return.

        Args:
            status: status code, 200 to 599.
            text: body.

        Returns:
            The response, which may be changed before it is returned.

        Raises:
            ValueError: the status code is out of range.
        """
        return self._settings.judge.reject(int(status), text, now_date=http_date())


async def maybe(value: Any) -> Any:
    """Wait for what a hook returned, if it was a coroutine function."""
    return await value if inspect.isawaitable(value) else value


_date = (0, "")


def http_date() -> str:
    """Return the time of day for ``Date``; it changes once a second."""
    global _date
    now = int(time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
