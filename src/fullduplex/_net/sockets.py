"""Options and addresses of a connected socket, for every face, below its own I/O.

``core.endpoint.tcp_info`` decides on the options.  A value that the system does not
know is None.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from typing import Any, TypeAlias

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.options import Options
from ..core.endpoint.tcp_info import (
    TCP_INFO_SIZE,
    TCPInfo,
    socket_options,
    tcp_info,
    user_timeout,
)
from ..core.typing import PathLike

# A socket, or what asyncio and uvloop show instead of one.
Socket: TypeAlias = Any

# Request of the unacknowledged bytes of a socket's output: SIOCOUTQ of Linux.
_SIOCOUTQ = 0x5411
# The first byte of Linux' ``struct tcp_info``.
_ESTABLISHED = b"\x01"


def _is_tcp(sock: Socket) -> bool:
    """Whether it is a socket of TCP that is open."""
    return (
        sock is not None
        and sock.family in (socket.AF_INET, socket.AF_INET6)
        and sock.fileno() >= 0
    )


def tune(sock: Socket, options: Options) -> None:
    """Let TCP watch the connection too, within what `options` say."""
    wanted = socket_options(options, socket)
    if wanted:
        set_options(sock, wanted)


def set_options(sock: Socket, wanted: list[tuple[int, int, int]]) -> None:
    """Set what the system has of these on a socket of TCP."""
    if not _is_tcp(sock):
        return
    for arguments in wanted:
        with contextlib.suppress(OSError):
            sock.setsockopt(*arguments)


def set_user_timeout(
    sock: Socket, options: Options, suspend_user_timeout: bool
) -> None:
    """
    Set or lift TCP's own deadline for output.

    Args:
        suspend_user_timeout: as `Keepalive.suspend_user_timeout` says.
    """
    if not _is_tcp(sock) or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    value = 0 if suspend_user_timeout else user_timeout(options)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, value)


def tell_time(session: Endpoint, sock: Socket, waiting: int, now: float) -> None:
    """
    Let a session do what is due, after telling it how its output fares.

    Args:
        waiting: bytes of output that the system has not taken.
    """
    suspend_user_timeout = session.keepalive.suspend_user_timeout
    left = waiting + unacknowledged(sock)
    session.output_left(left, now, link(sock))
    session.timer_expired(now)
    if session.keepalive.suspend_user_timeout is not suspend_user_timeout:
        set_user_timeout(sock, session.options, session.keepalive.suspend_user_timeout)
    session.needs_sync = True


def unacknowledged(sock: Socket) -> int:
    """Return how many bytes the peer's system has not taken (Linux); else 0."""
    if fcntl is None or not _is_tcp(sock):
        return 0
    try:
        answer = fcntl.ioctl(sock.fileno(), _SIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):
        return 0
    return int.from_bytes(answer, sys.byteorder)


def established(sock: Socket) -> bool:
    """Tell whether TCP is known to have connected already (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return False  # a stream of another kind
    return bool(state == _ESTABLISHED)


def link(sock: Socket) -> TCPInfo | None:
    """Return what TCP knows of the peer, where the system tells (Linux)."""
    if not sys.platform.startswith("linux") or not _is_tcp(sock):
        return None
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
    except OSError:
        return None
    return tcp_info(data)


def listen_unix(path: PathLike, backlog: int | None = None) -> socket.socket:
    """
    Listen on a Unix socket; the file of one that nobody listens on is replaced.

    Args:
        path: path of the socket, or a name that begins with NUL.
        backlog: connections that may wait to be accepted; None for the most that
            the system allows.

    Raises:
        OSError: the path cannot be used, or somebody listens there.
    """
    name = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            bind_unix(sock, name)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or not _is_abandoned(name):
                raise
            os.unlink(name)
            bind_unix(sock, name)
        sock.listen(socket.SOMAXCONN if backlog is None else backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def bind_unix(sock: socket.socket, path: str | bytes) -> None:
    """
    Bind a Unix socket.

    Raises:
        OSError: the path cannot be used; it says which.
    """
    try:
        sock.bind(path)
    except OSError as exc:
        raise OSError(
            exc.errno, f"cannot listen on {path!r}: {exc.strerror or exc}"
        ) from None


def _is_abandoned(path: str | bytes) -> bool:
    """Tell whether a path is that of a Unix socket that nobody listens on."""
    if path[:1] in ("\0", b"\0"):
        return False  # such names go with their sockets
    # Connecting to a file of another kind is refused as well.
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A listener that is busy would keep the caller waiting.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False
