"""From an address to a connected socket, within a deadline."""

from __future__ import annotations

import math
import os
import socket
import threading
from time import monotonic
from typing import Any

from ..core.typing import PathLike

__all__ = ["dial", "dial_unix"]


def resolve(host: str | None, port: int, deadline: float) -> list[Any]:
    """
    Find the addresses of a host.

    Raises:
        OSError: there are none.
        TimeoutError: the deadline has passed.
    """
    kind = socket.SOCK_STREAM
    try:
        return socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # it is a name
    # The system's resolver knows neither deadlines nor Ctrl-C.
    done = threading.Event()
    found: list[Any] = []
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
        raise failure[0]
    return found


def dial(
    host: str | None,
    port: int,
    deadline: float,
    *,
    source_address: tuple[str, int] | None = None,
    all_errors: bool = False,
) -> socket.socket:
    """
    Connect to the first address of a host that answers.

    Args:
        source_address: our own host and port.
        all_errors: whether to raise all errors, as an `ExceptionGroup`.

    Raises:
        OSError: no address answers; the first error, or all of them.
        TimeoutError: the deadline has passed.
    """
    errors: list[OSError] = []
    for family, kind, proto, _, address in resolve(host, port, deadline):
        sock = socket.socket(family, kind, proto)
        try:
            if source_address is not None:
                sock.bind(source_address)
            connect(sock, address, deadline)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as exc:
            sock.close()
            if monotonic() >= deadline:
                raise
            errors.append(exc)
        except BaseException:
            sock.close()
            raise
    if all_errors:
        raise ExceptionGroup("connecting failed", errors)
    raise errors[0]


def dial_unix(path: PathLike, deadline: float) -> socket.socket:
    """
    Connect to a Unix socket.

    Raises:
        OSError: nobody listens there.
        TimeoutError: the deadline has passed.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connect(sock, os.fspath(path), deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def connect(sock: socket.socket, address: Any, deadline: float) -> None:
    """Connect within the deadline; signals interrupt it."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(None if left == math.inf else left)
    try:
        sock.connect(address)
    except TimeoutError:
        raise
    except OSError as exc:
        if exc.errno is None:
            raise
        raise OSError(
            exc.errno, f"connecting to {address!r} failed: {exc.strerror}"
        ) from exc
