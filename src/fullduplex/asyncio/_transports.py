"""Choice of the transport.

    plain TCP and Unix sockets    `TcpTransport`, where it is compiled and the loop
                                  has `add_reader`: an idle one takes 0.2 KiB; those
                                  of a listener share an `EpollReader` on Linux
    otherwise                     the loop's own
    TLS                           `TlsTransport`, on one of these

``FULLDUPLEX_TRANSPORT`` is ``auto`` (the default), or ``loop`` for the loop's own.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._net.sockets import set_options, unacknowledged
from ..core.endpoint.options import Options
from ..core.endpoint.tcp_info import socket_options
from ..core.implementation import IMPLEMENTATION, loading
from ..core.wire.wire import ReadBuffer
from ._listener import Accepted, Listener, bind, bind_unix
from ._tls_transport import TlsTransport, check_tls

__all__ = [
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "read_buffer",
    "receive_rest",
    "selects",
    "start_tls",
    "tune",
    "unsent",
]

WANTED = os.environ.get("FULLDUPLEX_TRANSPORT", "auto")
if WANTED not in ("auto", "loop"):
    raise ImportError(
        f"FULLDUPLEX_TRANSPORT is {WANTED!r}; it must be 'auto' or 'loop'"
    )

TcpTransport: Any = None
EpollReader: Any = None
accept_ip: Callable[[int], Accepted | None] | None = None
if WANTED == "auto" and IMPLEMENTATION == "compiled" and not TYPE_CHECKING:
    # The same conditions as in setup.py.
    with loading():
        if os.name == "posix":
            from . import _tcp_transport_c as _tcp_c

            TcpTransport = _tcp_c.TcpTransport
            accept_ip = _tcp_c.accept if _tcp_c.ACCEPTS else None
        if sys.platform == "linux":
            from ._epoll_c import EpollReader

OWN: Any = TcpTransport or ()
TLS_ARGUMENTS = frozenset(
    {"server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"}
)
Factory = Callable[[], asyncio.BaseProtocol]
# Only Windows has these.
PROACTOR: Any = getattr(asyncio, "ProactorEventLoop", ())


def selects(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop reads only when there is something, into memory asked for
    right then.  Proactor loops keep the memory over turns."""
    return not isinstance(loop, PROACTOR)


