"""CONNECT request to an HTTP proxy (RFC 9110, 9.3.6): bytes in and out.

    tunnel = Tunnel(route.proxy, "example.com", 443, reason=route.reason)
    send(tunnel.request_bytes())
    while not tunnel.data_received(receive()):   # or tunnel.eof_received()
        pass
    # from here on the stream is one to the server: begin TLS, or the handshake

A stream to an ``https`` proxy is encrypted before this begins.
"""

from __future__ import annotations

from typing import NoReturn

from ...errors import InvalidHandshake
from ...handshake.errors import InvalidProxyMessage, InvalidProxyStatus, ProxyError
from ...http.grammar import build_authorization_basic, build_host
from ...http.headers import Headers
from ...http.messages import USER_AGENT, Request, Response
from ...http.parser import ResponseParser
from .address import Proxy, Route


class Tunnel:
    """
    One request for a tunnel.

    Args:
        proxy: the proxy; its user name and password go to it, and nowhere else.
        host: where the tunnel leads to.
        port: likewise.
        reason: reason for the choice of this proxy; for errors.
        user_agent: value of ``User-Agent``; None or ``""`` for no such header.

    Raises:
        ValueError: an argument can't be sent.
    """

    request: Request
    """The request, as it will be sent."""

    response: Response | None
    """The response, once it is complete, whatever it says."""

    def __init__(
        self,
        proxy: Proxy,
        host: str,
        port: int,
        *,
        reason: str = "",
        user_agent: str | None = USER_AGENT,
    ) -> None:
        self._route = Route(proxy, reason)
        self._parser = ResponseParser("CONNECT")
        self.response = None
        target = build_host(host, port, True, always_include_port=True)
        headers = Headers()
        headers["Host"] = target
        if user_agent:
            headers["User-Agent"] = user_agent
        if proxy.user_info is not None:
            headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
        self.request = Request(target, headers, method="CONNECT")

    def request_bytes(self) -> bytes:
        """Serialize the request."""
        return self.request.serialize()

    def data_received(self, data: bytes) -> bool:
        """
        Take bytes from the proxy.

        Args:
            data: any portion, but not empty.

        Returns:
            Whether the tunnel is open.

        Raises:
            InvalidProxyStatus: the proxy refused; its response is attached.  If the
                body is not whole, the cause tells why.
            InvalidProxyMessage: this is no HTTP, or it exceeds a limit; the cause
                tells.
            ProxyError: something follows the response, before we asked the server
                for anything.  After each of these, close the stream.
        """
        try:
            response = self._parser.feed(data)
        except (ValueError, InvalidHandshake) as exc:
            self._invalid(exc)
        head = self._parser.head
        if response is None and head is not None and self._endless(head):
            response = self._parser.cut(EOFError("its body may never end"))
        if response is None:
            return False
        self._check(response)
        if self._parser.leftover:
            self._fail(
                ProxyError(
                    f"the proxy sent {len(self._parser.leftover):,} bytes after its "
                    "response, before the server was asked for anything"
                )
            )
        return True

    def eof_received(self) -> NoReturn:
        """
        Tell that the proxy sends no more.

        Raises:
            InvalidProxyMessage: the response is not complete; caused by
                :exc:`EOFError`.
            InvalidProxyStatus: this has ended the body of a refusal.
            ProxyError: the tunnel was open, and is closed.
        """
        try:
            response = self._parser.feed_eof()
        except (EOFError, ValueError, InvalidHandshake) as exc:
            self._invalid(exc)
        self._check(response)
        self._fail(ProxyError("the proxy closed the tunnel"))

    @property
    def refused(self) -> bool:
        """
        Whether the proxy has refused, and only the rest of a body is missing.

        It is worth waiting for, as it tells why, for `BODY_TIMEOUT` at most; then
        call `cut`.
        """
        return self._parser.refused

    def cut(self, exc: Exception) -> ProxyError:
        """
        Give up on the body of a refusal.

        Args:
            exc: the cause.

        Returns:
            Exception to raise; `exc` is its cause.
        """
        self.response = response = self._parser.cut(exc)
        error = blame_proxy(InvalidProxyStatus(response), self._route)
        error.__cause__ = self._parser.fault
        return error

    def _endless(self, head: Response) -> bool:
        """Whether a body would last until the end of a connection that stays."""
        headers = head.headers
        return not (
            "Content-Length" in headers
            or "Transfer-Encoding" in headers
            or head.protocol == "HTTP/1.0"
            or "close" in ", ".join(headers.get_all("Connection")).lower()
        )

    def _check(self, response: Response) -> None:
        if self.response is None:
            self.response = response
            if not 200 <= response.status_code < 300:
                self._fail(InvalidProxyStatus(response), self._parser.fault)

    def _invalid(self, exc: Exception) -> NoReturn:
        """Refuse what can't be parsed."""
        self._fail(
            InvalidProxyMessage(
                f"did not receive a valid HTTP response from the proxy: {exc}"
            ),
            exc,
        )

    def _fail(self, error: ProxyError, cause: Exception | None = None) -> NoReturn:
        raise blame_proxy(error, self._route) from cause


def blame_proxy(error: ProxyError, route: Route) -> ProxyError:
    """Note in an error which proxy it is about, and why it was used."""
    error.proxy = str(route.proxy)
    error.proxy_reason = route.reason
    return error
