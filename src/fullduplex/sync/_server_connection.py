"""Server side of a blocking connection: one thread runs handshake, handler, close."""

from __future__ import annotations

import inspect
import logging
import math
import socket
import threading
from collections.abc import Callable, Generator
from ssl import SSLContext
from time import monotonic, time
from typing import Any

from ..core.endpoint.not_open import NOT_OPEN
from ..core.http.headers import Headers
from ..core.http.messages import Request, Response
from ..core.server.connection import BaseServerConnection
from ..core.server.responder import DRAIN_AFTER_REFUSAL, HandshakeResult, reject
from ..core.typing import StatusLike
from ._channel import HandshakeSocket
from .connection import Connection


class _ServerCloses(Exception):
    """The server closes, and the client has not sent its request yet."""


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
    handler: Callable[..., None]
    #: values of the variable parts of its path, for `Router`
    handler_kwargs: dict[str, Any]

    # Whether a hook is at work, and whether TCP was cut meanwhile.
    _asking = False
    _cut = False
    # The thread, while the handler or a hook runs.
    _thread: threading.Thread | None = None

    # The life of a connection, in its own thread

    def _live(self, context: SSLContext | None) -> None:
        """
        Live from TCP to the end of the handler.

        Args:
            context: for TLS, which is part of the handshake's time.
        """
        self._thread = threading.current_thread()
        try:
            if self._opened(context):
                self._serve()
                self._log_event(logging.INFO, "connection closed")
        finally:
            self._abandon()
            self._thread = None
            self._server._unregister(self)

    def _opened(self, context: SSLContext | None) -> bool:
        """Do the opening handshake; returns whether the connection is open."""
        channel = self._channel
        assert channel is not None
        try:
            return self._carry_out(channel, self._handshake(channel, context))
        except TimeoutError:
            self._timed_out(hooks=False)
        except OSError as exc:
            self._log_event(logging.DEBUG, "! TCP or TLS failed: %s", exc)
        except Exception:
            self.logger.error("opening handshake failed", exc_info=True)
        self._drop_responder()
        return False

    def _handshake(
        self, channel: HandshakeSocket, context: SSLContext | None
    ) -> HandshakeResult:
        responder = self._responder
        assert responder is not None
        try:
            channel.poll_hook = self._look
            if context is not None and not self._encrypted(channel, context):
                return HandshakeResult(b"", "abort")
            result: Request | HandshakeResult | None = None
            while result is None:
                data = channel.receive()
                if not data:
                    self._log_event(logging.DEBUG, "! the client left before a request")
                    return HandshakeResult(b"", "abort")
                result = responder.feed(self, data, monotonic(), time())
        except _ServerCloses:
            return self._shut_out(time())
        finally:
            channel.poll_hook = None
        if isinstance(result, HandshakeResult):
            return result
        self._asking = True
        try:
            return asked(responder.respond(self, result, time()))
        finally:
            self._asking = False

    def _encrypted(self, channel: HandshakeSocket, context: SSLContext) -> bool:
        """Do the TLS handshake; returns whether it did not fail."""
        peer = self.remote_address
        try:
            channel.start_tls(context, server_side=True)
        except TimeoutError:
            raise
        except OSError as exc:
            self._tls_failed(peer, exc)
            return False
        return True

    def _look(self) -> None:
        if self._server._shuts_out(monotonic()):
            raise _ServerCloses

    def _carry_out(self, channel: HandshakeSocket, result: HandshakeResult) -> bool:
        """Do what `result` says; returns whether the connection is open now."""
        if result.then == "abort":
            return False
        patience = self._options.close_timeout
        channel.deadline = monotonic() + (math.inf if patience is None else patience)
        channel.send(result.data, patience)
        if result.then == "open":
            # Shutting down closes it from here on.
            self._open(result.agreed[0], result.leftover)
            self._server._handshake_done(self)
            return True
        self._server._handshake_done(self)
        channel.finish()
        if result.then == "linger":
            channel.deadline = monotonic() + DRAIN_AFTER_REFUSAL
            while channel.receive():
                pass
        return False

    def _serve(self) -> None:
        try:
            result: Any = self.ws_handler(self)
            refuse_coroutine("handler", result)
        except Exception as exc:
            self._close_anyway(*self._failed(exc))
        else:
            self._close_anyway(*self._returned())

    def _close_anyway(self, code: int, reason: str) -> None:
        """Close, also where an override of `close` raises, or closes nothing."""
        try:
            self.close(code, reason)
        except Exception:
            self.logger.error("close() of the connection failed", exc_info=True)
        if not self._driver.ended:
            Connection.close(self, code, reason)

    # Methods that the server calls, from other threads

    def _end_opening(self) -> None:
        """Give up on a handshake after ``open_timeout``."""
        if self._asking:
            self._cut = True
            self._abort_tcp()
            self._timed_out(hooks=True)

    def _abort_tcp(self) -> None:
        """End TCP, so that the thread of the connection notices."""
        channel = self._channel
        if self._session is not NOT_OPEN:
            self._driver.abort()
        elif channel is not None:
            try:
                channel.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the client is gone already

    def _is_running(self) -> bool:
        """Whether a hook or the handler is at work."""
        return self._asking or self._session is not NOT_OPEN

    # Methods that programs override

    def process_request(self, path: str, request_headers: Headers) -> Any:
        """
        Override to answer plain HTTP, or to check requests.

        By default this calls the function that was given to `serve`.

        Returns:
            None to go on, or ``(status, headers, body)``, or a `Response`.
        """
        hook = self._settings.process_request
        if hook is None or self.request is None:
            return None
        return hook(self, self.request)

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

    def wait_closed(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection is closed, by whichever side.

        A hook may call it too, to learn that its client has gone.

        Args:
            timeout: seconds to wait at most; None for ever.

        Returns:
            Whether it is closed.
        """
        channel = self._channel
        if self._session is not NOT_OPEN or channel is None:
            return super().wait_closed(timeout)
        deadline = math.inf if timeout is None else monotonic() + timeout
        return channel.wait_for_end(deadline)

    def _client_gone(self) -> bool:
        return self._cut or self._tcp_ended()


def asked(steps: Generator[Any, Any, HandshakeResult]) -> HandshakeResult:
    """Give back what the hooks return, until there is an answer."""
    try:
        value = next(steps)
        while True:
            try:
                refuse_coroutine("hook", value)
            except TypeError as exc:
                value = steps.throw(exc)
            else:
                value = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def refuse_coroutine(name: str, value: Any) -> None:
    """
    Refuse what a function made for asyncio returns.

    Raises:
        TypeError: it is a coroutine.
    """
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(f"{name} is a coroutine function; here it must be a function")
