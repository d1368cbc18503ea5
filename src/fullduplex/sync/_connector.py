"""Opening of a stream to the server: TCP, a proxy, TLS, TLS inside TLS.

proxy      what is opened, in this order
--------   ------------------------------------------------------------------
none       TCP to the server, TLS for ``wss``
SOCKS      TCP to the proxy, its handshake, TLS for ``wss``
http       TCP to the proxy, CONNECT, TLS for ``wss``
https      TCP to the proxy, TLS, CONNECT, TLS inside TLS for ``wss``
"""

from __future__ import annotations

import socket
import ssl as tls
from time import monotonic
from typing import Any, NoReturn

from .._net.tls_context import context_for, explain, explain_handshake
from ..core.client.certificates import reference_name
from ..core.client.proxy import socks
from ..core.client.proxy.address import Route, check_proxy_tls
from ..core.client.proxy.http_tunnel import Tunnel
from ..core.diagnostics.connect_trace import ConnectTrace, show_address
from ..core.handshake.client import BODY_TIMEOUT, body_late
from ..core.typing import PathLike
from ..core.uri import WebSocketURI
from ._channel import HandshakeSocket
from ._tcp_connect import connect_tcp, dial_unix


class Connector:
    """
    One attempt to reach a server.

    Args:
        uri: the server.
        route: way to the server: direct, or through a proxy.
        opening: where to note how it went.
        deadline: until when the connection must be open.
        user_agent: value of ``User-Agent`` for proxies.
        kwds: the caller's arguments for TCP: those of `dial`, but also ``host`` and
            ``port``.
        given: the caller's arguments for TLS: ``ssl``, ``server_hostname``,
            ``proxy_ssl`` and ``proxy_server_hostname``.
    """

    def __init__(
        self,
        uri: WebSocketURI,
        route: Route,
        opening: ConnectTrace,
        deadline: float,
        *,
        user_agent: str | None,
        kwds: dict[str, Any],
        given: dict[str, Any],
    ) -> None:
        self._uri = uri
        self._route = route
        self._opening = opening
        self._deadline = deadline
        self._user_agent = user_agent
        self._given = given
        self._dialing = dict(kwds)
        self._host = self._dialing.pop("host", None) or uri.host
        self._port = self._dialing.pop("port", None) or uri.port

    def open(
        self, *, sock: socket.socket | None = None, path: PathLike | None = None
    ) -> HandshakeSocket:
        """
        Return a channel to the server.

        Args:
            sock: a connected socket to use.
            path: of a Unix socket to connect to.

        Raises:
            OSError: TCP or TLS failed; nothing is left open.
            TimeoutError: the deadline has passed.
            ProxyError: the proxy refused.
            ImportError: it speaks SOCKS, and python-socks is not installed.
        """
        channel = self._begin(sock, path)
        try:
            if self._uri.secure:
                self._encrypt(
                    channel,
                    context_for(self._given.get("ssl")),
                    # The name that is verified is that of the URI, wherever it leads.
                    self._given.get("server_hostname"),
                    (self._uri.host, self._uri.port),
                    "ws",
                )
                self._opening.mark("tls", monotonic())
        except BaseException:
            channel.close()
            raise
        self._opening.doing = "during the opening handshake"
        return channel

    def _begin(
        self, sock: socket.socket | None, path: PathLike | None
    ) -> HandshakeSocket:
        proxy = self._route.proxy
        guest = sock is not None
        if sock is not None:
            pass
        elif path is not None:
            sock = dial_unix(path, self._deadline, self._opening)
        elif proxy is None:
            sock = connect_tcp(
                self._host, self._port, self._deadline, self._opening, **self._dialing
            )
        else:
            check_proxy_tls(proxy, self._given)
            try:
                return self._through_socks() if proxy.is_socks else self._through_http()
            except OSError as exc:
                self._route.blame(exc)
                raise
        channel = HandshakeSocket(sock, self._deadline)
        channel.guest = guest
        return channel

    def _encrypt(
        self,
        channel: HandshakeSocket,
        context: tls.SSLContext,
        server_hostname: str | None,
        address: tuple[str, int],
        plain: str,
    ) -> None:
        name = reference_name(
            address[0] if server_hostname is None else server_hostname
        )
        self._opening.doing = f"during the TLS handshake with {name}"
        try:
            channel.start_tls(context, server_hostname=name)
        except tls.SSLCertVerificationError as exc:
            explain(exc, name)
            raise
        except OSError as exc:
            explain_handshake(exc, show_address(address), plain)
            raise

    # Proxies

    def _dial_proxy(self) -> socket.socket:
        proxy = self._route.proxy
        assert proxy is not None
        sock = connect_tcp(
            proxy.host, proxy.port, self._deadline, self._opening, **self._dialing
        )
        self._opening.doing = f"waiting for {self._route}"
        return sock

    def connect(
        self, dest_host: str, dest_port: int, timeout: float | None = None
    ) -> socket.socket:
        """Connect to the proxy itself (python-socks calls this)."""
        sock = self._dial_proxy()
        # Each of the few reads may take that long; the deadline is checked after.
        sock.settimeout(min(max(self._deadline - monotonic(), 0.001), socks.FOREVER))
        return sock

    def _through_socks(self) -> HandshakeSocket:
        proxy = self._route.proxy
        assert proxy is not None
        socks.require()
        from python_socks.sync import Proxy as Socks

        forward: Any = self
        client = Socks(**socks.arguments(proxy), forward=forward)
        try:
            sock = client.connect(self._host, self._port, timeout=socks.FOREVER)
        except socks.failures() as exc:
            if monotonic() >= self._deadline:
                raise TimeoutError("timed out") from exc
            raise socks.refused(exc, self._route) from exc
        self._opening.mark("proxy", monotonic())
        return HandshakeSocket(sock, self._deadline)

    def _through_http(self) -> HandshakeSocket:
        proxy = self._route.proxy
        assert proxy is not None
        tunnel = Tunnel(
            proxy,
            self._host,
            self._port,
            reason=self._route.reason,
            user_agent=self._user_agent,
        )
        channel = HandshakeSocket(self._dial_proxy(), self._deadline)
        try:
            if proxy.secure:
                self._encrypt(
                    channel,
                    context_for(self._given.get("proxy_ssl")),
                    self._given.get("proxy_server_hostname"),
                    (proxy.host, proxy.port),
                    "http",
                )
                self._opening.doing = f"waiting for {self._route}"
            channel.send(tunnel.request_bytes())
            while data := channel.receive():
                if tunnel.data_received(data):
                    self._opening.mark("proxy", monotonic())
                    return channel
                if tunnel.refused:
                    self._read_refusal(channel, tunnel)
                if tunnel.refused:
                    self._read_refusal(channel, tunnel)
            tunnel.eof_received()
        except BaseException:
            channel.close()
            raise

    def _read_refusal(self, channel: HandshakeSocket, tunnel: Tunnel) -> NoReturn:
        """Read the body of a refusal, as far as it comes in time."""
        channel.deadline = min(channel.deadline, monotonic() + BODY_TIMEOUT)
        try:
            while data := channel.receive():
                tunnel.data_received(data)
        except OSError as exc:
            late = isinstance(exc, TimeoutError)
            raise tunnel.cut(body_late() if late else exc)  # noqa: B904 (has a cause)
        tunnel.eof_received()
