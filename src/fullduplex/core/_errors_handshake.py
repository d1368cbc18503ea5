"""Exceptions raised before a connection is open; public through ``errors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors_base import WebSocketException
from .credentials import HIDDEN, display_address, escape, is_secret

if TYPE_CHECKING:
    from .datastructures import Headers
    from .diagnosis import Diagnosis
    from .http1 import Response
    from .typing import StatusLike


# -- Addresses -----------------------------------------------------------------


class InvalidURI(WebSocketException, ValueError):
    """
    A WebSocket URI cannot be used.

    Raised when the URI is parsed, before anything is opened; also when a
    redirect leads to such a URI.  It is a :exc:`ValueError` too, because a URI
    is an argument like any other.

    Args:
        uri: the URI; user name and password are left out of the
            text, and of ``repr()``.
        msg: the rule that it breaks.
    """

    uri: str
    msg: str

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{display_address(self.uri)} isn't a valid URI: {self.msg}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({display_address(self.uri)!r}, {self.msg!r})"


class InvalidProxy(WebSocketException, ValueError):
    """
    The address of a proxy cannot be used; nothing was opened.

    Args:
        proxy: the address; user name and password are left out of the
            text, and of ``repr()``.
        msg: the rule that it breaks.
    """

    proxy: str
    msg: str

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{display_address(self.proxy)} isn't a valid proxy: {self.msg}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({display_address(self.proxy)!r}, {self.msg!r})"


# -- The opening handshake -----------------------------------------------------


class InvalidHandshake(WebSocketException):
    """
    The opening handshake failed.

    Base of what follows.  No connection was made; a client's socket is closed, a
    server answers with an HTTP error where that is still possible.
    """

    _diagnosis: Diagnosis | None = None

    @property
    def diagnosis(self) -> Diagnosis:
        """Cause of the refusal, its layer, and the known facts of the attempt."""
        if self._diagnosis is None:
            # Imported here because it names what is defined here.
            from .diagnosis import of_failure

            self._diagnosis = of_failure(self)
        return self._diagnosis

    @diagnosis.setter
    def diagnosis(self, diagnosis: Diagnosis) -> None:
        self._diagnosis = diagnosis


class SecurityError(InvalidHandshake):
    """
    A rule that protects this side was broken during the handshake.

    A limit on the size of HTTP messages or on redirects was exceeded, or a
    redirect would have given up TLS.
    """


class RequestLineTooLong(SecurityError):
    """The first line of a request is over ``MAX_LINE_LENGTH``; answered with 414."""


class StatusLineTooLong(SecurityError):
    """The first line of a response is over ``MAX_LINE_LENGTH``."""


class HeaderLineTooLong(SecurityError):
    """A header line is over ``MAX_LINE_LENGTH``; a server answers with 431."""


class TooManyHeaders(SecurityError):
    """There are more than ``MAX_NUM_HEADERS`` headers; a server answers with 431."""


class InvalidMessage(InvalidHandshake):
    """
    The peer did not send a valid HTTP/1.1 message.

    ``__cause__`` tells why: :exc:`EOFError` when it ended too early,
    :exc:`ValueError` when it is malformed, :exc:`SecurityError` when it is too
    large.
    """


class InvalidMethod(InvalidHandshake):
    """
    The request's method is not GET; answered with 405.

    Args:
        method: the method received.
    """

    method: str

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def __str__(self) -> str:
        return f"invalid HTTP method; expected GET; got {self.method[:64]}"


class InvalidProtocol(InvalidHandshake):
    """
    The request's version is not HTTP/1.1; answered with 505.

    Args:
        protocol: the version received, such as ``HTTP/1.0``.
    """

    protocol: str

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol

    def __str__(self) -> str:
        return f"invalid protocol; expected HTTP/1.1; got {self.protocol[:64]}"


class InvalidStatus(InvalidHandshake):
    """
    The server refused the handshake: its status is not 101.

    Args:
        response: the response; its body, if it has one, usually says why.  If the
            body is not whole, ``__cause__`` tells what was wrong with it.
    """

    response: Response

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    @property
    def status_code(self) -> int:
        """The status code of the response."""
        return self.response.status_code

    @property
    def headers(self) -> Headers:
        """The headers of the response."""
        return self.response.headers

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.status_code}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary(self.response)})"


class InvalidStatusCode(InvalidStatus):
    """
    The server refused the handshake; this is what ``connect`` raises.

    Both names work in ``except``: websockets 10 raised ``InvalidStatusCode``,
    later versions raise ``InvalidStatus``.

    Args:
        status_code: the response, or only its status code.
        headers: the headers; only with a status code.
    """

    def __init__(
        self, status_code: Response | int, headers: Headers | None = None
    ) -> None:
        response = status_code
        if isinstance(response, int):
            # Imported here because http1 raises what is defined above.
            from .datastructures import Headers
            from .http1 import Response

            if headers is None:
                headers = Headers()
            response = Response(int(response), "", headers)
        elif headers is not None:
            raise TypeError("headers are part of the response; don't give both")
        super().__init__(response)


class InvalidHeader(InvalidHandshake):
    """
    A header is missing, repeated or wrong.

    Args:
        name: the name of the header.
        value: the fault, or the bad value; None if the header is missing, ``""`` if it
            is empty.
    """

    name: str
    value: str | None

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if self.value == "":
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {escape(self.value)}"


class InvalidHeaderFormat(InvalidHeader):
    """
    A header does not follow its grammar.

    Args:
        name: the name of the header.
        error: the expected value.
        header: the whole value; the text shows the 64 characters around ``pos``.
        pos: where parsing stopped, an index into ``header``.
    """

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        start = max(0, pos - 32) if len(header) > 64 else 0
        shown = header[start : start + 64]
        if is_secret(name):
            shown = HIDDEN
        elif not shown.isprintable():
            shown = repr(shown)
        super().__init__(name, f"{error} at {pos} in {shown}")


class InvalidHeaderValue(InvalidHeader):
    """A header follows its grammar, but its value is not acceptable."""


class InvalidOrigin(InvalidHeader):
    """
    The request comes from an origin that is not allowed; answered with 403.

    Args:
        origin: the origin; None if the header is missing.
    """

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)


class InvalidUpgrade(InvalidHeader):
    """``Connection`` or ``Upgrade`` doesn't ask for WebSocket; answered with 426."""


