"""The opening handshake of uvicorn's connections: request, decision, response."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from time import monotonic
from typing import Any

from uvicorn.config import Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)
from uvicorn.server import ServerState

from ..asyncio._driver import Driver
from ..asyncio._transports import read_buffer
from ..core.diagnostics.connect_trace import show_address
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.frame_protocol import FrameProtocol, Side
from ..core.endpoint.options import Options
from ..core.extensions.permessage_deflate import enable_server_permessage_deflate
from ..core.frames.frame import Extension
from ..core.handshake.server import ServerHandshake, error_text
from ..core.http.messages import MAX_HEAD_SIZE, Response
from ..core.http.parser import RequestParser
from ..core.logs import PEER
from ._asgi import ACCEPT, CLOSE, START, Denial, Event, Stage, add_headers, scope_of

# Bytes of frames that may come before the application has accepted.
MAX_EARLY = 65536
# Seconds for a client to take the last of a response before TCP is cut.
RESPONSE_TIMEOUT = 10.0


class _Shared:
    """Settings shared by all connections of one uvicorn configuration."""

    def __init__(self, config: Config) -> None:
        self.logger = logging.getLogger("uvicorn.error")
        # 0 stands for None, which cannot be given on uvicorn's command line.
        self.options = Options.check(
            max_size=config.ws_max_size,
            max_queue=config.ws_max_queue,
            ping_interval=config.ws_ping_interval or None,
            ping_timeout=config.ws_ping_timeout or None,
        )
        deflate = config.ws_per_message_deflate
        self.handshake = ServerHandshake(
            extensions=enable_server_permessage_deflate(None) if deflate else None,
            server_header=None,
        )


_shared: weakref.WeakKeyDictionary[Config, _Shared] = weakref.WeakKeyDictionary()


class HandshakePhase(Driver):
    """
    The part of a connection that lives until it is open.

    Args:
        config: of the server.
        server_state: of the server; connections and tasks are entered there.
        app_state: state of the application's lifespan.
        _loop: the running loop.
    """

    __slots__ = (
        "_app",
        "_app_state",
        "_config",
        "_connect_told",
        "_denial",
        "_early",
        "_early_paused",
        "_end_timer",
        "_extensions",
        "_full",
        "_response",
        "_scope",
        "_server_state",
        "_shared",
        "_waiting",
        "stage",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        super().__init__(
            _loop or asyncio.get_running_loop(),
            on_connect=self._connected,
            on_handshake=self._early_received,
            on_end=self._lost,
        )
        shared = _shared.get(config)
        if shared is None:
            shared = _shared[config] = _Shared(config)
        self._shared = shared
        self._config = config
        self._app: Any = config.loaded_app
        self._app_state = app_state
        self._server_state = server_state
        #: progress of the application
        self.stage = Stage.CONNECTING
        self._response: Response | None = None
        self._extensions: list[Extension] = []
        self._scope: Any = None
        self._connect_told = False
        self._denial: Denial | None = None
        self._early = bytearray()
        self._early_paused = False
        self._full = False
        self._waiting: list[Any] = []
        self._end_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take the request, whole."""
        # uvloop goes on with the way of reading that it began with, and keeps the
        # methods of the protocol that it began with.
        self.transport.set_protocol(self)
        self.transport.pause_reading()
        self.transport.resume_reading()
        shared = self._shared
        handshake = shared.handshake
        try:
            # uvicorn has let a line of any length pass, up to the limit of the head.
            request = RequestParser(max_line=MAX_HEAD_SIZE).feed(data)
        except Exception as exc:
            shared.logger.debug("! no valid request", exc_info=exc)
            response = handshake.error_response(exc)
            if response is None:
                # uvicorn has understood it, so it was HTTP.
                response = handshake.reject(400, error_text(exc))
            self._refuse(response)
            return
        assert request is not None
        self._response = handshake.accept(request)
        if handshake.exception is not None:
            shared.logger.debug("! invalid handshake", exc_info=handshake.exception)
            self._refuse(self._response)
            return
        self._extensions = handshake.extensions
        config = self._config
        self._scope = scope_of(
            request,
            secure=is_ssl(self.transport),
            asgi_version=config.asgi_version,
            root_path=config.root_path,
            client=get_remote_addr(self.transport),
            server=get_local_addr(self.transport),
            state=self._app_state,
        )
        context = None
        if getattr(config, "reset_contextvars", False):
            context = contextvars.Context()
        task = self.loop.create_task(self._run(), context=context)
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    # Methods that the driver calls

    def _connected(self, transport: Any) -> None:
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._trace("WebSocket connection made")

    def _early_received(self, data: bytes) -> None:
        """Keep what comes before the application has decided."""
        if self.stage is Stage.CONNECTING:
            self._early += data
            if len(self._early) > MAX_EARLY and not self._early_paused:
                self._early_paused = True
                self.transport.pause_reading()
                self.watch_end(True)

    def pause_writing(self) -> None:
        """Note that the transport's buffer is above its high mark."""
        self._full = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the transport's buffer is at its low mark."""
        self._full = False
        self._wake()
        super().resume_writing()

    def _lost(self, exc: BaseException | None) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
        self._server_state.connections.discard(self)
        self._wake()
        if self.session is not None:
            self._shared.logger.info("connection closed")
        self._trace("WebSocket connection lost")

    def _trace(self, text: str) -> None:
        logger = self._shared.logger
        if logger.isEnabledFor(TRACE_LOG_LEVEL):
            client = get_remote_addr(self.transport)
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            logger.log(TRACE_LOG_LEVEL, "%s%s", prefix, text)

    # The application's decision

    async def _run(self) -> None:
        raise NotImplementedError

    async def _send_unopened(self, message: Event) -> None:
        kind = message["type"]
        if self._gone():
            if kind == CLOSE:
                return
            raise ClientDisconnected("the client has left before the answer")
        if kind == ACCEPT:
            self._accept(message)
        elif kind == CLOSE:
            self.stage = Stage.DONE
            self._answer(403, b"")
        elif kind == START:
            self._denial = Denial(message, self._server_state.default_headers)
            self.stage = Stage.DENYING
            self._log_access(self._denial.status)
        else:
            await self._send_body(message)
        self._wake()

    def _accept(self, message: Event) -> None:
        assert self._response is not None
        headers = self._response.headers.copy()
        add_headers(headers, self._server_state.default_headers)
        add_headers(headers, message.get("headers") or ())
        subprotocol = message.get("subprotocol")
        if subprotocol is not None:
            headers["Sec-WebSocket-Protocol"] = subprotocol
            if subprotocol not in self._scope["subprotocols"]:
                self._shared.logger.warning(
                    "ASGI application chose subprotocol %r, which the client did not "
                    "offer; most clients end the connection",
                    subprotocol,
                )
        self._response.headers = headers
        self.transport.write(self._response.serialize())
        self.stage = Stage.OPEN
        self._log_access("[accepted]")
        self._open_session()
        self._response = self._scope = None

    def _open_session(self) -> None:
        shared = self._shared
        options = shared.options
        buffer = read_buffer(self.loop)
        protocol = FrameProtocol(
            Side.SERVER,
            max_size=options.max_size,
            logger=shared.logger,
            buffer=buffer,
            direct_view=buffer is not None,
        )
        protocol.use_extensions(self._extensions)
        if self._early_paused:
            self.transport.resume_reading()
        shared.logger.info("connection open")
        early, self._early = bytes(self._early), bytearray()
        self.open(
            Endpoint(
                protocol,
                options,
                new_waiter=self.new_waiter,
                now=monotonic(),
                log=self._log_event,
            ),
            early,
        )

    def _log_event(self, level: int, message: str, *args: Any) -> None:
        client = get_remote_addr(self.transport)
        name = show_address(client) if client else PEER
        args = tuple(name if arg is PEER else arg for arg in args)
        self._shared.logger.log(level, message, *args)

    # Responses

    async def _send_body(self, message: Event) -> None:
        denial = self._denial
        assert denial is not None
        more = message.get("more_body", False)
        data = denial.body(message.get("body", b""), more)
        if not more:
            self.stage = Stage.DONE
            self._last(data)
            return
        self.transport.write(data)
        while self._full:
            await self._wait()
            if self._gone():
                raise ClientDisconnected("the client left during the response")

    def _answer(self, status: int, body: bytes) -> None:
        """Send a response of our own."""
        headers = [(b"content-type", b"text/plain; charset=utf-8")] if body else []
        start = {"status": status, "headers": headers}
        self._log_access(status)
        self._last(Denial(start, self._server_state.default_headers).body(body, False))

    def _refuse(self, response: Response) -> None:
        """Refuse what is no WebSocket request; the application is not asked."""
        self.stage = Stage.DONE
        status = response.status_code
        self._shared.logger.info(
            "connection rejected (%d %s)", status, response.reason_phrase
        )
        add_headers(response.headers, self._server_state.default_headers)
        self._last(response.serialize())

    def _last(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()
        self._end_within(RESPONSE_TIMEOUT)

    def _end_within(self, timeout: float) -> None:
        if self._end_timer is None and not self.ended:
            self._end_timer = self.loop.call_later(timeout, self.transport.abort)

    def _log_access(self, result: object) -> None:
        self._shared.logger.info(
            '%s - "WebSocket %s" %s',
            get_client_addr(self._scope),
            get_path_with_query_string(self._scope),
            result,
        )

    def _gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.ended or self.transport.is_closing()

    async def _wait(self) -> None:
        """Wait until something happens before the connection is open."""
        waiter = self.new_waiter()
        self._waiting.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.fire_soon()
