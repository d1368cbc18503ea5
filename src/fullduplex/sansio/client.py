"""The client's end without I/O: the opening handshake, and then `Protocol`."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.endpoint.frame_protocol import Side
from ..core.errors import InvalidHandshake, InvalidState
from ..core.extensions.base import ClientExtensionFactory
from ..core.frames.frame import Extension
from ..core.handshake.client import ClientHandshake, refuse_message
from ..core.handshake.errors import InvalidStatus
from ..core.handshake.negotiation import (
    process_client_extensions,
    process_client_subprotocol,
)
from ..core.http.headers import Headers
from ..core.http.logs import log_head
from ..core.http.messages import Request, Response
from ..core.http.parser import ResponseParser
from ..core.typing import LoggerLike, Subprotocol
from ..core.uri import WebSocketURI
from .protocol import Protocol, State

__all__ = ["ClientProtocol"]


class ClientProtocol(Protocol):
    """
    The client's end of a connection.

    A subclass may override `process_response`, `process_extensions` and
    `process_subprotocol`.

    Args:
        uri: where to connect to; see `fullduplex.uri.parse_uri`.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        state: state to begin with.
        max_size: as for `Protocol`.
        logger: as for `Protocol`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument cannot be sent.
    """

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        state: State = State.CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(Side.CLIENT, state=state, max_size=max_size, logger=logger)
        self.uri = uri
        self.origin = origin
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self._handshake = ClientHandshake(
            uri,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            user_agent=None,
            process_extensions=lambda headers, _: self.process_extensions(headers),
            process_subprotocol=lambda headers, _: self.process_subprotocol(headers),
        )
        #: value of ``Sec-WebSocket-Key``
        self.key = self._handshake.request.headers["Sec-WebSocket-Key"]
        self._parser = ResponseParser()

    def connect(self) -> Request:
        """Make the request; it may be changed, and is then given to `send_request`."""
        request = self._handshake.request
        return Request(request.path, request.headers.copy())

    def send_request(self, request: Request) -> None:
        """
        Send the request.

        Raises:
            InvalidState: the handshake is over.
            ValueError: the request cannot be sent.
            InvalidHeader: its key was removed or repeated.
        """
        if self.state is not State.CONNECTING or self.eof_sent:
            raise InvalidState(self._condition())
        self._handshake.request = request
        self._writes.append(self._handshake.request_bytes())
        self.key = request.headers["Sec-WebSocket-Key"]
        start = f"{request.method} {request.path} {request.protocol}"
        log_head(self.logger, ">", start, request.headers)

    # Steps that may be overridden

    def process_response(self, response: Response) -> None:
        """
        Check the response, and apply what the server has chosen.

        Raises:
            InvalidHandshake: it opens no connection.
        """
        self._handshake.check_response(response)
        self.extensions = self._handshake.extensions
        self.subprotocol = self._handshake.subprotocol  # type: ignore[assignment]

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """
        Make the extensions that the response names.

        Raises:
            NegotiationError: they are not among what was offered.
        """
        return process_client_extensions(headers, self.available_extensions)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """
        Get the subprotocol that the response names.

        Raises:
            NegotiationError: it is not among what was offered.
        """
        return process_client_subprotocol(headers, self.available_subprotocols)

    # Input

    def _handshake_received(self, data: bytes) -> None:
        try:
            response = self._parser.feed(data)
        except (ValueError, InvalidHandshake) as exc:
            self._not_http(exc)
            return
        if response is not None:
            self._responded(response)

    def _handshake_ended(self) -> None:
        try:
            response = self._parser.feed_eof()
        except (EOFError, ValueError, InvalidHandshake) as exc:
            self._not_http(exc)
            return
        self._responded(response)

    def _not_http(self, exc: Exception) -> None:
        try:
            refuse_message(exc)
        except InvalidHandshake as failure:
            self._handshake_failed(failure)

    def _responded(self, response: Response) -> None:
        start = f"HTTP/1.1 {response.status_code} {response.reason_phrase}"
        log_head(self.logger, "<", start, response.headers)
        self._events.append(response)
        try:
            self.process_response(response)
        except InvalidHandshake as exc:
            response._exception = exc
            if isinstance(exc, InvalidStatus):
                exc.__cause__ = self._parser.fault
            self._handshake_failed(exc)
        else:
            self._open(self._parser.leftover)
