"""The server's end of a connection on trio: one task from TCP to the handler's end.

The request is read, hooks are called and the handler runs in the task that trio started
for the client.  Each phase has a cancel scope, which is its deadline and the server's
means to end it.
"""

from __future__ import annotations

import logging
import math
import ssl as tls
from collections.abc import Awaitable, Callable
from time import time
from typing import Any

import trio

from ..core.endpoint.not_open import NOT_OPEN
from ..core.http.headers import Headers
from ..core.http.messages import Request, Response
from ..core.server.connection import BaseServerConnection
from ..core.server.hooks import maybe, waited
from ..core.server.responder import DRAIN_AFTER_REFUSAL, HandshakeResult, reject
from ..core.typing import StatusLike
from ._byte_stream import StreamPipe, discard, make_pipe, receive_head
from ._connector import encrypt
from ._nursery import QuietNursery
from .connection import Connection


class ServerConnection(BaseServerConnection, Connection, face=True):
    """
    A connection from a client, as a handler of `serve` gets it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_connection``.  It is called with keyword
    arguments only; a subclass takes ``*args, **kwargs`` and passes them on.

    A subclass may override `process_request`, `select_subprotocol`,
    `process_origin`, `process_extensions` and `process_subprotocol`.

    Args:
        ws_handler: called with the connection once it is open.
        ws_server: the server that accepted it.
        **kwds: parameters of `serve` that concern connections.
    """

    #: handler of the route that was taken, for `Router`
    handler: Callable[..., Awaitable[None]]
    #: values of the variable parts of its path, for `Router`
    handler_kwargs: dict[str, Any]

    # Defaults on the class keep instances small.
    _shutting_out = False
    _running = False

    def __init__(
        self,
        ws_handler: Callable[[Any], Awaitable[None]],
        ws_server: Any,
        **kwds: Any,
    ) -> None:
        super().__init__(ws_handler, ws_server, **kwds)
        self._gone = trio.Event()
        # Around everything, and around what the server may cut off.
        self._life = trio.CancelScope()
        self._phase: trio.CancelScope

    # The life of a connection

    async def _live(self, stream: trio.abc.Stream, ssl: tls.SSLContext | None) -> None:
        """
        Live from TCP to the end of the handler.

        Args:
            stream: the caller closes it in any case.
            ssl: for TLS, which is part of the handshake's time.
        """
        server = self._server
        # The task, to tell who calls from within the handler.
        self._task = trio.lowlevel.current_task()
        peer = StreamPipe(stream).address("peername")
        try:
            if not server._register(self, peer, self._driver.clock()):
                return
            with self._life:
                result = await self._open_or_refuse(stream, ssl)
                if await self._carry_out(result):
                    await self._handle()
        finally:
            if not self._driver.ended:
                self._driver.ended = True
                if self._driver.pipe is not None:
                    await discard(self._driver.pipe)
            self._driver.forget()
            server._unregister(self)

    async def _open_or_refuse(
        self, stream: trio.abc.Stream, ssl: tls.SSLContext | None
    ) -> HandshakeResult | None:
        """Read a request and check it; None for nothing to say."""
        result = None
        timeout = self._settings.open_timeout
        with trio.CancelScope(
            deadline=math.inf if timeout is None else self._driver.clock() + timeout
        ) as self._phase:
            try:
                if ssl is not None:
                    peer = StreamPipe(stream).address("peername")
                    try:
                        stream = await encrypt(stream, ssl, server_side=True)
                    except OSError as exc:
                        self._tls_failed(peer, exc)
                        raise
                self._driver.pipe = make_pipe(stream)
                result = await self._read_request()
            except (OSError, trio.ClosedResourceError):
                self._leave()
            except Exception:
                self.logger.error("opening handshake failed", exc_info=True)
                self._drop_responder()
        self._server._handshake_done(self)
        if result is None and self._phase.cancelled_caught:
            if self._shutting_out:
                return self._shut_out(time())
            if self._server._closing_with is None:
                self._timed_out(hooks=self._running)
        self._running = False
        return result

    async def _read_request(self) -> HandshakeResult | None:
        """Read the request; returns the result, or None if the client leaves."""
        pipe, responder = self._driver.pipe, self._responder
        assert pipe is not None
        assert responder is not None
        while True:
            data = await receive_head(pipe)
            if not data:
                self._leave()
                return None
            result = responder.feed(self, data, self._driver.clock(), time())
            if isinstance(result, Request):
                break
            if result is not None:
                return result
        self._running = True
        async with QuietNursery() as nursery:
            nursery.start_soon(self._watch)
            try:
                return await waited(responder.respond(self, result, time()))
            finally:
                nursery.cancel_scope.cancel()

    async def _watch(self) -> None:
        """Notice that the client leaves while hooks run."""
        assert self._driver.pipe is not None
        try:
            data = await receive_head(self._driver.pipe)
        except (OSError, trio.ClosedResourceError):
            data = b""
        if not data:
            self._leave()
        elif self._responder is not None:
            # Frames that came before our answer.  Later input waits in the system.
            self._responder.parser.feed(data)

    def _leave(self) -> None:
        """Note that the client has gone before it was answered."""
        if self.request is None:
            self._log_event(logging.DEBUG, "! the client left before a request")
        self._driver.ended = True
        self._gone.set()

    async def _carry_out(self, result: HandshakeResult | None) -> bool:
        """Do what `result` says; returns whether the connection is open now."""
        pipe = self._driver.pipe
        if result is None or pipe is None or result.then == "abort":
            if pipe is not None:
                await discard(pipe)
            self._driver.ended = True
            return False
        try:
            if not await self._say(result.data):
                return False
            if result.then == "open":
                self._open(result.agreed[0], result.leftover)
                return True
            if result.then == "linger" and pipe.half_close():
                with trio.move_on_after(DRAIN_AFTER_REFUSAL):
                    while await receive_head(pipe):
                        pass
            with trio.move_on_after(DRAIN_AFTER_REFUSAL):
                await pipe.aclose()
            self._driver.ended = True
        except (OSError, trio.ClosedResourceError, trio.BrokenResourceError):
            pass
        return False

    async def _say(self, data: bytes) -> bool:
        """Send a response; gives up when nothing of it is taken for a while."""
        pipe = self._driver.pipe
        assert pipe is not None
        timeout = self._options.close_timeout
        view = memoryview(data)[pipe.send_now(data) :]
        while view:
            with trio.move_on_after(math.inf if timeout is None else timeout) as scope:
                view = view[await pipe.send(view) :]
            if scope.cancelled_caught:
                return False
        return True

    async def _handle(self) -> None:
        """Run the handler, and close the connection whatever becomes of it."""
        driver = self._driver
        how = 1011, ""
        async with QuietNursery() as nursery:
            driver.start(nursery.start_soon, shield=True)
            # Closing may have begun while the response was on its way.
            self._server._close_if_closing(self)
            try:
                with trio.CancelScope() as self._phase:
                    self._running = True
                    try:
                        how = await self._run_handler()
                    finally:
                        self._running = False
                if self._phase.cancelled_caught:
                    how = self._cancelled()
                await self._close_anyway(*how)
            except BaseException:
                # The whole server is being cancelled.
                driver.begin_close(*(self._server._closing_with or (1001, "")))
                raise
            finally:
                driver.abort()

    async def _close_anyway(self, code: int, reason: str) -> None:
        """Close, also where an override of `aclose` raises, or closes nothing."""
        try:
            await self.aclose(code, reason)
        except Exception:
            self.logger.error("aclose() of the connection failed", exc_info=True)
        if not self._driver.ended:
            await Connection.aclose(self, code, reason)

    async def _run_handler(self) -> tuple[int, str]:
        """Call the handler; returns what to close with."""
        try:
            await self.ws_handler(self)
        except Exception as exc:
            return self._failed(exc)
        except BaseExceptionGroup as group:
            # Cancelled, and something else on the way out.
            errors, rest = group.split(Exception)
            if errors is not None:
                self._failed(errors)
            assert rest is not None
            raise rest from None
        return self._returned()

    def _ended(self, exc: BaseException | None) -> None:
        self._gone.set()
        self._log_event(logging.INFO, "connection closed")

    # The server calls

    def _cut_off(self) -> None:
        """End what the client or the application takes too long for."""
        self._phase.cancel()

    def _shut_out_silent(self) -> None:
        """Give up on a client that has not sent a request when the server closes."""
        if self.request is None:
            self._shutting_out = True
            self._phase.cancel()

    def _abort_tcp(self) -> None:
        if self._session is NOT_OPEN:
            self._kill()
        else:
            self._driver.abort()

    def _kill(self) -> None:
        """End the connection now."""
        self._driver.abort()
        self._life.cancel()

    # Methods that programs override

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

    # Methods that programs call

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
        if self._session is NOT_OPEN:
            await self._gone.wait()
        else:
            await super().wait_closed()

    @property
    def ws_server(self) -> Any:
        """The server that accepted the connection."""
        return self.server
