"""TCP connections to a host, within a deadline: happy eyeballs (RFC 8305)."""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import threading
from time import monotonic
from typing import Any

from ..core.client.happy_eyeballs import (
    DELAY,
    AddressInfo,
    HappyEyeballs,
    interleave_families,
)
from ..core.client.os_errors import set_error_text
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.http.grammar import build_host
from ..core.typing import PathLike

# Results of `connect_ex` while it is still connecting.
UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})


def resolve(host: str | None, port: int, deadline: float) -> list[AddressInfo]:
    """
    Find the addresses of a host.

    Raises:
        OSError: there are none; it names the host.
        TimeoutError: the deadline has passed.
    """
    kind = socket.SOCK_STREAM
    try:
        return socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # it is a name
    # The system's resolver knows neither deadlines nor Ctrl-C.
    done = threading.Event()
    found: list[AddressInfo] = []
    failure: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=kind))
        except OSError as exc:
            failure.append(exc)
        finally:
            done.set()

    threading.Thread(target=ask, name="fullduplex resolver", daemon=True).start()
    if not done.wait(None if deadline == math.inf else deadline - monotonic()):
        raise TimeoutError("timed out")
    if failure:
        set_error_text(failure[0], f"cannot resolve {host!r}: {failure[0].strerror}")
        raise failure[0]
    if not found:
        raise OSError(f"cannot resolve {host!r}: there is no address")
    return found


def connect_tcp(
    host: str | None,
    port: int,
    deadline: float,
    opening: ConnectTrace,
    *,
    source_address: tuple[str, int] | None = None,
    happy_eyeballs_delay: float | None = DELAY,
    all_errors: bool = False,
) -> socket.socket:
    """
    Connect to a host over TCP.

    Args:
        opening: where to note how it went.
        source_address: our own host and port.
        happy_eyeballs_delay: seconds until the next address is tried beside the
            others; None to try one after the other.
        all_errors: whether to raise all errors, as an `ExceptionGroup`.

    Raises:
        OSError: the name is unknown, or no address answered; it names each.
        TimeoutError: the deadline has passed.
    """
    opening.doing = f"resolving {host}"
    infos = interleave_families(resolve(host, port, deadline), 1)
    opening.mark("dns", monotonic())
    race = HappyEyeballs(
        infos,
        build_host(host or "", port, False, always_include_port=True),
        delay=happy_eyeballs_delay,
        timeout=None if deadline == math.inf else deadline - monotonic(),
        opening=opening,
    )
    try:
        sock = run(race, deadline, source_address)
    finally:
        race.stop()
    opening.mark("tcp", monotonic())
    if sock is None:
        raise race.all_errors() if all_errors else race.error()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def run(
    race: HappyEyeballs, deadline: float, source_address: tuple[str, int] | None
) -> socket.socket | None:
    """Carry the race out; returns None if it was lost."""
    running: dict[socket.socket, AddressInfo] = {}
    winner: socket.socket | None = None
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                now = monotonic()
                if now >= deadline:
                    raise TimeoutError("timed out")
                while (info := race.start(now)) is not None:
                    try:
                        sock = begin(info, source_address)
                    except OSError as exc:
                        race.failed(info, exc, now)
                        continue
                    running[sock] = info
                    selector.register(sock, selectors.EVENT_WRITE)
                if race.lost:
                    return None
                until = deadline if race.next_at is None else race.next_at
                wait = min(until, deadline) - monotonic()
                for key, _ in selector.select(None if wait == math.inf else wait):
                    ready: Any = key.fileobj
                    number = ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not number:
                        race.won(running[ready])
                        winner = ready
                        return winner
                    selector.unregister(ready)
                    ready.close()
                    error = OSError(number, os.strerror(number))
                    race.failed(running.pop(ready), error, monotonic())
        finally:
            for sock in running:
                if sock is not winner:
                    sock.close()


def begin(info: AddressInfo, source_address: tuple[str, int] | None) -> socket.socket:
    """Begin to connect to one address."""
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if source_address is not None:
            bind(sock, source_address)
        number = sock.connect_ex(address)
        if number not in UNDER_WAY:
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock


def bind(sock: socket.socket, source_address: tuple[str, int]) -> None:
    """Bind a socket to our own address."""
    try:
        sock.bind(source_address)
    except OSError as exc:
        text = f"cannot bind to local address {source_address[0]}: {exc.strerror}"
        raise OSError(exc.errno, text) from exc


def dial_unix(path: PathLike, deadline: float, opening: ConnectTrace) -> socket.socket:
    """
    Connect to a Unix socket.

    Raises:
        OSError: nobody listens there.
        TimeoutError: the deadline has passed.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(None if left == math.inf else left)
        address = os.fspath(path)
        sock.connect(address)
        opening.tried(address)
    except BaseException:
        sock.close()
        raise
    return sock
