"""The server's side of the opening handshake (RFC 6455, 4.2): bytes in and out.

    handshake = ServerHandshake()
    while (request := handshake.data_received(receive())) is None:
        pass
    response = handshake.accept(request)
    send(handshake.response_bytes(response))
    # if handshake.exception is None: the connection is open

Responses to requests:

    status   when
    ------   ---------------------------------------------------------------------
    101      everything is right
    400      Host, Sec-WebSocket-Key, or a list is missing, repeated or malformed;
             no subprotocol in common; the request breaks the grammar of HTTP/1.1,
             has a body, or is for something that has no path
    403      the origin is not allowed
    405      the method is not GET
    414      the request line is too long
    426      the request doesn't ask for WebSocket, or for a version other than 13
    431      a header line or the head is too long, or there are too many headers
    500      code of the application failed; the response doesn't tell how
    505      HTTP/1.0

Bytes that are no HTTP request get no response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from ..errors import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidUpgrade,
    RequestLineTooLong,
    TooManyHeaders,
)
from ..extensions.base import ServerExtensionFactory, check_factories
from ..frames.frame import Extension
from ..http.grammar import validate_subprotocols
from ..http.headers import Headers
from ..http.messages import SERVER, MalformedRequest, Request, Response
from ..http.parser import RequestParser
from .keys import accept_key, check_key
from .negotiation import (
    OriginRule,
    SelectSubprotocol,
    check_upgrade,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
    required_header,
)

ServerOrigin = Callable[[Headers, Sequence[OriginRule] | None], str | None]
ServerExtensions = Callable[
    [Headers, Sequence[ServerExtensionFactory] | None],
    tuple[str | None, list[Extension]],
]
ServerSubprotocol = Callable[[Headers, Sequence[str] | None], str | None]

ResponseFields = tuple[str, str | None, str | None]
"""Values of ``Sec-WebSocket-Accept``, ``-Extensions`` and ``-Protocol``."""

# RFC 9110, 7.2 with the characters of RFC 3986, 3.2.2, and those which careless
# clients send in names.  Nothing that a log or a router could take for more.
HOST: Final = re.compile(r"(?:\[[0-9A-Za-z:.%_~-]+\]|[^\s\[\]/?#@:,\\\"<>]*)(?::\d*)?")

NOT_A_BROWSER: Final = (
    "This address speaks WebSocket and can't be opened in a browser directly; "
    "it takes a WebSocket client."
)


class ServerHandshake:
    """
    One opening handshake, as a server.

    Args:
        origins: origins that are allowed: strings must be equal, patterns must match
            all of it, ``None`` admits requests without an origin.  No list admits
            everything.
        extensions: extensions that are supported.
        subprotocols: subprotocols that are supported, in the order of preference.
            A client that offers none of them is refused.
        select_subprotocol: picks one of those that the client offers instead, or
            ``None``; it may raise :exc:`NegotiationError` to refuse.
        server_header: value of ``Server``; ``None`` or ``""`` for no such header.
        process_origin: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_origin`.
        process_extensions: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_server_extensions`.
        process_subprotocol: replaces the choice of a subprotocol, together with
            ``select_subprotocol``.

    Raises:
        TypeError: ``origins``, ``extensions`` or ``subprotocols`` is no list of
            such things.
        ValueError: a subprotocol is not a token.
        InvalidHeaderValue: ``server_header`` can't be sent.
    """

    request: Request | None
    """The request, once it is complete."""

    response: Response | None
    """The response that was serialized last."""

    exception: Exception | None
    """Exception for which the request was refused; ``None`` if it was not."""

    origin: str | None
    """Where the request comes from, if it may."""

    extensions: list[Extension]
    """Extensions in use, in the order in which to encode frames."""

    subprotocol: str | None
    """Subprotocol in use."""

    def __init__(
        self,
        *,
        origins: Collection[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        server_header: str | None = SERVER,
        process_origin: ServerOrigin = process_origin,
        process_extensions: ServerExtensions = process_server_extensions,
        process_subprotocol: ServerSubprotocol | None = None,
    ) -> None:
        check_origins(origins)
        check_extensions(extensions)
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        server = Headers()
        if server_header:
            server["Server"] = server_header
        # The end of most responses.
        self._server_line = str(server)
        self._origins = None if origins is None else list(origins)
        self._available_extensions = extensions
        self._available_subprotocols = subprotocols
        self._select_subprotocol = select_subprotocol
        self._server_header = server_header
        self._process_origin = process_origin
        self._process_extensions = process_extensions
        self._process_subprotocol = process_subprotocol
        self._parser = RequestParser()
        self.request = None
        self.response = None
        self.exception = None
        self.origin = None
        self.extensions = []
        self.subprotocol = None

    @property
    def leftover(self) -> bytes:
        """
        Bytes behind the request: the first bytes of frames.

        A client has to wait for the response (RFC 6455, 4.1), so this is rarely
        more than nothing.  Nothing limits it: stop reading while deciding.
        """
        return b"" if self.request is None else self._parser.leftover

    def data_received(self, data: bytes) -> Request | None:
        """
        Take bytes from the client.

        Args:
            data: any portion of what the client sends, also behind the request.

        Returns:
            The request once it is complete, ``None`` until then.

        Raises:
            ValueError: this is no request that could start a WebSocket connection.
            SecurityError: it exceeds a limit.
                After either, send :meth:`error_response`, if there is one, and close.
        """
        self.request = self._parser.feed(data)
        return self.request

    def eof_received(self) -> None:
        """
        Tell that the client sends no more.

        Raises:
            EOFError: the request is not complete; the text tells what is missing.
        """
        self.request = self._parser.feed_eof()

    def error_response(
        self, exc: Exception, *, now_date: str | None = None
    ) -> Response | None:
        """
        Tell what to send after :meth:`data_received` raised.

        Args:
            exc: the exception that it raised.
            now_date: value of the ``Date`` header.

        Returns:
            A response, or ``None`` to close without one: where no HTTP was spoken,
            nobody would understand it.
        """
        self.exception = exc
        if isinstance(exc, RequestLineTooLong):
            status = HTTPStatus.REQUEST_URI_TOO_LONG
        elif isinstance(exc, (HeaderLineTooLong, TooManyHeaders)):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif isinstance(exc, (MalformedRequest, UnicodeDecodeError)):
            status = HTTPStatus.BAD_REQUEST
        else:
            return None
        return self.reject(status, error_text(exc), now_date=now_date)

    def accept(self, request: Request, *, now_date: str | None = None) -> Response:
        """
        Check a request and make the response to it.

        Args:
            request: the request; hooks may have changed it.
            now_date: value of the ``Date`` header.

        Returns:
            The response, with status 101 or, if :attr:`exception` is set, another.
            It may be changed until it is given to :meth:`response_bytes`.
        """
        return self.answer(lambda: self.check_request(request), now_date=now_date)

    def accept_bytes(
        self, request: Request, *, now_date: str | None = None
    ) -> bytes | Response:
        """
        Check a request whose response nobody wants to see or change.

        Args:
            request: as for :meth:`accept`, as is ``now_date``.

        Returns:
            Response bytes of a request that is accepted; the response to others.
        """
        self._forget()
        try:
            return self._acceptance_bytes(self.check_request(request), now_date)
        except Exception as exc:
            return self._refused(exc, now_date)

    def answer(
        self, check: Callable[[], ResponseFields], *, now_date: str | None = None
    ) -> Response:
        """
        Make the response that follows from a check; as :meth:`accept`.

        Args:
            check: checks a request; an exception of it decides on the status.
            now_date: value of the ``Date`` header.
        """
        self._forget()
        try:
            return self._acceptance(check(), now_date)
        except Exception as exc:
            return self._refused(exc, now_date)

    def _forget(self) -> None:
        self.exception = None
        self.origin = None
        self.extensions = []
        self.subprotocol = None

    def _refused(self, exc: Exception, now_date: str | None) -> Response:
        self.exception = exc
        # Earlier agreements are void.
        self.extensions = []
        self.subprotocol = None
        return self.refusal(exc, now_date)

    def reject(
        self, status: int, text: str, *, now_date: str | None = None
    ) -> Response:
        """
        Make a response that refuses the request, or answers it as plain HTTP.

        Args:
            status: status code, 200 to 599.
            text: body.
            now_date: value of the ``Date`` header.

        Raises:
            ValueError: the status code is out of range.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"status is {int(status)}, expected 200 to 599")
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""  # RFC 9112, 4 allows it
        body = text.encode(errors="backslashreplace")
        headers = Headers()
        if now_date is not None:
            headers["Date"] = now_date
        headers["Connection"] = "close"
        headers["Content-Length"] = str(len(body))
        headers["Content-Type"] = "text/plain; charset=utf-8"
        if self._server_header:
            headers["Server"] = self._server_header
        return Response(int(status), reason, headers, body)

    def response_bytes(self, response: Response) -> bytes:
        """
        Serialize a response.

        ``Server`` is added where it is missing.  Where hooks added a second ``Date``
        or ``Server``, the last one stays.

        Raises:
            ValueError: the response can't be sent.
        """
        headers = response.headers
        if self._server_header and "Server" not in headers:
            headers["Server"] = self._server_header
        for name in ("Date", "Server"):
            values = headers.get_all(name)
            if len(values) > 1:
                del headers[name]
                headers[name] = values[-1]
        self.response = response
        return response.serialize()

    # Steps.

    def check_request(self, request: Request) -> ResponseFields:
        """
        Check a request of HTTP/1.1, and choose extensions and a subprotocol.

        Raises:
            InvalidHandshake: it is refused.
        """
        headers = request.headers
        key = check_upgrade_request(request.method, request.protocol, headers)
        chosen, subprotocol = self.negotiate(headers)
        return accept_key(key), chosen, subprotocol

    def negotiate(self, headers: Headers) -> tuple[str | None, str | None]:
        """
        Check the fields that a request has in each version of HTTP, and choose.

        These are the version, the origin, extensions and subprotocols.  The other ones
        exist in HTTP/1.1 only (RFC 8441, 5).

        Returns:
            Values of ``Sec-WebSocket-Extensions`` and ``Sec-WebSocket-Protocol``.

        Raises:
            InvalidHandshake: the request is refused.
        """
        version = required_header(headers, "Sec-WebSocket-Version")
        if version != "13":
            raise InvalidHeaderValue(
                "Sec-WebSocket-Version", f"{version[:64]!r}, expected '13'"
            )
        self.origin = self._process_origin(headers, self._origins)
        chosen, extensions = self._process_extensions(
            headers, self._available_extensions
        )
        if self._process_subprotocol is None:
            subprotocol: str | None = process_server_subprotocol(
                headers, self._available_subprotocols, self._select_subprotocol
            )
        else:
            subprotocol = self._process_subprotocol(
                headers, self._available_subprotocols
            )
        self.extensions = extensions
        self.subprotocol = subprotocol
        return chosen, subprotocol

    def _acceptance(self, agreed: ResponseFields, now_date: str | None) -> Response:
        accept, chosen, subprotocol = agreed
        answer = Headers()
        # These need no check.
        if now_date is not None:
            answer._append("Date", now_date)
        answer._append("Upgrade", "websocket")
        answer._append("Connection", "Upgrade")
        answer._append("Sec-WebSocket-Accept", accept)
        if chosen is not None:
            answer["Sec-WebSocket-Extensions"] = chosen
        if subprotocol is not None:
            answer["Sec-WebSocket-Protocol"] = subprotocol
        if self._server_header:
            answer["Server"] = self._server_header
        return Response(101, HTTPStatus.SWITCHING_PROTOCOLS.phrase, answer)

    def _acceptance_bytes(self, agreed: ResponseFields, now_date: str | None) -> bytes:
        accept, chosen, subprotocol = agreed
        if now_date is None or chosen is not None or subprotocol is not None:
            response = self._acceptance(agreed, now_date)
            return self.response_bytes(response)
        return (
            "HTTP/1.1 101 Switching Protocols\r\n"
            f"Date: {now_date}\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n"
            f"{self._server_line}"
        ).encode("iso-8859-1")

    def refusal(self, exc: Exception, now_date: str | None) -> Response:
        """Make the response that tells a client why it was refused."""
        more: Mapping[str, str] = {}
        text = error_text(exc)
        if isinstance(exc, InvalidMethod):
            status = HTTPStatus.METHOD_NOT_ALLOWED
            more = {"Allow": "GET"}
        elif isinstance(exc, InvalidProtocol):
            status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
        elif isinstance(exc, InvalidOrigin):
            status = HTTPStatus.FORBIDDEN
        elif isinstance(exc, InvalidUpgrade) or (
            # RFC 6455, 4.4: tell which versions are spoken.
            isinstance(exc, InvalidHeader) and exc.name == "Sec-WebSocket-Version"
        ):
            status = HTTPStatus.UPGRADE_REQUIRED
            text += NOT_A_BROWSER + "\n"
            more = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        elif isinstance(exc, InvalidHandshake):
            status = HTTPStatus.BAD_REQUEST
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            text = "Cannot open a WebSocket connection: the server failed.\n"
        response = self.reject(status, text, now_date=now_date)
        response.headers.update(more)
        return response


