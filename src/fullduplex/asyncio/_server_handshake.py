"""The server's opening handshake on asyncio: the driver of `HandshakeResponder`.

Bytes are parsed as they arrive.  Where no hook may have to wait, the request is
answered within the same callback, and the connection's one task is made only for the
handler.  A client that does not get that far costs no task and no timer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from ..core.endpoint.not_open import NOT_OPEN
from ..core.http.messages import Request, Response
from ..core.http.parser import RequestParser
from ..core.server.config import ServerSettings
from ..core.server.connection import Handling
from ..core.server.hooks import waited
from ..core.server.responder import LINGER, HandshakeResult
from ..core.typing import StatusLike
from ._driver import begin
from ._tls_transport import TlsTransport
from ._transports import unsent
from .connection import Connection

if TYPE_CHECKING:
    from ._server import Server


class Opening(  # pyright: ignore[reportIncompatibleVariableOverride]
    Handling, Connection
):
    """
    The part of a server's connection that lives until it is open.

    Args:
        ws_handler: called with the connection once it is open.
        ws_server: the server that accepted it.
        **kwds: parameters of `serve` that concern connections.
    """

    # Defaults on the class keep instances small.
    _gone: asyncio.Event | None = None
    _response_timer: asyncio.TimerHandle | None = None
    _early_paused = False
    _begin = staticmethod(begin)

    def __init__(
        self,
        ws_handler: Callable[[Any], Awaitable[None]],
        ws_server: Server,
        **kwds: Any,
    ) -> None:
        settings = ws_server.settings
        if kwds != settings.keywords:
            settings = ServerSettings(kwds, settings.logger)
        super().__init__(settings.options, settings.logger)
        #: the server that accepted the connection
        self.server: Any = ws_server
        self.ws_handler = ws_handler
        #: the task that runs the handler; None until the request is complete
        self.handler_task: asyncio.Task[None] | None = None
        self._settings = settings
        self._parser: RequestParser | None = RequestParser()

    async def _serve(self, request: Request | None) -> None:
        raise NotImplementedError

    # Input

    def _connected(self, transport: Any) -> None:
        self._reception._attach(self, transport)
        if isinstance(transport, TlsTransport):
            # Programs ask it for the certificate.
            transport.call_when_secure(partial(super()._connected, transport))
        else:
            super()._connected(transport)

    def _handshake_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return  # answered; nobody wants the rest
        if self.request is not None:
            # Frames that came before our answer.  Later input waits in the system.
            parser.feed(data)
            self._early_paused = True
            self.transport.pause_reading()
            self._driver.watch_end(True)
            return
        try:
            taken = self._take(data, time())
            if isinstance(taken, Request):
                retry_after = self._reception._retry_after(self, monotonic())
                answer = self._at_once(taken, retry_after, time())
                if answer is None:
                    self._start(self._serve(taken))
                elif self._carry_out(answer):
                    self._start(self._serve(None))
            elif taken is not None:
                self._carry_out(taken)
        except Exception:
            self._fail_handshake()

    def _start(self, life: Any) -> None:
        task = self._begin(self._loop, life)
        self.handler_task = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._driver.ended:
            self._reception._detach(self)
        elif self._session is NOT_OPEN and self._parser is not None:
            # Cancelled before it ran.
            self.transport.abort()

    def _ended(self, exc: BaseException | None) -> None:
        self._parser = None if self.handler_task is None else self._parser
        self._reception._freed()
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None
        if self._gone is not None:
            self._gone.set()
        transport = self.transport
        secure = not isinstance(transport, TlsTransport) or transport.established
        if not secure and exc is not None:
            self._tls_failed(self.remote_address, exc)
        elif self._session is not NOT_OPEN:
            self._note(logging.INFO, "connection closed")
        elif self.request is None and self.response is None:
            self._note(logging.DEBUG, "! the client left before a request")
        if self.handler_task is None or self.handler_task.done():
            self._reception._detach(self)
        if secure:
            super()._ended(exc)

    # Output

    def _client_gone(self) -> bool:
        return self._driver.ended or self.transport.is_closing()

    async def _answer_request(self, request: Request) -> bool:
        """Call the hooks, which may wait, and answer; returns whether it is open."""
        return self._carry_out(await waited(self._answer(request, time())))

    def _carry_out(self, answer: HandshakeResult) -> bool:
        """Do what `answer` says; returns whether the connection is open now."""
        transport = self.transport
        if answer.then == "abort":
            transport.abort()
            return False
        transport.write(answer.data)
        self._reception._answered(self)
        if answer.then == "open":
            if self._early_paused:
                transport.resume_reading()
            self._open(answer.agreed[0], answer.leftover)
            return True
        if answer.then == "linger" and transport.can_write_eof():
            transport.write_eof()
            self._response_timer = self._loop.call_later(LINGER, transport.abort)
            return False
        if transport.get_write_buffer_size():
            self._watch_response(2**62)
        transport.close()
        return False

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

    def _end_opening(self) -> None:
        """Give up on a handshake after ``open_timeout``."""
        self.transport.abort()
        self._timed_out(hooks=self.handler_task is not None)
        if self.handler_task is not None:
            self.handler_task.cancel()

    def _fail_handshake(self) -> None:
        self.logger.error("opening handshake failed", exc_info=True)
        self._parser = None
        self.transport.abort()

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
        return self._respond(status, text, time())
