"""Attributes of a connection that do not wait, the same on every face."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ..diagnostics.connect_trace import ConnectTrace, show_address
from ..diagnostics.diagnosis import Diagnosis  # noqa: F401 (without descriptors, none can be loaded)
from ..endpoint.endpoint import Endpoint
from ..endpoint.frame_protocol import FrameProtocol, Side
from ..endpoint.hot import Waiter
from ..endpoint.not_open import NOT_OPEN
from ..endpoint.options import Options
from ..frames.close import State
from ..frames.frame import Extension
from ..http.headers import Headers
from ..http.logs import log_head
from ..http.messages import Request, Response
from ..http.parser import ResponseParser
from ..logs import PEER, ConnectionLogger
from ..typing import LoggerLike
from ..wire.wire import ReadBuffer
from . import websockets_names as names
from .representation import represent

if TYPE_CHECKING:
    from ..diagnostics.stats import Stats
    from .websockets_protocol import ConnectionProtocol

T = TypeVar("T")


class BaseConnection:
    """
    The base of all connection classes.

    A face sets `_session`, to `NOT_OPEN` until the handshake is done, and tells through
    `_tcp_ended` and `_address` what only its socket knows.

    Request and response are kept as bytes unless somebody has seen the objects, which
    take ten times the memory, and most programs never look at them.
    """

    side: Side

    # The classes of the faces have a dictionary, so they can be assigned to.
    __slots__ = ()

    _base_logger: LoggerLike
    _options: Options
    _session: Endpoint
    # Defaults on the class keep instances small.
    _request: Request | bytes | None = None
    _response: Response | bytes | None = None
    subprotocol: str | None
    #: trace of the opening; None for servers, and for connections without a trace
    opening: ConnectTrace | None = None
    # Whether a message is being sent frame by frame through `protocol`.
    _sending_frames = False

    # Names of older connections.
    is_client = names.is_client
    ping_interval = names.ping_interval
    ping_timeout = names.ping_timeout
    close_timeout = names.close_timeout
    max_size = names.max_size
    max_queue = names.max_queue
    max_queue_high = names.max_queue_high
    max_queue_low = names.max_queue_low
    read_limit = names.read_limit
    write_limit = names.write_limit
    write_limit_high = names.write_limit_high
    write_limit_low = names.write_limit_low
    messages = names.messages
    debug = names.debug
    close_rcvd = names.close_rcvd
    close_sent = names.close_sent
    close_rcvd_then_sent = names.close_rcvd_then_sent
    close_exc = names.close_exc

    def __repr__(self) -> str:
        return represent(self)

    def _tcp_ended(self) -> bool:
        """Whether TCP has ended before the connection was open."""
        raise NotImplementedError

    def _address(self, name: str) -> Any:
        """Return the address called ``sockname`` or ``peername``; None before TCP."""
        raise NotImplementedError

    def _tls(self) -> Any:
        """Return the `ssl.SSLObject`, or what has its methods; None without TLS."""
        raise NotImplementedError

    def _now(self) -> float:
        """Return seconds on the clock that the session is told."""
        raise NotImplementedError

    def _unsent(self) -> int:
        """Return how many bytes wait in the transport."""
        raise NotImplementedError

    def _abort_tcp(self) -> None:
        """End TCP at once, wherever the opening has got to."""
        raise NotImplementedError

    def _begin_close(self, code: int | None, reason: str) -> None:
        """Send a close frame and don't wait; the driver keeps the time."""
        raise NotImplementedError

    def _take_step(self, step: Callable[[Endpoint], Any]) -> None:
        """
        Let the session do what does not wait, and send what it queued.

        Args:
            step: called with the session, which knows the time; returns what to
                fire, or None.
        """
        raise NotImplementedError

    def fail_connection(self, code: int = 1006, reason: str = "") -> None:
        """
        End the connection without waiting (RFC 6455, 7.1.7).

        Args:
            code: close code for the peer; 1006 tells it nothing and ends TCP.
            reason: at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; nothing changed.
        """
        if self._session is NOT_OPEN or code == 1006:
            self._abort_tcp()
        else:
            self._begin_close(code, reason)

    def _make_session(
        self,
        options: Options,
        extensions: list[Extension],
        *,
        new_waiter: Callable[[], Waiter],
        now: float,
        buffer: ReadBuffer | None = None,
        direct_view: bool = True,
    ) -> Endpoint:
        """
        Turn from the handshake to messages.

        Args:
            extensions: negotiated extensions.
            new_waiter: as for `Session`, as is `now`.
            buffer: as for `Protocol`, as is `direct_view`.
        """
        protocol = FrameProtocol(
            self.side,
            max_size=options.max_size,
            max_fragment=options.max_fragment,
            # It takes as much memory as the messages; most connections need none.
            logger=self._find_logger,
            debug=self._debugging(),
            buffer=buffer,
            direct_view=direct_view,
        )
        protocol.use_extensions(extensions)
        if protocol.debug:
            self.logger.debug("= connection is OPEN")
        session = Endpoint(
            protocol, options, new_waiter=new_waiter, now=now, log=self._log_event
        )
        session.opening = self.opening
        return session

    @cached_property
    def id(self) -> uuid.UUID:
        """Identifier of the connection, useful in logs."""
        return uuid.uuid4()

    @cached_property
    def logger(self) -> LoggerLike:
        """Logger whose records have the attribute ``websocket``."""
        return ConnectionLogger(self._base_logger, self)

    @property
    def protocol(self) -> ConnectionProtocol:
        """The frame level.  AttributeError before the connection is open."""
        from .websockets_protocol import ConnectionProtocol

        if self._session is NOT_OPEN:
            raise AttributeError("protocol is available once the connection is open")
        return ConnectionProtocol(self)

    @property
    def local_address(self) -> Any:
        """
        Address of our end: a tuple for IP sockets, a path for Unix sockets.

        None before TCP is connected.
        """
        return self._address("sockname")

    @property
    def remote_address(self) -> Any:
        """Address of the peer's end; as `local_address`."""
        return self._address("peername")

    @property
    def ssl_object(self) -> Any:
        """
        TLS object, once its handshake is done; None without TLS.

        It has `getpeercert`, `cipher`, `version`, `selected_alpn_protocol` and
        `session_reused`, as `ssl.SSLObject` has them, on every face.  It is for
        looking only: bytes read or written here are missing elsewhere.
        """
        return self._tls()

    @property
    def state(self) -> State:
        """State of the connection (RFC 6455, 4 and 7)."""
        if self._session is not NOT_OPEN:
            return self._session.protocol.state
        return State.CLOSED if self._tcp_ended() else State.CONNECTING

    @property
    def open(self) -> bool:
        """Whether messages can be exchanged; False while opening and closing."""
        return self.state is State.OPEN

    @property
    def closed(self) -> bool:
        """Whether TCP has ended; False while opening and closing."""
        return self.state is State.CLOSED

    @property
    def request(self) -> Request | None:
        """The opening handshake; None before it was sent or received."""
        known = self._request
        if isinstance(known, bytes):
            known = self._request = Request.restore(known)  # type: ignore[misc]
        return known

    @request.setter
    def request(self, request: Request | None) -> None:
        self._request = request  # type: ignore[misc]

    @property
    def response(self) -> Response | None:
        """The answer; None before it was received or sent."""
        known = self._response
        if isinstance(known, bytes):
            known = ResponseParser().feed(known)
            self._response = known  # type: ignore[misc]
        return known

    @response.setter
    def response(self, response: Response | None) -> None:
        self._response = response  # type: ignore[misc]

    @property
    def path(self) -> str:
        """Path of the request, with the query.  AttributeError before it is known."""
        return self._known(self.request, "path").path

    @property
    def request_headers(self) -> Headers:
        """Headers of the request.  AttributeError before they are known."""
        return self._known(self.request, "request_headers").headers

    @property
    def response_headers(self) -> Headers:
        """Headers of the response.  AttributeError before they are known."""
        return self._known(self.response, "response_headers").headers

    def _known(self, part: T | None, name: str) -> T:
        if part is None or self._session is NOT_OPEN:
            raise AttributeError(f"{name} is available once the connection is open")
        return part

    @property
    def extensions(self) -> list[Extension]:
        """Extensions in use, in the order of the response."""
        return (
            self._session.protocol.extensions if self._session is not NOT_OPEN else []
        )

    @property
    def latency(self) -> float:
        """Seconds between the last answered ping and its pong; 0 before."""
        return self._session.pings.latency if self._session is not NOT_OPEN else 0.0

    @property
    def stats(self) -> Stats:
        """
        Numbers about the traffic and the state of the connection, at this moment.

        After the end, what it was then.  All zero before the connection is open.
        """
        # Imported here, as in `explain`, because few connections are asked.
        from ..diagnostics.stats import Stats

        if self._session is NOT_OPEN:
            return Stats()
        return Stats.of(self._session, self._now(), self._unsent())

    def explain(self) -> str:
        """
        Tell the whole story of the connection, live or dead, for people to read.

        Addresses, TLS, redirects, proxy, the handshake with secrets hidden, what was
        agreed, timings, counters, how it lives, and how it ended.
        """
        from ..diagnostics.explain import explain

        return explain(self, self._tls())

    @property
    def close_code(self) -> int | None:
        """
        Close code that was received; 1006 if there was none, 1005 if it was empty.

        None until the connection is closed (RFC 6455, 7.1.5).
        """
        return (
            self._session.protocol.close_code if self._session is not NOT_OPEN else None
        )

    @property
    def close_reason(self) -> str | None:
        """Close reason that was received, maybe empty; None until it is closed."""
        if self._session is NOT_OPEN:
            return None
        return self._session.protocol.close_reason

    # Logging

    def _log_request(self, mark: str) -> None:
        if not self._debugging():
            return
        request = self.request
        assert request is not None
        start = f"{request.method} {request.path} {request.protocol}"
        log_head(self.logger, mark, start, request.headers)

    def _log_response(self, mark: str) -> None:
        response = self.response
        if response is not None and self._debugging():
            status = f"{response.status_code} {response.reason_phrase}"
            start = f"{response.protocol} {status}"
            log_head(self.logger, mark, start, response.headers)

    def _log_event(self, level: int, message: str, *args: Any) -> None:
        """Log with the connection's own logger, which is made only if needed."""
        if self._base_logger.isEnabledFor(level):
            if any(arg is PEER for arg in args) and self.remote_address:
                name = show_address(self.remote_address)
                args = tuple(name if arg is PEER else arg for arg in args)
            self.logger.log(level, message, *args)

    def _debugging(self) -> bool:
        return self._base_logger.isEnabledFor(logging.DEBUG)

    def _find_logger(self) -> LoggerLike:
        """Return the connection's own logger, which is made only if needed."""
        return self.logger
