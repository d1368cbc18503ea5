"""Server side of a connection on asyncio, for handlers and subclasses.

Bytes are parsed as they arrive.  Where no hook may have to wait, the request is
answered within the same callback, and the connection's one task is made only for the
handler.  A client that does not get that far costs no task and no timer.

Programs test ``isinstance(connection, WebSocketServerProtocol)`` for the connections of
`serve`, and the two names are one class in every generation of websockets that has
both.  So `ServerConnection` also has the methods of an `asyncio.Protocol`, see
`ForeignServer`.  A connection of `serve` calls none of them.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, time
from typing import Any

from ..core.buffers import check_bytes
from ..core.connection.websockets_names import fallback
from ..core.endpoint.not_open import NOT_OPEN
from ..core.http.headers import Headers
from ..core.http.messages import Request, Response
from ..core.server.base import BaseServer
from ..core.server.config import ServerSettings
from ..core.server.connection import BaseServerConnection
from ..core.server.hook_forms import adapt_handler
from ..core.server.hooks import maybe, waited
from ..core.server.responder import DRAIN_AFTER_REFUSAL, HandshakeResult, reject
from ..core.typing import StatusLike
from ._driver import create_task, create_task_eager
from ._foreign_server import ForeignServer
from ._tls_transport import TlsTransport
from ._transports import unsent
from .connection import Connection


class ServerConnection(BaseServerConnection, Connection, face=True):
    """
    A connection from a client, as a handler of `serve` gets it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_protocol``.  It is called with keyword
    arguments only; a subclass takes ``*args, **kwargs`` and passes them on.

    A subclass may override `process_request`, `select_subprotocol`,
    `process_origin`, `process_extensions` and `process_subprotocol`.

    A program may also give a connection to a transport as its protocol.

    Args:
        ws_handler: called with the connection once it is open, or with it and the
            path.
        ws_server: the server that accepted it, or anything that has
            ``register(connection)``, ``unregister(connection)`` and ``is_serving()``.
        **kwds: parameters of `serve` that concern connections.
    """

    #: handler of the route that was taken, for `Router`
    handler: Callable[..., Awaitable[None]]
    #: values of the variable parts of its path, for `Router`
    handler_kwargs: dict[str, Any]
    #: the task that runs the handler; None until the request is complete
    handler_task: asyncio.Task[None] | None = None

    # Defaults on the class keep instances small.
    _gone: asyncio.Event | None = None
    _response_timer: asyncio.TimerHandle | None = None
    _early_paused = False
    _create_task = staticmethod(create_task_eager)
    # Whether this is the protocol of a transport, and whether it has left reading to
    # its driver.
    _is_protocol = False
    _handed_over = False
    _extra_headers: Any = None

    def __init__(
        self,
        ws_handler: Callable[..., Awaitable[None]],
        ws_server: Any,
        **kwds: Any,
    ) -> None:
        if isinstance(ws_server, BaseServer):
            super().__init__(ws_handler, ws_server, **kwds)
            return
        self._is_protocol = True
        # `connection_made` comes before `data_received`, so the task may start later.
        self._create_task = create_task
        super().__init__(
            adapt_handler(ws_handler), ForeignServer(ws_server, kwds), **kwds
        )
        vars(self)["server"] = ws_server

    # The handler

    async def _serve(self, request: Request | None) -> None:
        """
        Live from the request to the end of the handler.

        Args:
            request: None if it has been answered.
        """
        if request is not None:
            try:
                if not await self._answer_request(request):
                    return
            except asyncio.CancelledError:
                self._driver.transport.abort()
                raise
            except Exception:
                self._fail_handshake()
                return
            request = None
        try:
            await self.ws_handler(self)
        except asyncio.CancelledError:
            await self._close_anyway(*self._cancelled())
            raise
        except Exception as exc:
            await self._close_anyway(*self._failed(exc))
        else:
            await self._close_anyway(*self._returned())

    async def _close_anyway(self, code: int, reason: str) -> None:
        """Close, also where an override of `close` raises, or closes nothing."""
        try:
            await self.close(code, reason)
        except Exception:
            self.logger.error("close() of the connection failed", exc_info=True)
        if not self._driver.ended:
            await Connection.close(self, code, reason)

    def _is_running(self) -> bool:
        """Whether a hook or the handler is at work."""
        return self.handler_task is not None and not self.handler_task.done()

    def _start(self, life: Any) -> None:
        task = self._create_task(self._loop, life)
        self.handler_task = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._driver.ended:
            self._server._unregister(self)
        elif self._session is NOT_OPEN and self._responder is not None:
            # Cancelled before it ran.
            self._driver.transport.abort()

    # Input

    def _connected(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        if not self._server._register(self, peer, monotonic()):
            transport.abort()
        if self._is_protocol:
            return  # the transport has called `connection_made`
        if isinstance(transport, TlsTransport):
            # Programs ask it for the certificate.
            transport.call_when_secure(partial(super()._connected, transport))
        else:
            super()._connected(transport)

    def _handshake_received(self, data: bytes) -> None:
        responder = self._responder
        if responder is None:
            return  # answered; nobody wants the rest
        if self._request is not None:
            # Frames that came before our answer.  Later input waits in the system.
            responder.parser.feed(data)
            self._early_paused = True
            self._driver.transport.pause_reading()
            self._driver.watch_end(True)
            return
        try:
            result = responder.feed(self, data, monotonic(), time())
            if isinstance(result, Request):
                self._start(self._serve(result))
            elif result is not None and self._carry_out(result):
                self._start(self._serve(None))
        except Exception:
            self._fail_handshake()

    def _ended(self, exc: BaseException | None) -> None:
        if self.handler_task is None:
            self._drop_responder()
        self._server._tcp_ended()
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None
        if self._gone is not None:
            self._gone.set()
        transport = self._driver.transport
        secure = not isinstance(transport, TlsTransport) or transport.established
        if not secure and exc is not None:
            self._tls_failed(self.remote_address, exc)
        elif self._session is not NOT_OPEN:
            self._log_event(logging.INFO, "connection closed")
        elif self._request is None and self._response is None:
            self._log_event(logging.DEBUG, "! the client left before a request")
        if self.handler_task is None or self.handler_task.done():
            self._server._unregister(self)
        if secure:
            super()._ended(exc)

    # Output

    def _client_gone(self) -> bool:
        return self._driver.ended or self._driver.transport.is_closing()

    async def _answer_request(self, request: Request) -> bool:
        """Call the hooks, which may wait, and answer; returns whether it is open."""
        responder = self._responder
        assert responder is not None
        return self._carry_out(await waited(responder.respond(self, request, time())))

    def _carry_out(self, result: HandshakeResult) -> bool:
        """Do what `result` says; returns whether the connection is open now."""
        transport = self._driver.transport
        if result.then == "abort":
            transport.abort()
            return False
        transport.write(result.data)
        self._server._handshake_done(self)
        if result.then == "open":
            if self._early_paused:
                transport.resume_reading()
            self._open(result.agreed[0], result.leftover)
            return True
        if result.then == "linger" and transport.can_write_eof():
            transport.write_eof()
            self._response_timer = self._loop.call_later(
                DRAIN_AFTER_REFUSAL, transport.abort
            )
            return False
        if transport.get_write_buffer_size():
            self._watch_response(2**62)
        transport.close()
        return False

    def _watch_response(self, before: int) -> None:
        """Give up on a response when nothing of it is taken for `close_timeout`."""
        left = unsent(self._driver.transport)
        if left >= before:
            self._driver.transport.abort()
            return
        timeout = self._options.close_timeout
        if timeout is not None:
            self._response_timer = self._loop.call_later(
                timeout, self._watch_response, left
            )

    def _end_opening(self) -> None:
        """Give up on a handshake after ``open_timeout``."""
        self._driver.transport.abort()
        self._timed_out(hooks=self.handler_task is not None)
        if self.handler_task is not None:
            self.handler_task.cancel()

    def _fail_handshake(self) -> None:
        self.logger.error("opening handshake failed", exc_info=True)
        self._drop_responder()
        self._driver.transport.abort()

    # Methods that programs override or call

    async def process_request(self, path: str, request_headers: Headers) -> Any:
        """
        Override to answer plain HTTP, or to check requests.

        By default this calls the function that was given to `serve`.

        Returns:
            None to go on, or ``(status, headers, body)``, or a `Response`.
        """
        hook = self._settings.process_request
        if hook is None or self.request is None:
            return None
        return await maybe(hook(self, self.request))

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
        return reject(self._settings, status, text, time())

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, by whichever side.

        A hook may call it too, to learn that its client has gone.

        Never raises.  Cancellation: safe.
        """
        while self._session is NOT_OPEN:
            if self._driver.ended:
                return
            if self._gone is None:
                self._gone = asyncio.Event()
            await self._gone.wait()
        await super().wait_closed()

    # Methods that a transport calls, see `ForeignServer`

    def connection_made(self, transport: Any) -> None:
        """Override to learn of the transport, before the handshake."""
        if self._is_protocol:
            self._driver.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take the client's request, where this is the protocol of a transport."""
        if not self._handed_over:
            self._handed_over = True
            # The caller may make us the transport's protocol right after this call.
            self._loop.call_soon(self._hand_over)
        self._handshake_received(bytes(check_bytes("data", data)))

    def _hand_over(self) -> None:
        driver = self._driver
        transport = driver.transport
        if driver.ended or transport.is_closing():
            return
        transport.set_protocol(driver)
        if not self._early_paused and (
            driver.session is None or not driver.session.reading_paused
        ):
            # uvloop chooses buffered or plain reading when reading starts; restart it.
            transport.pause_reading()
            transport.resume_reading()

    def eof_received(self) -> None:
        """Note the end of input, where this is the protocol of a transport."""
        self._driver.eof_received()

    def pause_writing(self) -> None:
        """Note a full buffer, where this is the protocol of a transport."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Note room in the buffer, where this is the protocol of a transport."""
        self._driver.resume_writing()

    # Attributes that programs of websockets 10 set themselves

    @fallback
    def loop(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The event loop of the connection."""
        return self._loop

    @fallback
    def transport(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The asyncio transport; None before TCP is connected."""
        return self._driver.transport

    @fallback
    def ws_server(self) -> Any:
        """The server that accepted the connection."""
        return self.server

    @property
    def extra_headers(self) -> Any:
        """Headers added to the response 101; may be set, or grow, before that."""
        if self._extra_headers is None:
            return self._settings.extra_headers
        return self._extra_headers

    @extra_headers.setter
    def extra_headers(self, headers: Any) -> None:
        self._extra_headers = headers
        given: Any = headers
        if not callable(headers):
            # A list may grow until the response is sent.
            given = lambda path, request_headers: headers  # noqa: E731
        self._own_settings().extra_headers = given

    @property
    def server_header(self) -> str | None:
        """Value of ``Server``; may be set before the response is sent."""
        return self._settings.server_header

    @server_header.setter
    def server_header(self, value: str | None) -> None:
        settings = self._own_settings()
        settings.server_header = value
        settings.handshake = settings.make_handshake()

    def _own_settings(self) -> ServerSettings:
        """Return settings that no other connection has."""
        if self._settings is self._server.settings:
            self._settings = copy.copy(self._settings)
            if self._responder is not None:
                self._responder.settings = self._settings
        return self._settings