class NegotiationError(InvalidHandshake):
    """Extensions or subprotocols could not be agreed upon."""


class DuplicateParameter(NegotiationError):
    """
    A parameter of an extension is given twice.

    Args:
        name: the name of the parameter.
    """

    name: str

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name[:64]}"


class InvalidParameterName(NegotiationError):
    """
    An extension has no parameter of this name.

    Args:
        name: the name of the parameter.
    """

    name: str

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name[:64]}"


class InvalidParameterValue(NegotiationError):
    """
    A parameter of an extension has a wrong value.

    Args:
        name: the name of the parameter.
        value: its value; None if it is missing.
    """

    name: str
    value: str | None

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if self.value == "":
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value[:64]}"


class AbortHandshake(InvalidHandshake):
    """
    A server's hook answers with a plain HTTP response instead of a connection.

    Args:
        status: the status code.
        headers: the headers.
        body: the body.
    """

    status: StatusLike
    headers: Headers
    body: bytes

    def __init__(self, status: StatusLike, headers: Headers, body: bytes = b"") -> None:
        super().__init__(status, headers, body)
        self.status = status
        self.headers = headers
        self.body = body

    def __str__(self) -> str:
        return (
            f"HTTP {int(self.status)}, {len(self.headers)} headers, "
            f"{len(self.body)} bytes"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<{self}>)"


class RedirectHandshake(InvalidHandshake):
    """
    The server redirects the client; handled by ``connect``, never seen outside.

    Args:
        uri: where to.
    """

    uri: str

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        return f"redirect to {display_address(self.uri)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({display_address(self.uri)!r})"


class ProxyError(InvalidHandshake):
    """
    The proxy did not connect us to the server; the socket is closed.

    Attributes:
        proxy: address of the proxy, without credentials; None if unknown.
        proxy_reason: origin of this proxy setting, such as an environment variable.
    """

    proxy: str | None = None
    proxy_reason: str | None = None

    def __str__(self) -> str:
        return self._through(super().__str__())

    def _through(self, text: str) -> str:
        """Add which proxy it was, and why it was used."""
        if self.proxy is None:
            return text
        why = f", {self.proxy_reason}" if self.proxy_reason else ""
        return f"{text} (proxy {self.proxy}{why})"


class InvalidProxyMessage(ProxyError):
    """The proxy's answer is not valid HTTP; ``__cause__`` tells why."""


class InvalidProxyStatus(ProxyError):
    """
    The proxy's answer is not 2xx.

    Args:
        response: the answer.
    """

    response: Response

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return self._through(
            f"proxy rejected connection: HTTP {self.response.status_code}"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary(self.response)})"


def summary(response: Response) -> str:
    """Describe a response without the values of its headers, and without its body."""
    phrase = f" {escape(response.reason_phrase)}" if response.reason_phrase else ""
    return (
        f"<HTTP {response.status_code}{phrase}, {len(response.headers)} headers, "
        f"{len(response.body or b''):,} bytes>"
    )
