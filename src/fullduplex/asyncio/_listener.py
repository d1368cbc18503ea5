"""Listening sockets for `TcpTransport`: bind, accept, and stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import socket
import stat
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._net import sockets as _sockets
from ..core.server.exhaustion import ACCEPT_PAUSE, EXHAUSTED, Exhaustion

# An accepted connection: a socket or its descriptor, and its address.
Accepted = tuple[socket.socket | int, Any]


def accept(sock: socket.socket) -> Accepted | None:
    """Accept a connection; None if there is none."""
    try:
        accepted, address = sock.accept()
    except (BlockingIOError, InterruptedError, ConnectionAbortedError):
        return None
    accepted.setblocking(False)
    # It may be a stream of another kind.
    with contextlib.suppress(OSError):
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return accepted, address


class Listener:
    """
    Sockets on which connections are accepted.

    Args:
        loop: the running loop, which must have `add_reader`.
        sockets: bound sockets; they belong to the listener from here on.
        make: called with each accepted connection and its address.
        backlog: connections that the system keeps until they are accepted.
        accept_ip: as `accept`, for descriptors of sockets of IP; what it accepts has
            the options of the listening socket, as on Linux.
        poller: watches the connections, and is closed with the listener.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        make: Callable[[socket.socket | int, Any], object],
        backlog: int,
        accept_ip: Callable[[int], Accepted | None] | None = None,
        poller: Any = None,
    ) -> None:
        self._loop = loop
        self._sockets: Sequence[socket.socket] | None = sockets
        self._make = make
        self._backlog = backlog
        self._accept_ip = accept_ip
        self._poller = poller
        self._serving = False
        self._retries: dict[socket.socket, asyncio.Handle] = {}
        self._exhaustion = Exhaustion()

    @property
    def sockets(self) -> Sequence[TransportSocket]:
        """The sockets, for looking, as those of asyncio's servers; none once closed."""
        return tuple(map(TransportSocket, self._sockets or ()))

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return self._serving

    async def start_serving(self) -> None:
        """Begin to accept connections."""
        self.start()
        # As asyncio's servers do: a client that waits may connect already.
        await asyncio.sleep(0)

    def start(self) -> None:
        """Begin to accept connections."""
        if self._serving or self._sockets is None:
            return
        self._serving = True
        for sock in self._sockets:
            sock.listen(self._backlog)
            self._watch(sock)

    def _watch(self, sock: socket.socket) -> None:
        self._retries.pop(sock, None)
        fd = sock.fileno()
        if fd < 0:
            return  # the program has closed it
        take = functools.partial(accept, sock)
        if self._accept_ip is not None and sock.family in (
            socket.AF_INET,
            socket.AF_INET6,
        ):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            take = functools.partial(self._accept_ip, fd)
        self._loop.add_reader(fd, self._accept, sock, fd, take)

    def _accept(
        self, sock: socket.socket, fd: int, take: Callable[[], Accepted | None]
    ) -> None:
        if sock.fileno() != fd:
            # The program has closed it, and the number may be another's by now.
            self._loop.remove_reader(fd)
            return
        # Not without end: what is connected wants to be served as well.
        for _ in range(self._backlog + 1):
            try:
                accepted = take()
            except OSError as exc:
                if exc.errno not in EXHAUSTED:
                    raise
                if self._exhaustion.begins(self._loop.time()):
                    # As the loop's own servers report it, but once.
                    self._loop.call_exception_handler(
                        {
                            "message": "no connection can be accepted for now",
                            "exception": exc,
                            "socket": sock,
                        }
                    )
                self._loop.remove_reader(sock.fileno())
                self._retries[sock] = self._loop.call_later(
                    ACCEPT_PAUSE, self._watch, sock
                )
                return
            if accepted is None:
                return
            self._make(*accepted)
            if not self._serving:
                return  # a handler may have closed us, and the descriptor with us

    def resume(self) -> None:
        """Accept again soon, if accepting has paused: a connection has ended."""
        for sock, retry in self._retries.items():
            if isinstance(retry, asyncio.TimerHandle):
                retry.cancel()
                # By then its descriptor is free.
                self._retries[sock] = self._loop.call_soon(self._watch, sock)

    def close(self) -> None:
        """Close the sockets; connections go on."""
        sockets, self._sockets = self._sockets, None
        self._serving = False
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()
        for sock in sockets or ():
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                sock.close()
        if self._poller is not None:
            self._poller.close()

    async def wait_closed(self) -> None:
        """Return at once: nothing goes on when it is closed."""


async def bind(
    loop: asyncio.AbstractEventLoop,
    host: str | Iterable[str] | None,
    port: int | None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    keep_alive: bool | None = None,
) -> list[socket.socket]:
    """
    Bind sockets to all addresses of some hosts; arguments as ``loop.create_server``.

    Raises:
        OSError: an address cannot be used; no socket is left.
    """
    hosts = [host] if host is None or isinstance(host, str) else list(host)
    answers = await asyncio.gather(
        *(
            loop.getaddrinfo(
                name or None,
                port,
                family=family,
                type=socket.SOCK_STREAM,
                flags=flags,
            )
            for name in hosts
        )
    )
    infos = dict.fromkeys(itertools.chain.from_iterable(answers))
    sockets: list[socket.socket] = []
    try:
        for kind, socktype, proto, _, address in infos:
            try:
                sock = socket.socket(kind, socktype, proto)
            except OSError:
                continue  # a family that the system does not have
            sockets.append(sock)
            if reuse_address or (reuse_address is None and os.name == "posix"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            if reuse_port:
                if not hasattr(socket, "SO_REUSEPORT"):
                    raise ValueError("reuse_port is not supported by this system")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
            if keep_alive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
            if kind == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
                # One socket a family; otherwise the two would be in each other's way.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
            try:
                sock.bind(address)
            except OSError as exc:
                if exc.errno == errno.EADDRNOTAVAIL and len(infos) > 1:
                    sockets.pop().close()  # IPv6 that is switched off, mostly
                    continue
                raise OSError(
                    exc.errno, f"cannot listen on {address!r}: {exc.strerror}"
                ) from None
            sock.setblocking(False)
        if not sockets:
            raise OSError(f"cannot listen on any address of {hosts!r}, port {port!r}")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def bind_unix(path: str | bytes) -> socket.socket:
    """
    Bind a Unix socket; the file of another one is replaced.

    As ``loop.create_unix_server`` does, also where somebody listens on that one: a
    server that is about to end is replaced without a gap.

    Raises:
        OSError: the path cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path[:1] not in ("\0", b"\0"):
            try:
                if stat.S_ISSOCK(os.stat(path).st_mode):
                    os.remove(path)
            except FileNotFoundError:
                pass
        _sockets.bind_unix(sock, path)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
