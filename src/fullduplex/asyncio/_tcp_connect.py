"""TCP connections to a host: name resolution, and happy eyeballs (RFC 8305)."""

from __future__ import annotations

import asyncio
import os
import socket
from errno import EALREADY, EINPROGRESS, EINTR, EWOULDBLOCK
from time import monotonic
from typing import Any

from .._net.sockets import established
from ..core.client.happy_eyeballs import (
    DELAY,
    AddressInfo,
    HappyEyeballs,
    interleave_families,
)
from ..core.client.os_errors import set_error_text
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.http.grammar import build_host
from ._driver import Waiter, eager
from ._transports import selects

Loop = asyncio.AbstractEventLoop

# Results of `connect_ex` while the peer has not answered.
PENDING = frozenset({EALREADY, EINPROGRESS, EINTR, EWOULDBLOCK})

# Addresses that mean another one, which is the peer's.
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 (nothing is bound to these)

# Sockets that don't wait, without a second call to say so.
NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)

# Parameters of `dial` that belong to ``loop.create_connection`` as well.
DIALING = frozenset(
    {
        "all_errors",
        "family",
        "flags",
        "happy_eyeballs_delay",
        "interleave",
        "local_addr",
        "proto",
    }
)


async def connect_tcp(
    loop: Loop,
    host: str | None,
    port: Any,
    opening: ConnectTrace,
    *,
    timeout: float | None = None,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[str, int] | None = None,
    happy_eyeballs_delay: float | None = DELAY,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[socket.socket, Any]:
    """
    Connect to a host over TCP.

    Args:
        opening: where to note how it went.
        timeout: seconds until the caller will cancel this.
        happy_eyeballs_delay: seconds until the next address is tried beside the
            others; None to try one after the other.

    All others are as for ``loop.create_connection``.

    Returns:
        A socket that does not wait, and the peer's address; None if only the system
        knows that.

    Raises:
        OSError: the name is unknown, or no address answered; it names each.

    Cancellation: safe; nothing is left open.
    """
    info = literal(host, port, family) if host and isinstance(port, int) else None
    if info is not None:
        infos = [info]
    else:
        opening.doing = f"resolving {host}"
        infos = await resolve(loop, host, port, family=family, proto=proto, flags=flags)
    local = None
    if local_addr is not None:
        local = await resolve(
            loop, *local_addr[:2], family=family, proto=proto, flags=flags
        )
    opening.mark("dns", monotonic())
    if len(infos) > 1:
        if interleave is None:
            interleave = 0 if happy_eyeballs_delay is None else 1
        infos = interleave_families(infos, interleave)
    race = HappyEyeballs(
        infos,
        build_host(host or "", port or 0, False, always_include_port=True),
        delay=happy_eyeballs_delay,
        timeout=timeout,
        opening=opening,
    )
    try:
        if len(infos) > 1:
            sock = await run(loop, race, local)
        else:
            # Without any task: this is how most connections begin.
            info = race.start(0)
            assert info is not None
            try:
                sock = await attempt(loop, info, local)
                race.won(info)
            except OSError as exc:
                race.failed(info, exc, 0)
                sock = None
    finally:
        race.stop()
    opening.mark("tcp", monotonic())
    if sock is None:
        raise race.all_errors() if all_errors else race.error()
    assert race.winner is not None
    peer = race.winner[4]
    return sock, None if peer[0] in UNSPECIFIED else peer


def literal(host: str, port: int, family: int) -> AddressInfo | None:
    """Return what `resolve` would for an IP address; None for what is none."""
    for kind in (socket.AF_INET, socket.AF_INET6):
        if family in (0, kind):
            try:
                socket.inet_pton(kind, host)
            except (OSError, ValueError):
                continue
            address = (host, port) if kind == socket.AF_INET else (host, port, 0, 0)
            return kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address
    return None


async def resolve(loop: Loop, host: Any, port: Any, **kwds: Any) -> list[AddressInfo]:
    """Ask the resolver; what it raises names the host."""
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, **kwds)
    except socket.gaierror as exc:
        set_error_text(exc, f"cannot resolve {host!r}: {exc.strerror}")
        raise
    if not infos:
        raise OSError(f"cannot resolve {host!r}: there is no address")
    return infos


async def run(
    loop: Loop, race: HappyEyeballs, local: list[AddressInfo] | None
) -> socket.socket | None:
    """Carry the race out; returns None if it was lost."""
    running: dict[asyncio.Task[socket.socket], AddressInfo] = {}
    winner: socket.socket | None = None
    try:
        while winner is None:
            now = loop.time()
            while (info := race.start(now)) is not None:
                running[loop.create_task(attempt(loop, info, local))] = info
            if race.lost:
                return None
            wait = None if race.next_at is None else max(race.next_at - now, 0)
            done, _ = await asyncio.wait(
                running, timeout=wait, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if winner is None:
                    winner = judged(race, running, task, loop.time())
        return winner
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(discard)


def judged(
    race: HappyEyeballs,
    running: dict[asyncio.Task[socket.socket], AddressInfo],
    task: asyncio.Task[socket.socket],
    now: float,
) -> socket.socket | None:
    """Tell the race how an attempt has ended; returns the socket if it won."""
    info = running.pop(task)
    try:
        sock = task.result()
    except OSError as exc:
        race.failed(info, exc, now)
        return None
    race.won(info)
    return sock


def discard(task: asyncio.Task[socket.socket]) -> None:
    """Close what came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def attempt(
    loop: Loop, info: AddressInfo, local: list[AddressInfo] | None
) -> socket.socket:
    """Connect to one address."""
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind | NONBLOCK, proto)
    try:
        if not NONBLOCK:
            sock.setblocking(False)
        if local is not None:
            bind(sock, family, local)
        if selects(loop):
            await connected(loop, sock, address)
        else:
            await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def connected(loop: Loop, sock: socket.socket, address: Any) -> None:
    """
    Connect a socket that does not wait.

    Raises:
        OSError: nobody answered there.
    """
    number = sock.connect_ex(address)
    if number in PENDING:
        if established(sock):
            return  # a server on this machine has answered meanwhile
        await writable(loop, sock.fileno())
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


async def writable(loop: Loop, fd: int) -> None:
    """Wait until a socket can be written to."""
    waiter = Waiter(loop, eager(loop))
    loop.add_writer(fd, waiter.fire)
    try:
        await waiter
    finally:
        loop.remove_writer(fd)


def bind(sock: socket.socket, family: Any, local: list[AddressInfo]) -> None:
    """Bind a socket to the first local address of its family that is possible."""
    error: OSError | None = None
    for kind, _, _, _, address in local:
        if kind != family:
            continue
        try:
            return sock.bind(address)
        except OSError as exc:
            text = f"cannot bind to local address {address[0]}: {exc.strerror}"
            error = OSError(exc.errno, text)
    raise error or OSError("local_addr has no address of this family")
