"""Opening of a stream to the server: TCP, a proxy, TLS, TLS inside TLS.

proxy      what is opened, in this order
--------   ------------------------------------------------------------------
none       TCP to the server, TLS for ``wss``
SOCKS      TCP to the proxy, its handshake, TLS for ``wss``
http       TCP to the proxy, CONNECT, TLS for ``wss``
https      TCP to the proxy, TLS, CONNECT, TLS inside TLS for ``wss``
"""

from __future__ import annotations

import os
import ssl as tls
from typing import Any, NoReturn

import trio

from .._net.tls_context import context_for, explain, explain_handshake, restore_session
from ..core.client.certificates import reference_name
from ..core.client.proxy import socks
from ..core.client.proxy.address import Route, check_proxy_tls
from ..core.client.proxy.http_tunnel import Tunnel
from ..core.diagnostics.connect_trace import ConnectTrace, show_address
from ..core.handshake.client import BODY_TIMEOUT, body_late
from ..core.typing import PathLike
from ..core.uri import WebSocketURI
from ._byte_stream import os_error
from ._tcp_connect import connect_tcp


class Connector:
    """
    One attempt to reach a server.

    Args:
        uri: the server.
        route: way to the server: direct, or through a proxy.
        opening: where to note how it went.
        timeout: seconds until the caller will cancel this.
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
        *,
        timeout: float | None,
        user_agent: str | None,
        kwds: dict[str, Any],
        given: dict[str, Any],
    ) -> None:
        self._uri = uri
        self._route = route
        self._opening = opening
        self._user_agent = user_agent
        self._given = given
        self._dialing = {**kwds, "timeout": timeout}
        self._host = self._dialing.pop("host", None) or uri.host
        self._port = self._dialing.pop("port", None) or uri.port

    async def open(
        self, *, stream: trio.abc.Stream | None = None, path: PathLike | None = None
    ) -> trio.abc.Stream:
        """
        Return a stream to the server.

        Args:
            stream: to use instead of a new one.
            path: of a Unix socket to take instead of TCP.

        Raises:
            OSError: TCP or TLS failed.
            ProxyError: the proxy refused.
            ImportError: it speaks SOCKS, and python-socks is not installed.

        Cancellation: safe; nothing is left open.
        """
        proxy = self._route.proxy
        if stream is not None:
            pass
        elif path is not None:
            stream = await trio.open_unix_socket(os.fspath(path))
            self._opening.tried(path)
        elif proxy is None:
            stream = await connect_tcp(
                self._host, self._port, self._opening, **self._dialing
            )
        else:
            check_proxy_tls(proxy, self._given)
            try:
                through = self._through_socks if proxy.is_socks else self._through_http
                stream = await through()
            except OSError as exc:
                self._route.blame(exc)
                raise
        if self._uri.secure:
            stream = await self._encrypt(
                stream,
                context_for(self._given.get("ssl")),
                # The name that is verified is that of the URI, wherever it leads.
                self._given.get("server_hostname"),
                (self._uri.host, self._uri.port),
                "ws",
            )
            self._opening.mark("tls", trio.current_time())
        self._opening.doing = "during the opening handshake"
        return stream

    async def _encrypt(
        self,
        stream: trio.abc.Stream,
        context: tls.SSLContext,
        server_hostname: str | None,
        address: tuple[str, int],
        plain: str,
    ) -> trio.abc.Stream:
        name = reference_name(server_hostname or address[0])
        self._opening.doing = f"during the TLS handshake with {name}"
        try:
            return await encrypt(stream, context, server_hostname=name)
        except OSError as exc:
            explain_handshake(exc, show_address(address), plain)
            raise

    # Proxies

    async def _dial_proxy(self) -> trio.SocketStream:
        proxy = self._route.proxy
        assert proxy is not None
        stream = await connect_tcp(
            proxy.host, proxy.port, self._opening, **self._dialing
        )
        self._opening.doing = f"waiting for {self._route}"
        return stream

    async def connect(
        self, dest_host: str, dest_port: int, timeout: float | None = None
    ) -> trio.socket.SocketType:
        """Connect to the proxy itself (python-socks calls this)."""
        return (await self._dial_proxy()).socket

    async def _through_socks(self) -> trio.abc.Stream:
        proxy = self._route.proxy
        assert proxy is not None
        socks.require()
        from python_socks.async_.trio import Proxy as Socks

        forward: Any = self
        client = Socks(**socks.arguments(proxy), forward=forward)
        try:
            sock = await client.connect(self._host, self._port, timeout=socks.FOREVER)
        except socks.failures() as exc:
            raise socks.refused(exc, self._route) from exc
        self._opening.mark("proxy", trio.current_time())
        return trio.SocketStream(sock)

    async def _through_http(self) -> trio.abc.Stream:
        proxy = self._route.proxy
        assert proxy is not None
        tunnel = Tunnel(
            proxy,
            self._host,
            self._port,
            reason=self._route.reason,
            user_agent=self._user_agent,
        )
        stream: trio.abc.Stream = await self._dial_proxy()
        try:
            if proxy.secure:
                stream = await self._encrypt(
                    stream,
                    context_for(self._given.get("proxy_ssl")),
                    self._given.get("proxy_server_hostname"),
                    (proxy.host, proxy.port),
                    "http",
                )
                self._opening.doing = f"waiting for {self._route}"
            await stream.send_all(tunnel.request_bytes())
            while data := await stream.receive_some(65536):
                if tunnel.data_received(bytes(data)):
                    self._opening.mark("proxy", trio.current_time())
                    return stream
                if tunnel.refused:
                    await self._read_refusal(stream, tunnel)
            tunnel.eof_received()
        except BaseException as exc:
            await trio.aclose_forcefully(stream)
            if isinstance(exc, trio.BrokenResourceError):
                raise os_error(exc) from None
            raise

    async def _read_refusal(self, stream: trio.abc.Stream, tunnel: Tunnel) -> NoReturn:
        """Read the body of a refusal, as far as it comes in time."""
        self._opening.refusal = tunnel.cut
        try:
            with trio.fail_after(BODY_TIMEOUT):
                while data := await stream.receive_some(65536):
                    tunnel.data_received(bytes(data))
        except trio.TooSlowError:
            raise tunnel.cut(body_late())  # noqa: B904 (has a cause)
        except trio.BrokenResourceError as exc:
            raise tunnel.cut(os_error(exc))  # noqa: B904 (has a cause)
        tunnel.eof_received()


async def encrypt(
    stream: trio.abc.Stream,
    context: tls.SSLContext,
    *,
    server_hostname: str | None = None,
    server_side: bool = False,
) -> trio.abc.Stream:
    """
    Do the TLS handshake over a stream, which may be encrypted already.

    Raises:
        OSError: it failed; the stream is closed, as it is when cancelled.
    """
    encrypted: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        stream, context, server_hostname=server_hostname, server_side=server_side
    )
    try:
        if not server_side:
            restore_session(encrypted)
        await encrypted.do_handshake()
    except trio.BrokenResourceError as exc:
        await trio.aclose_forcefully(stream)
        error = os_error(exc)
        if isinstance(error, tls.SSLCertVerificationError) and server_hostname:
            explain(error, server_hostname)
        raise error from None
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted
