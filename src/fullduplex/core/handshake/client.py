"""The client's side of the opening handshake (RFC 6455, 4.1): bytes in and out.

    handshake = ClientHandshake(parse_uri("wss://example.com/"))
    send(handshake.request_bytes())
    while not handshake.data_received(receive()):
        pass
    # handshake.extensions, handshake.subprotocol, handshake.leftover

Nothing is sent that the caller could have spoiled: every argument is checked when
the handshake is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from ..errors import (
    InvalidHandshake,
    InvalidHeaderValue,
    InvalidMessage,
    StatusLineTooLong,
)
from ..extensions.base import ClientExtensionFactory
from ..frames.frame import Extension
from ..http.headers import Headers, HeadersLike
from ..http.messages import USER_AGENT, Request, Response
from ..http.parser import ResponseParser, is_redirect
from ..uri import WebSocketURI
from .errors import InvalidStatusCode
from .keys import accept_key, generate_key
from .negotiation import (
    check_upgrade,
    process_client_extensions,
    process_client_subprotocol,
    required_header,
)
from .request_template import RequestTemplate

BODY_TIMEOUT: Final = 1.0
"""Seconds for the body of a refusal, once its head has said all that decides."""

# First bytes of an alert and of a handshake in TLS (RFC 8446, 5.1).
TLS_RECORDS = (b"\x15", b"\x16")

ClientExtensions = Callable[
    [Headers, Sequence[ClientExtensionFactory] | None], list[Extension]
]
ClientSubprotocol = Callable[[Headers, Sequence[str] | None], str | None]


class ClientHandshake:
    """
    One opening handshake, as a client.

    Args:
        uri: where to connect to; its user name and password become a header.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        extra_headers: further headers.  ``Host``, ``Authorization``, ``Origin`` and
            ``User-Agent`` replace those that would be sent otherwise.
        user_agent: value of ``User-Agent``; ``None`` or ``""`` for no such header.
        process_extensions: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_client_extensions`.
        process_subprotocol: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_client_subprotocol`.
        random: gives that many bytes which nobody can predict.
        draft: the request, where it was made of the same arguments before.

    Raises:
        TypeError: ``extensions`` or ``subprotocols`` is no list of such things.
        ValueError: an argument can't be sent, or ``extra_headers`` has a header that
            only the handshake may set, or several where there is one.
        InvalidHeader: a header has a name or a value that can't be sent.
    """

    response: Response | None
    """The response, once it is complete, whatever it says."""

    extensions: list[Extension]
    """Extensions in use, in the order in which to encode frames."""

    subprotocol: str | None
    """Subprotocol in use."""

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent: str | None = USER_AGENT,
        process_extensions: ClientExtensions | None = None,
        process_subprotocol: ClientSubprotocol | None = None,
        random: Callable[[int], bytes] = os.urandom,
        draft: RequestTemplate | None = None,
    ) -> None:
        if draft is None:
            draft = RequestTemplate(
                uri,
                origin=origin,
                extensions=extensions,
                subprotocols=subprotocols,
                extra_headers=extra_headers,
                user_agent=user_agent,
            )
        self._available_extensions = extensions
        self._available_subprotocols = subprotocols
        self._process_extensions = process_extensions or process_client_extensions
        self._process_subprotocol = process_subprotocol or process_client_subprotocol
        self._parser = ResponseParser()
        self._secure = uri.secure
        self._heard = False
        self._complete = False
        self._key = generate_key(random)
        self._data = draft.with_key(self._key)
        # The same as an object, once somebody has asked for it, and may change it.
        self._request: Request | None = None
        self.response = None
        self.extensions = []
        self.subprotocol = None

    @property
    def request(self) -> Request:
        """The request.  It may be changed until :meth:`request_bytes` is called."""
        if self._request is None:
            self._request = Request.restore(self._data)
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    @property
    def leftover(self) -> bytes:
        """Bytes behind the response: the first bytes of frames."""
        return self._parser.leftover if self._complete else b""

    def request_bytes(self) -> bytes:
        """
        Serialize the request.

        Raises:
            ValueError: the request was changed into one that can't be sent.
            InvalidHeader: its key was removed or repeated.
        """
        if self._request is not None:
            self._key = required_header(self._request.headers, "Sec-WebSocket-Key")
            self._data = self._request.serialize()
        return self._data

    def response_bytes(self) -> bytes:
        """Return the response, once it is complete, as it came or as good."""
        assert self.response is not None
        return self._parser.raw or self.response.serialize()

    def data_received(self, data: bytes) -> bool:
        """
        Take bytes from the server.

        Args:
            data: any portion of what the server sends, also behind the response.

        Returns:
            Whether the connection is open.

        Raises:
            InvalidMessage: this is not HTTP/1.1, or it exceeds a limit; the cause
                tells.
            StatusLineTooLong: the first line exceeds the limit.
            InvalidStatusCode: the server refused; its response is attached.  If the
                body is not whole, the cause tells why.
            InvalidHandshake: the server accepted in a way that it may not.
                After each of these, close TCP.
        """
        if not self._heard and not self._secure and data[:1] in TLS_RECORDS:
            raise InvalidMessage(
                "did not receive a valid HTTP response: the server answered in TLS; "
                "use wss://"
            )
        self._heard = True
        try:
            response = self._parser.feed(data)
        except (ValueError, InvalidHandshake) as exc:
            refuse_message(exc)
        if response is None:
            head = self._parser.head
            if head is None or not is_redirect(head):
                return False
            # Where to go is known; nobody reads what is said beside it.
            response = self._parser.cut(EOFError("the body of a redirect is not read"))
        self.check_response(response)
        return True

    @property
    def refused(self) -> bool:
        """
        Whether the server has refused, and only the rest of a body is missing.

        It is worth waiting for, as it tells why, for `BODY_TIMEOUT` at most; then
        call `cut`.
        """
        return self._parser.refused

    def cut(self, exc: Exception) -> InvalidStatusCode:
        """
        Give up on the body of a refusal.

        Args:
            exc: the cause.

        Returns:
            Exception to raise; `exc` is its cause.
        """
        self.response = response = self._parser.cut(exc)
        error = InvalidStatusCode(response)
        error.__cause__ = self._parser.fault
        return error

    def eof_received(self) -> None:
        """
        Tell that the server sends no more; this may end the body of a refusal.

        Raises:
            InvalidMessage: the response is not complete; caused by :exc:`EOFError`.
            InvalidHandshake: as :meth:`data_received`.
        """
        try:
            response = self._parser.feed_eof()
        except EOFError as exc:
            if not self._heard and not self._secure:
                # Responses of servers that expect TLS.
                exc.args = (f"{exc}; does the server expect TLS? (wss://)",)
            refuse_message(exc)
        except (ValueError, InvalidHandshake) as exc:
            refuse_message(exc)
        self.check_response(response)

    def check_response(self, response: Response) -> None:
        """
        Check a response of HTTP/1.1 and apply what the server has chosen.

        Raises:
            InvalidStatusCode: the server refused.
            InvalidHandshake: it accepted in a way that it may not.
        """
        if self._complete:
            return
        self.response = response
        if response.status_code != 101:
            raise InvalidStatusCode(response) from self._parser.fault
        check_upgrade_response(response.headers, self._key)
        self.negotiate(response.headers)
        self._complete = True

    def negotiate(self, headers: Headers) -> None:
        """
        Apply the fields that a response has in each version of HTTP (RFC 8441, 5).

        Raises:
            InvalidHandshake: the server has chosen what was not offered.
        """
        extensions = self._process_extensions(headers, self._available_extensions)
        self.subprotocol = self._process_subprotocol(
            headers, self._available_subprotocols
        )
        self.extensions = extensions


def check_upgrade_response(headers: Headers, key: str) -> None:
    """
    Check the part of a response with which HTTP/1.1 upgrades (RFC 6455, 4.2.2).

    Args:
        headers: headers of the response.
        key: value of ``Sec-WebSocket-Key`` that was sent.

    Raises:
        InvalidHandshake: the server accepted in a way that it may not.
    """
    check_upgrade(headers)
    accept = required_header(headers, "Sec-WebSocket-Accept")
    expected = accept_key(key)
    if accept != expected:
        raise InvalidHeaderValue(
            "Sec-WebSocket-Accept", f"{accept[:64]!r}, expected {expected!r}"
        )


def body_late() -> TimeoutError:
    """Make the error that says that the body of a refusal took too long."""
    return TimeoutError(f"no whole body within {BODY_TIMEOUT:g} s")


def refuse_message(exc: Exception) -> NoReturn:
    """Tell that the server's bytes are no response."""
    if isinstance(exc, StatusLineTooLong):
        raise exc
    raise InvalidMessage(f"did not receive a valid HTTP response: {exc}") from exc
