"""Client side of the opening handshake: the request, and the response.

A face makes the handshake with `_start_handshake`, sends its bytes, and gives what the
server answers to `_feed_response`.  Nothing here waits, writes or knows the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..connection.base import BaseConnection
from ..connection.overrides import CLIENT_STEPS, refuse_overrides
from ..endpoint.frame_protocol import Side
from ..endpoint.options import Options
from ..errors import InvalidMessage
from ..extensions.base import ClientExtensionFactory
from ..handshake.client import ClientHandshake, body_late
from ..handshake.negotiation import (
    process_client_extensions,
    process_client_subprotocol,
)
from ..handshake.request_template import RequestTemplate
from ..http.headers import HeadersLike
from ..http.messages import USER_AGENT, Request
from ..uri import WebSocketURI


class BaseClientConnection(BaseConnection):
    """Base of the client connections of all faces."""

    side = Side.CLIENT

    #: value of the ``Origin`` header
    origin: str | None
    #: where the connection goes to
    host: str | None
    port: int | None
    #: whether it is encrypted
    secure: bool | None

    def __init_subclass__(cls, **kwds: Any) -> None:
        super().__init_subclass__(**kwds)
        refuse_overrides(cls, CLIENT_STEPS)

    _offer: dict[str, Any]
    _handshake: ClientHandshake | None
    _sent: bytes

    #: overridable step of the handshake: ``(headers, available) -> extensions``
    process_extensions = staticmethod(process_client_extensions)
    #: overridable step of the handshake: ``(headers, available) -> subprotocol``
    process_subprotocol = staticmethod(process_client_subprotocol)

    def _configure_connection(
        self,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        host: str | None = None,
        port: int | None = None,
        secure: bool | None = None,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
    ) -> Options:
        """
        Keep what to offer; returns the limits.

        Raises:
            TypeError, ValueError: a limit is none; see `Options.check`.
        """
        self.host = host
        self.port = port
        self.secure = secure
        self.origin = origin
        self._offer = {
            "origin": origin,
            "extensions": extensions,
            "subprotocols": subprotocols,
            "extra_headers": extra_headers,
            "user_agent": user_agent_header,
        }
        self._handshake = None
        return Options.check(
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            max_queue=max_queue,
            read_limit=read_limit,
            write_limit=write_limit,
        )

    def _start_handshake(
        self, uri: WebSocketURI, draft: RequestTemplate | None = None
    ) -> None:
        """
        Make the request for `uri`.

        Args:
            draft: the request, if this connection has what it was made of.
        """
        self._handshake = handshake = ClientHandshake(
            uri,
            process_extensions=self.process_extensions,
            process_subprotocol=self.process_subprotocol,
            draft=draft,
            **self._offer,
        )
        self._request = handshake.request_bytes()

    def _request_bytes(self) -> bytes:
        """Return the request, which is logged as sent."""
        request = self._request
        if isinstance(request, Request):
            # Somebody has looked, and may have changed it.
            assert self._handshake is not None
            self._handshake.request = request
            self._sent = self._handshake.request_bytes()
        else:
            assert request is not None
            self._sent = request
        self._log_request(">")
        return self._sent

    def _feed_response(self, data: bytes) -> ClientHandshake | None:
        """
        Take bytes of the server.

        Returns:
            The handshake once it is complete: the agreement, and the bytes behind the
            response.

        Raises:
            InvalidHandshake: the server refused, or answered something else.
        """
        handshake = self._handshake
        assert handshake is not None
        try:
            if not handshake.data_received(data):
                if handshake.refused and self.opening is not None:
                    self.opening.refusal = self._given_up
                return None
        except Exception:
            self.response = handshake.response
            self._log_response("<")
            raise
        assert handshake.response is not None
        self.response = handshake.response
        self._log_response("<")
        self._request, self._response = self._sent, handshake.response_bytes()
        del self._sent
        self.subprotocol = handshake.subprotocol
        self._handshake = None
        return handshake

    def _refused(self) -> bool:
        """
        Whether the server has refused, and only the rest of a body is missing.

        A face waits for that for `BODY_TIMEOUT` at most, and raises `_given_up` then.
        """
        return self._handshake is not None and self._handshake.refused

    def _given_up(self, exc: Exception | None = None) -> Exception:
        """
        Return what to raise when the body of a refusal does not come.

        Args:
            exc: the cause; None if it took too long.
        """
        handshake = self._handshake
        assert handshake is not None
        if exc is None:
            exc = body_late()
        error = handshake.cut(exc)
        self.response = handshake.response
        self._log_response("<")
        return error

    def _connection_lost_error(self, exc: BaseException | None) -> BaseException:
        """
        Return what to raise when TCP ends before the connection is open.

        Args:
            exc: cause of the end; None for an orderly end.
        """
        assert self._handshake is not None
        if exc is not None:
            if self._refused() and isinstance(exc, Exception):
                return self._given_up(exc)
            return exc
        try:
            self._handshake.eof_received()
        except Exception as error:
            self.response = self._handshake.response
            self._log_response("<")
            return error
        return InvalidMessage("connection ended during the opening handshake")
