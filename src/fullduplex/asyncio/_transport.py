"""Where transports come from.

    plain TCP and Unix sockets    `TcpTransport`, where it is compiled and the loop
                                  has `add_reader`: an idle one takes 0.2 KiB, where
                                  one of aiofastnet takes 5.6; those of a listener
                                  have one `Poller` where there is epoll
    TLS                           aiofastnet, where it is installed
    otherwise                     the loop's own

``FULLDUPLEX_TRANSPORT`` is ``auto`` (the default), ``aiofastnet`` or ``loop``.
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

from .._sockets import set_options, unacknowledged
from ..core._select import IMPLEMENTATION, loading
from ..core.options import Options
from ..core.tcp import socket_options
from ..core.wire import ReadBuffer
from . import _listen
from ._listen import Accepted, Listener, bind, bind_unix

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
if WANTED not in ("auto", "aiofastnet", "loop"):
    raise ImportError(
        f"FULLDUPLEX_TRANSPORT is {WANTED!r}; it must be 'auto', 'aiofastnet' or 'loop'"
    )

# Importing it takes as long as importing ssl, so it waits for who needs it.
UNTRIED = object()
aiofastnet: Any = UNTRIED
if WANTED == "aiofastnet":
    import aiofastnet
elif WANTED == "loop":
    aiofastnet = None

TcpTransport: Any = None
Poller: Any = None
accept_ip: Callable[[int], Accepted | None] | None = None
if WANTED == "auto" and IMPLEMENTATION == "compiled" and not TYPE_CHECKING:
    # The same conditions as in setup.py.
    with loading():
        if os.name == "posix":
            from . import _tcp_c

            TcpTransport = _tcp_c.TcpTransport
            accept_ip = _tcp_c.accept if _tcp_c.ACCEPTS else None
        if sys.platform == "linux":
            from ._poller_c import Poller

OWN: Any = TcpTransport or ()
Factory = Callable[[], asyncio.BaseProtocol]
# Only Windows has these.
PROACTOR: Any = getattr(asyncio, "ProactorEventLoop", ())


def selects(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop reads only when there is something, into memory asked for
    right then.  Proactor loops keep the memory over turns."""
    return not isinstance(loop, PROACTOR)


def _own(loop: asyncio.AbstractEventLoop, kwds: dict[str, Any]) -> bool:
    """Whether a plain socket gets a transport of ours."""
    return TcpTransport is not None and kwds.get("ssl") is None and selects(loop)


def _fast(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether aiofastnet is there, and can work with `loop`."""
    global aiofastnet
    if aiofastnet is UNTRIED:
        try:
            import aiofastnet
        except ImportError:
            aiofastnet = None
    return aiofastnet is not None and selects(loop)


class _Loop:
    """
    A loop as aiofastnet sees it, which makes up for two mistakes of aiofastnet 1.2.

    A peer that closes TCP during the TLS handshake, as port scanners do, is nothing
    to report, but it is, with a class where an exception belongs, on which the
    default handler fails in turn.

    When descriptors run out, accepting should pause, but an AttributeError comes
    instead: the loop would try and report it some 50,000 times a second.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._loop, name)
        setattr(self, name, value)  # the next time it is found at once
        return value

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        if not (isinstance(exc, type) and issubclass(exc, ConnectionError)):
            self._loop.call_exception_handler(context)

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        if args:  # those of connections come without
            self._loop.add_reader(fd, self._accept, callback, *args)
        else:
            self._loop.add_reader(fd, callback)

    def _accept(self, callback: Callable[..., Any], sock: socket.socket) -> None:
        try:
            callback(sock)
        except AttributeError:
            # What it is about was reported before.
            self._loop.remove_reader(sock.fileno())
            self._loop.call_later(_listen.ACCEPT_PAUSE, self._go_on, callback, sock)

    def _go_on(self, callback: Callable[..., Any], sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self.add_reader(sock.fileno(), callback, sock)


async def create_connection(
    loop: asyncio.AbstractEventLoop,
    factory: Factory,
    *args: Any,
    peer: Any = None,
    **kwds: Any,
) -> tuple[Any, Any]:
    """
    Connect over TCP; arguments as for ``loop.create_connection``.

    Args:
        peer: address that ``sock``, which does not wait, was connected to; None if
            that is not known.
    """
    sock = kwds.get("sock")
    if sock is not None and _own(loop, kwds):
        return _started(loop, factory, sock, peer or _peer_of(sock))
    if _fast(loop):
        made: tuple[Any, Any] = await aiofastnet.create_connection(
            _Loop(loop) if kwds.get("ssl") else loop, factory, *args, **kwds
        )
        return made
    return await loop.create_connection(factory, *args, **kwds)


async def create_unix_connection(
    loop: asyncio.AbstractEventLoop, factory: Factory, *args: Any, **kwds: Any
) -> tuple[Any, Any]:
    """Connect to a Unix socket; arguments as for ``loop.create_unix_connection``."""
    if _fast(loop):
        made: tuple[Any, Any] = await aiofastnet.create_unix_connection(
            _Loop(loop) if kwds.get("ssl") else loop, factory, *args, **kwds
        )
        return made
    return await loop.create_unix_connection(factory, *args, **kwds)


async def start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    protocol: Any,
    *args: Any,
    **kwds: Any,
) -> Any:
    """Encrypt what a transport carries; arguments as for ``loop.start_tls``."""
    if _fast(loop):
        own = _Loop(loop)
        return await aiofastnet.start_tls(own, transport, protocol, *args, **kwds)
    return await loop.start_tls(transport, protocol, *args, **kwds)


async def create_server(
    loop: asyncio.AbstractEventLoop, factory: Factory, *args: Any, **kwds: Any
) -> Any:
    """Listen on TCP; arguments as for ``loop.create_server``."""
    if _own(loop, kwds):
        return await _listener(loop, factory, *args, **kwds)
    if _fast(loop):
        return await aiofastnet.create_server(_Loop(loop), factory, *args, **kwds)
    return await loop.create_server(factory, *args, **kwds)


async def create_unix_server(
    loop: asyncio.AbstractEventLoop, factory: Factory, *args: Any, **kwds: Any
) -> Any:
    """Listen on a Unix socket; arguments as for ``loop.create_unix_server``."""
    if _own(loop, kwds):
        return await _listener(loop, factory, *args, unix=True, **kwds)
    if _fast(loop):
        return await aiofastnet.create_unix_server(_Loop(loop), factory, *args, **kwds)
    return await loop.create_unix_server(factory, *args, **kwds)


def _started(
    loop: asyncio.AbstractEventLoop, factory: Factory, sock: socket.socket, peer: Any
) -> tuple[Any, Any]:
    """Give a connected socket to a protocol."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        pass  # a stream of another kind
    protocol = factory()
    transport = TcpTransport(loop, sock, protocol, peer)
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
    ssl: None = None,
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
        poller = None if Poller is None else Poller(loop)
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
        How many bytes; 0 if there are none, or if it is not known how to read them.
    """
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
    # Our own does without a socket object.
    if wanted and not (
        isinstance(transport, OWN) and transport.set_options_of_ip(wanted)
    ):
        set_options(transport.get_extra_info("socket"), wanted)


def unsent(transport: Any) -> int:
    """Return how many bytes wait in the transport and in the system (Linux)."""
    size: int = transport.get_write_buffer_size()
    return size + unacknowledged(transport.get_extra_info("socket"))
