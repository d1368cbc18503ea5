"""Opening of a stream to the server: TCP, a proxy, TLS, TLS inside TLS.

    proxy      what is opened, in this order
    --------   ------------------------------------------------------------------
    none       TCP to the server, TLS for ``wss``
    SOCKS      TCP to the proxy, its handshake, TLS for ``wss``
    http       TCP to the proxy, CONNECT, TLS for ``wss``
    https      TCP to the proxy, TLS, CONNECT, TLS inside TLS for ``wss``

Up to CONNECT over plain TCP there is only a socket, so that the transport of the
connection is the same as without a proxy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any, NoReturn

from .._net.tls_context import context_for, explain, explain_handshake
from ..core.client.certificates import reference_name
from ..core.client.proxy import socks
from ..core.client.proxy.address import Route, check_proxy_tls
from ..core.client.proxy.http_tunnel import Tunnel
from ..core.diagnostics.connect_trace import ConnectTrace, show_address
from ..core.handshake.client import BODY_TIMEOUT, body_late
from ..core.uri import WebSocketURI
from . import _transports as _transport
from ._tcp_connect import DIALING, connect_tcp

Factory = Callable[[], asyncio.BaseProtocol]

TLS = frozenset(
    {"server_hostname", "ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout"}
)


UNVERIFIED: Any = nullcontext()
# Bytes of a proxy's answer that are read at once.
PIECE = 16384


class Connector:
    """
    One attempt to reach a server.

    Args:
        uri: the server.
        route: way to the server: direct, or through a proxy.
        kwds: the caller's arguments for the TCP connection, for TLS and for the proxy.
        opening: where to note how it went.
        timeout: seconds until the caller will cancel this.
        user_agent: value of ``User-Agent`` for proxies.
    """

    def __init__(
        self,
        uri: WebSocketURI,
        route: Route,
        kwds: dict[str, Any],
        opening: ConnectTrace,
        *,
        timeout: float | None,
        user_agent: str | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._route = route
        self._opening = opening
        self._timeout = timeout
        self._user_agent = user_agent
        self._sock: socket.socket | None = kwds.get("sock")
        self._host = uri.host
        self._port = uri.port
        self._server = show_address((uri.host, uri.port))
        self._tls: dict[str, Any] = {}
        self._dialing: dict[str, Any] = {}
        self._proxy_tls: dict[str, Any] = {}
        if kwds:
            self._take_options(kwds)
        if uri.secure:
            self._tls["ssl"] = context_for(kwds.get("ssl"))
            # The name that is verified is that of the URI, wherever it leads.
            name = self._tls.get("server_hostname")
            self._tls["server_hostname"] = reference_name(
                uri.host if name is None else name
            )
        if route.proxy is not None:
            self._take_proxy_options(kwds)

    def _take_options(self, kwds: dict[str, Any]) -> None:
        if kwds.get("host") is not None:
            self._host = kwds["host"]
        if kwds.get("port") is not None:
            self._port = kwds["port"]
        for name, value in kwds.items():
            if name in TLS and value is not None:
                self._tls[name] = value
            elif name in DIALING:
                self._dialing[name] = value

    def _take_proxy_options(self, kwds: dict[str, Any]) -> None:
        proxy = self._route.proxy
        assert proxy is not None
        check_proxy_tls(proxy, kwds)
        for name, value in kwds.items():
            plain = name.removeprefix("proxy_")
            if plain == name:
                continue
            (self._proxy_tls if plain in TLS else self._dialing)[plain] = value
        if proxy.secure:
            self._proxy_tls["ssl"] = context_for(self._proxy_tls.get("ssl"))
            given = self._proxy_tls.get("server_hostname")
            self._proxy_tls["server_hostname"] = reference_name(
                proxy.host if given is None else given
            )

    async def open(self, factory: Factory) -> None:
        """
        Give the factory's protocol a transport to the server.

        Raises:
            OSError: TCP or TLS failed.
            ProxyError: the proxy refused.
            ImportError: it speaks SOCKS, and python-socks is not installed.

        Cancellation: safe; nothing is left open.
        """
        proxy = self._route.proxy
        peer = None
        if self._sock is not None:
            sock = self._sock
        elif proxy is None:
            sock, peer = await connect_tcp(
                self._loop,
                self._host,
                self._port,
                self._opening,
                timeout=self._timeout,
                **self._dialing,
            )
        elif proxy.is_socks:
            sock = await self._through_socks()
        elif proxy.secure:
            await self._through_tls(factory)
            return
        else:
            sock = await self._through_http()
        await self._finish(factory, sock, self._tls, peer)

    async def open_unix(self, factory: Factory, path: str | bytes) -> None:
        """Give the factory's protocol a transport to a Unix socket."""
        with self._verifying(self._tls) if "ssl" in self._tls else UNVERIFIED:
            await _transport.create_unix_connection(
                self._loop, factory, path, **self._tls
            )
        self._opening.tried(path)
        self._mark_tls()

    async def _finish(
        self,
        factory: Factory,
        sock: socket.socket,
        tls: dict[str, Any],
        peer: Any = None,
    ) -> Any:
        """Make the transport of a connected socket; returns it."""
        try:
            with self._verifying(tls) if "ssl" in tls else UNVERIFIED:
                transport, _ = await _transport.create_connection(
                    self._loop, factory, sock=sock, peer=peer, **tls
                )
        except (TypeError, ValueError) as exc:
            # These are about the arguments, but for certificates that are refused:
            # no transport has taken the socket over.
            if not isinstance(exc, OSError):
                sock.close()
            raise
        if tls is self._tls:
            self._mark_tls()
        return transport

    def _mark_tls(self) -> None:
        if "ssl" in self._tls:
            self._opening.mark("tls", monotonic())
        self._opening.doing = "during the opening handshake"

    @contextmanager
    def _verifying(self, tls: dict[str, Any]) -> Any:
        """Let errors of TLS say whom they are about."""
        name = tls["server_hostname"]
        self._opening.doing = f"during the TLS handshake with {name}"
        try:
            yield
        except ssl.SSLCertVerificationError as exc:
            explain(exc, name)
            raise
        except OSError as exc:
            if tls is self._tls:
                explain_handshake(exc, self._server, "ws")
            else:
                assert self._route.proxy is not None
                address = self._route.proxy.host, self._route.proxy.port
                explain_handshake(exc, show_address(address), "http")
            raise

    # Proxies

    async def _dial_proxy(self) -> socket.socket:
        proxy = self._route.proxy
        assert proxy is not None
        try:
            sock, _ = await connect_tcp(
                self._loop,
                proxy.host,
                proxy.port,
                self._opening,
                timeout=self._timeout,
                **self._dialing,
            )
        except OSError as exc:
            self._route.blame(exc)
            raise
        self._opening.doing = f"waiting for {self._route}"
        return sock

    async def connect(
        self, dest_host: str, dest_port: int, timeout: float | None = None
    ) -> socket.socket:
        """Connect to the proxy itself (python-socks calls this)."""
        return await self._dial_proxy()

    async def _through_socks(self) -> socket.socket:
        proxy = self._route.proxy
        assert proxy is not None
        socks.require()
        from python_socks.async_.asyncio import Proxy as Socks

        forward: Any = self
        client = Socks(**socks.arguments(proxy), forward=forward, loop=self._loop)
        try:
            sock = await client.connect(self._host, self._port, timeout=socks.FOREVER)
        except socks.failures() as exc:
            raise socks.refused(exc, self._route) from exc
        except OSError as exc:
            self._route.blame(exc)
            raise
        self._opening.mark("proxy", monotonic())
        return sock

    def _make_tunnel(self) -> Tunnel:
        assert self._route.proxy is not None
        return Tunnel(
            self._route.proxy,
            self._host,
            self._port,
            reason=self._route.reason,
            user_agent=self._user_agent,
        )

    async def _through_http(self) -> socket.socket:
        tunnel = self._make_tunnel()
        sock = await self._dial_proxy()
        try:
            await self._loop.sock_sendall(sock, tunnel.request_bytes())
            while data := await self._loop.sock_recv(sock, 65536):
                if tunnel.data_received(data):
                    self._opening.mark("proxy", monotonic())
                    return sock
                if tunnel.refused:
                    await self._read_refusal(sock, tunnel)
            tunnel.eof_received()
        except BaseException as exc:
            sock.close()
            if isinstance(exc, OSError):
                self._route.blame(exc)
            raise

    async def _read_refusal(self, sock: socket.socket, tunnel: Tunnel) -> NoReturn:
        """Read the body of a refusal, as far as it comes in time."""
        self._opening.refusal = tunnel.cut
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while data := await self._loop.sock_recv(sock, 65536):
                    tunnel.data_received(data)
        except OSError as exc:
            late = isinstance(exc, TimeoutError)
            raise tunnel.cut(body_late() if late else exc)  # noqa: B904 (has a cause)
        tunnel.eof_received()

    async def _through_tls(self, factory: Factory) -> None:
        tunneling = _Tunneling(self._loop, self._make_tunnel(), self._opening)
        sock = await self._dial_proxy()
        try:
            transport = await self._finish(lambda: tunneling, sock, self._proxy_tls)
            self._opening.doing = f"waiting for {self._route}"
            await tunneling.opened
        except BaseException as exc:
            tunneling.abandon()
            if isinstance(exc, OSError):
                self._route.blame(exc)
            raise
        self._opening.mark("proxy", monotonic())
        try:
            if transport.is_closing():
                tunneling.tunnel.eof_received()
            await self._enter(transport, factory())
        except BaseException:
            transport.abort()
            raise

    async def _enter(self, transport: Any, protocol: Any) -> None:
        """Hand the stream through the tunnel over to the connection."""
        if "ssl" in self._tls:
            with self._verifying(self._tls):
                await _transport.start_tls(self._loop, transport, protocol, **self._tls)
            self._mark_tls()
        else:
            transport.set_protocol(protocol)
            self._mark_tls()
            protocol.connection_made(transport)