def error_text(exc: Exception) -> str:
    """Say what is wrong with a request, with the causes."""
    causes = []
    cause: BaseException | None = exc
    while cause is not None:
        causes.append(str(cause)[:512])
        cause = cause.__cause__
    return f"Cannot open a WebSocket connection: {'; '.join(causes)}.\n"


def check_upgrade_request(method: str, http_version: str, headers: Headers) -> str:
    """
    Check the part of a request that asks HTTP/1.1 for WebSocket (RFC 6455, 4.2.1).

    Args:
        method: method of the request.
        http_version: such as ``"HTTP/1.1"``.
        headers: headers of the request.

    Returns:
        The value of ``Sec-WebSocket-Key``.

    Raises:
        InvalidHandshake: the request is refused.
    """
    # The checks that tell a browser or a health check apart come first.  These
    # clients get a response that makes sense to them, whatever else they leave out.
    if method != "GET":
        raise InvalidMethod(method)
    if http_version != "HTTP/1.1":
        raise InvalidProtocol(http_version)
    check_upgrade(headers)
    check_host(headers)
    key = required_header(headers, "Sec-WebSocket-Key")
    try:
        check_key(key)
    except ValueError as exc:
        raise InvalidHeaderValue("Sec-WebSocket-Key", repr(key[:64])) from exc
    return key


def check_host(headers: Headers) -> None:
    """
    Check ``Host`` (RFC 9112, 3.2).

    Raises:
        InvalidHeader: it is missing, repeated or malformed.
    """
    host = required_header(headers, "Host")
    if not HOST.fullmatch(host):
        raise InvalidHeaderValue("Host", repr(host[:64]))


def check_origins(origins: Collection[OriginRule] | None) -> None:
    """Refuse what is no list of origins."""
    if origins is None:
        return
    if isinstance(origins, str) or not isinstance(origins, Collection):
        raise TypeError(f"origins is {origins!r}, expected a list")
    for origin in origins:
        if origin is not None and not isinstance(origin, (str, re.Pattern)):
            raise TypeError(
                f"origins has {origin!r}, expected str, compiled pattern or None"
            )
        if isinstance(origin, re.Pattern) and not isinstance(origin.pattern, str):
            raise TypeError(f"origins has {origin!r}, expected a pattern of str")


def check_extensions(extensions: Sequence[ServerExtensionFactory] | None) -> None:
    """Refuse a list with other things than factories."""
    check_factories(extensions, "server", "process_request_params")
