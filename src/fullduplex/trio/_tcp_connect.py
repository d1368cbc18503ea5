"""TCP connections to a host: name resolution, and happy eyeballs (RFC 8305)."""

from __future__ import annotations

import math
import socket
from typing import Any

import trio

from ..core.client.happy_eyeballs import (
    DELAY,
    AddressInfo,
    HappyEyeballs,
    interleave_families,
)
from ..core.client.os_errors import set_error_text
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.http.grammar import build_host

# Parameters of `dial` that `connect` takes.
DIALING = frozenset({"happy_eyeballs_delay", "local_address"})

Result = tuple[AddressInfo, "trio.socket.SocketType | OSError"]


async def connect_tcp(
    host: str | None,
    port: int,
    opening: ConnectTrace,
    *,
    timeout: float | None = None,
    local_address: str | None = None,
    happy_eyeballs_delay: float | None = DELAY,
) -> trio.SocketStream:
    """
    Connect to a host over TCP.

    Args:
        opening: where to note how it went.
        timeout: seconds until the caller will cancel this.
        local_address: our own address.
        happy_eyeballs_delay: seconds until the next address is tried beside the
            others; None to try one after the other.

    Raises:
        OSError: the name is unknown, or no address answered; it names each.

    Cancellation: safe; nothing is left open.
    """
    opening.doing = f"resolving {host}"
    infos = interleave_families(await resolve(host, port), 1)
    opening.mark("dns", trio.current_time())
    race = HappyEyeballs(
        infos,
        build_host(host or "", port, False, always_include_port=True),
        delay=happy_eyeballs_delay,
        timeout=timeout,
        opening=opening,
    )
    try:
        sock = await run(race, local_address)
    finally:
        race.stop()
    opening.mark("tcp", trio.current_time())
    if sock is None:
        raise race.error()
    return trio.SocketStream(sock)


async def resolve(host: str | None, port: int) -> list[Any]:
    """Ask the resolver; what it raises names the host."""
    try:
        infos = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        set_error_text(exc, f"cannot resolve {host!r}: {exc.strerror}")
        raise
    if not infos:
        raise OSError(f"cannot resolve {host!r}: there is no address")
    return infos


async def run(
    race: HappyEyeballs, local_address: str | None
) -> trio.socket.SocketType | None:
    """Carry the race out; returns None if it was lost."""
    tell, ends = trio.open_memory_channel[Result](math.inf)

    async def try_one(info: AddressInfo) -> None:
        try:
            tell.send_nowait((info, await attempt(info, local_address)))
        except OSError as exc:
            tell.send_nowait((info, exc))

    winner: trio.socket.SocketType | None = None
    try:
        async with trio.open_nursery() as nursery:
            while winner is None:
                while (info := race.start(trio.current_time())) is not None:
                    nursery.start_soon(try_one, info)
                if race.lost:
                    break
                with trio.move_on_at(
                    math.inf if race.next_at is None else race.next_at
                ):
                    winner = judged(race, *await ends.receive())
            nursery.cancel_scope.cancel()
    except BaseException:
        if winner is not None:
            winner.close()
        raise
    finally:
        discard(ends)
    return winner


def judged(
    race: HappyEyeballs, info: AddressInfo, end: trio.socket.SocketType | OSError
) -> trio.socket.SocketType | None:
    """Tell the race how an attempt has ended; returns the socket if it won."""
    if isinstance(end, OSError):
        race.failed(info, end, trio.current_time())
        return None
    race.won(info)
    return end


def discard(ends: trio.MemoryReceiveChannel[Result]) -> None:
    """Close what came too late."""
    while True:
        try:
            _, end = ends.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return
        if not isinstance(end, OSError):
            end.close()


async def attempt(
    info: AddressInfo, local_address: str | None
) -> trio.socket.SocketType:
    """Connect to one address."""
    family, kind, proto, _, address = info
    sock = trio.socket.socket(family, kind, proto)
    try:
        if local_address is not None:
            try:
                await sock.bind((local_address, 0))
            except OSError as exc:
                text = f"cannot bind to local address {local_address}: {exc.strerror}"
                raise OSError(exc.errno, text) from exc
        await sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