class _Tunneling(asyncio.BufferedProtocol):
    """Ask for a tunnel over a stream that is encrypted already."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tunnel: Tunnel, opening: ConnectTrace
    ) -> None:
        self.tunnel = tunnel
        self._loop = loop
        self._opening = opening
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._memory = memoryview(bytearray(PIECE))
        self.opened: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self.tunnel.request_bytes())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        if self.opened.done():
            return
        try:
            if self.tunnel.data_received(bytes(self._memory[:nbytes])):
                self.opened.set_result(None)
            elif self.tunnel.refused and self._timer is None:
                self._opening.refusal = self.tunnel.cut
                self._timer = self._loop.call_later(BODY_TIMEOUT, self._body_late)
        except Exception as exc:
            self.opened.set_exception(exc)

    def _body_late(self) -> None:
        if not self.opened.done():
            self.opened.set_exception(self.tunnel.cut(body_late()))

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.opened.done():
            return
        try:
            if exc is not None:
                if self.tunnel.refused and isinstance(exc, Exception):
                    exc = self.tunnel.cut(exc)
                raise exc
            self.tunnel.eof_received()
        except Exception as error:
            self.opened.set_exception(error)

    def abandon(self) -> None:
        """Give up on the stream."""
        if not self.opened.cancel() and not self.opened.cancelled():
            self.opened.exception()  # the caller has it, or a better one
        if self._transport is not None:
            self._transport.abort()
