"""Options of the system's TCP, and its statistics about the peer.

Numbers only: faces hand in their module ``socket`` for its constants, set what is
decided here, and read the structure that is taken apart here.
"""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

from .options import Options

# Probes without an answer after which TCP gives up.
PROBES = 4
# Seconds.  Below that, the system would compete with our own deadline.
LEAST_USER_TIMEOUT = 10
# Largest value that Linux takes for TCP_KEEPIDLE and TCP_KEEPINTVL.
MOST_SECONDS = 32767
# Bytes of Linux' ``struct tcp_info`` up to and with the last field read here.
TCP_INFO_SIZE = 136


class TCPInfo(NamedTuple):
    """
    Statistics of TCP about the peer.

    Attributes:
        acknowledged: bytes that the peer's system has taken since the beginning.
        received: bytes that have arrived, read by us or not.
        answering: whether the peer's system answers: nothing that was sent waits
            for its acknowledgement.  Output that does not fit into the peer's
            window has not been sent.
    """

    acknowledged: int
    received: int
    answering: bool


def tcp_info(data: bytes) -> TCPInfo | None:
    """Read Linux' ``struct tcp_info``; None where the kernel is too old for it."""
    if len(data) < TCP_INFO_SIZE:
        return None

    def number(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], sys.byteorder)

    probes, unacked = data[3], number(24, 4)
    return TCPInfo(number(120, 8), number(128, 8), unacked == 0 and probes <= 1)


def user_timeout(options: Options) -> int:
    """
    Return milliseconds for TCP_USER_TIMEOUT; 0 for the system's default.

    More than our own deadline takes: ours speaks first and says what it found.
    The system's is for when our side cannot.
    """
    interval, timeout = options.ping_interval, options.ping_timeout
    if interval is None or timeout is None:
        return 0
    seconds = max(2 * (interval + timeout), LEAST_USER_TIMEOUT)
    return int(1000 * min(seconds, MOST_SECONDS))


def socket_options(options: Options, system: Any) -> list[tuple[int, int, int]]:
    """
    Decide what to set on a TCP socket: arguments of ``setsockopt``.

    Probes begin only once pings would have been due and were not sent, and end
    after our own deadline.  Without keepalive, or without its timeout, the system
    keeps its defaults.

    Args:
        system: the module ``socket``; what it lacks is left out.
    """
    interval, timeout = options.ping_interval, options.ping_timeout
    if interval is None or timeout is None:
        return []
    idle = _whole(interval + timeout)
    # Its name on macOS.
    name = "TCP_KEEPIDLE" if hasattr(system, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"
    wanted = [
        ("SOL_SOCKET", "SO_KEEPALIVE", 1),
        ("IPPROTO_TCP", name, idle),
        ("IPPROTO_TCP", "TCP_KEEPINTVL", _whole(timeout / PROBES)),
        ("IPPROTO_TCP", "TCP_KEEPCNT", PROBES),
        ("IPPROTO_TCP", "TCP_USER_TIMEOUT", user_timeout(options)),
    ]
    return [
        (getattr(system, level), getattr(system, name), value)
        for level, name, value in wanted
        if hasattr(system, name)
    ]


def _whole(seconds: float) -> int:
    return max(1, min(math.ceil(min(seconds, MOST_SECONDS)), MOST_SECONDS))