def _own(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a plain socket gets a transport of ours."""
    return TcpTransport is not None and selects(loop)


async def create_connection(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    *args: Any,
    peer: Any = None,
    ssl: Any = None,
    **kwds: Any,
) -> tuple[Any, Any]:
    """
    Connect over TCP; arguments as for ``loop.create_connection``.

    Args:
        peer: address that ``sock``, which does not wait, was connected to; None if
            that is not known.
        ssl: an `ssl.SSLContext`, or None.
    """
    if ssl is not None:
        tls, kwds = _split(kwds)
        transport = _encrypting(loop, factory(), ssl, **tls)
        connecting = create_connection(
            loop, lambda: transport, *args, peer=peer, **kwds
        )
        return await _secured(loop, transport, connecting)
    sock = kwds.get("sock")
    if sock is not None and _own(loop):
        if peer is not None:
            return _started(loop, factory, sock, peer)
        return _started(loop, factory, sock, _peer_of(sock), guest=True)
    return await loop.create_connection(factory, *args, **kwds)


async def create_unix_connection(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    *args: Any,
    ssl: Any = None,
    **kwds: Any,
) -> tuple[Any, Any]:
    """Connect to a Unix socket; arguments as for ``loop.create_unix_connection``."""
    if ssl is not None:
        tls, kwds = _split(kwds)
        transport = _encrypting(loop, factory(), ssl, **tls)
        connecting = create_unix_connection(loop, lambda: transport, *args, **kwds)
        return await _secured(loop, transport, connecting)
    return await loop.create_unix_connection(factory, *args, **kwds)


async def start_tls(
    loop: asyncio.AbstractEventLoop, transport: Any, protocol: Any, ssl: Any, **tls: Any
) -> Any:
    """
    Encrypt what a transport carries, as a client; arguments as ``loop.start_tls``.

    The protocol is told of the new transport, which is returned.
    """

    async def begin() -> None:
        transport.set_protocol(above)
        above.connection_made(transport)

    # TLS below decrypts from the shared memory, and must not do so into it.
    shared = selects(loop) and not isinstance(transport, TlsTransport)
    above = _encrypting(loop, protocol, ssl, shared=shared, **tls)
    await _secured(loop, above, begin())
    return above


def _split(kwds: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what concerns TLS, and the rest."""
    tls = {name: value for name, value in kwds.items() if name in TLS_ARGUMENTS}
    return tls, {name: kwds[name] for name in kwds if name not in tls}


def _encrypting(
    loop: asyncio.AbstractEventLoop,
    protocol: Any,
    context: Any,
    *,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    shared: bool | None = None,
    **kwds: Any,
) -> TlsTransport:
    check_tls(context, ssl_handshake_timeout, ssl_shutdown_timeout)
    return TlsTransport(
        loop,
        protocol,
        context,
        handshake_timeout=ssl_handshake_timeout,
        shutdown_timeout=ssl_shutdown_timeout,
        shared=selects(loop) if shared is None else shared,
        **kwds,
    )


async def _secured(
    loop: asyncio.AbstractEventLoop, transport: TlsTransport, connecting: Any
) -> tuple[Any, Any]:
    """Connect, and wait for the handshake; a failure leaves nothing open."""
    secured = transport.secured = loop.create_future()
    try:
        await connecting
        await secured
    except BaseException:
        transport.abort()
        if secured.done() and not secured.cancelled():
            secured.exception()
        raise
    return transport, transport.protocol


def _encrypted(
    loop: asyncio.AbstractEventLoop, factory: Factory, kwds: dict[str, Any]
) -> tuple[Factory, dict[str, Any]]:
    """
    Return what makes the protocols of a listener, and arguments without those of TLS.

    A connection with TLS is counted, and may be ended, from TCP on.
    """
    context = kwds.pop("ssl", None)
    tls, kwds = _split(kwds)
    if context is None:
        if tls:
            raise ValueError(f"{', '.join(tls)}: these are for TLS, and ssl is None")
        return factory, kwds
    _encrypting(loop, None, context, server_side=True, **tls)

    def make() -> asyncio.BaseProtocol:
        return _encrypting(
            loop, factory(), context, server_side=True, early=True, **tls
        )

    return make, kwds


async def create_server(
    loop: asyncio.AbstractEventLoop, factory: Factory, *args: Any, **kwds: Any
) -> Any:
    """Listen on TCP; arguments as for ``loop.create_server``."""
    factory, kwds = _encrypted(loop, factory, kwds)
    if _own(loop):
        return await _listener(loop, factory, *args, **kwds)
    return await loop.create_server(factory, *args, **kwds)


async def create_unix_server(
    loop: asyncio.AbstractEventLoop, factory: Factory, *args: Any, **kwds: Any
) -> Any:
    """Listen on a Unix socket; arguments as for ``loop.create_unix_server``."""
    factory, kwds = _encrypted(loop, factory, kwds)
    if _own(loop):
        return await _listener(loop, factory, *args, unix=True, **kwds)
    return await loop.create_unix_server(factory, *args, **kwds)


def _started(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    sock: socket.socket,
    peer: Any,
    *,
    guest: bool = False,
) -> tuple[Any, Any]:
    """Give a connected socket, or one of the program's, to a protocol."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        pass  # a stream of another kind
    protocol = factory()
    transport = TcpTransport(loop, sock, protocol, peer, None, guest)
    transport.start()
    return transport, protocol


def _welcome(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    poller: Any,
    sock: socket.socket | int,
    peer: Any,
) -> None:
    """Give an accepted connection to a protocol."""
    if isinstance(sock, int) and peer is None:
        sock = socket.socket(fileno=sock)
        peer = _peer_of(sock)
    try:
        protocol = factory()
    except BaseException:
        (socket.socket(fileno=sock) if isinstance(sock, int) else sock).close()
        raise
    transport = TcpTransport(loop, sock, protocol, peer, poller)
    transport.start()
    # A client that is not far away has sent its request by now.
    transport.read_now()


def _peer_of(sock: socket.socket) -> Any:
    sock.setblocking(False)
    try:
        return sock.getpeername()
    except OSError:
        return None  # it is gone already; reading will tell


async def _listener(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    host: Any = None,
    port: int | None = None,
    *,
    path: str | bytes | None = None,
    sock: socket.socket | None = None,
    unix: bool = False,
    backlog: int = 100,
    start_serving: bool = True,
    **kwds: Any,
) -> Listener:
    if sock is not None:
        sock.setblocking(False)
        sockets = [sock]
    elif unix:
        assert path is not None
        sockets = [bind_unix(path)]
    else:
        sockets = await bind(loop, host, port, **kwds)
    try:
        poller = None if EpollReader is None else EpollReader(loop)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    listener = Listener(
        loop,
        sockets,
        functools.partial(_welcome, loop, factory, poller),
        backlog,
        accept_ip,
        poller,
    )
    if start_serving:
        try:
            await listener.start_serving()
        except BaseException:
            listener.close()
            raise
    return listener


_buffers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ReadBuffer] = (
    weakref.WeakKeyDictionary()
)


def read_buffer(loop: asyncio.AbstractEventLoop) -> ReadBuffer | None:
    """Return the memory that all connections of `loop` read into, if they can."""
    if not selects(loop):
        return None
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = ReadBuffer()
    return buffer


def receive_rest(transport: Any, memory: memoryview) -> int:
    """
    Read what the system has received, without waiting.

    For transports that are being lost, in `connection_lost`: their socket is open.

    Returns:
        Number of bytes; 0 if there are none, or if the transport cannot be read.
    """
    if isinstance(transport, TlsTransport):
        return transport.receive_rest(memory)
    tls = map(transport.get_extra_info, ("sslcontext", "ssl_object"))
    sock = transport.get_extra_info("socket")
    if sock is None or any(tls) or not hasattr(os, "readv"):
        return 0
    try:
        return os.readv(sock.fileno(), [memory])
    except (OSError, ValueError):
        return 0


def tune(transport: Any, options: Options) -> None:
    """Let TCP watch the connection too, within what `options` say."""
    wanted = socket_options(options, socket)
    while isinstance(transport, TlsTransport):
        transport = transport.lower
    # Our own does without a socket object.
    if wanted and not (
        isinstance(transport, OWN) and transport.set_options_of_ip(wanted)
    ):
        set_options(transport.get_extra_info("socket"), wanted)


def unsent(transport: Any) -> int:
    """Return how many bytes wait in the transport and in the system (Linux)."""
    size: int = transport.get_write_buffer_size()
    return size + unacknowledged(transport.get_extra_info("socket"))
