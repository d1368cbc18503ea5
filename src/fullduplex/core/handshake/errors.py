"""Errors of the opening handshake that carry a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..credentials import display_address, escape

if TYPE_CHECKING:
    from ..http.headers import Headers
    from ..http.messages import Response
    from ..typing import StatusLike
from ..errors import InvalidHandshake


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
            from ..http.headers import Headers
            from ..http.messages import Response

            if headers is None:
                headers = Headers()
            response = Response(int(response), "", headers)
        elif headers is not None:
            raise TypeError("headers are part of the response; don't give both")
        super().__init__(response)


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


# They are deprecated in `fullduplex.exceptions`, where pickle would find them with a
# warning.
AbortHandshake.__module__ = RedirectHandshake.__module__ = __name__
