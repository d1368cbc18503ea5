"""Connection limits of a server: counting, without I/O and clock.

A client above a limit is answered 503.  Refusals are counted; the log gets one line a
second about them, however many there were.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from typing import Any

from ..arguments import check_count

# Clients above a limit that may wait for their 503 at a time.  More are cut off
# without an answer: being polite must not cost more than serving.
MAX_REFUSED = 64
# Seconds after which a client that found no place may try again.
RETRY_AFTER = 5


class ConnectionLimits:
    """
    Limits of one server; None is no limit.

    Args:
        max_connections: TCP connections at a time, in handshakes too.
        max_connections_per_ip: of these, from one IPv4 address, or from one IPv6
            network of 64 bits, which is what one customer gets.
        max_handshakes_per_second: requests that are looked at each second, on
            average; as many may come at once after a quiet second.

    Raises:
        TypeError: a limit has the wrong type.
        ValueError: a limit is out of range.
    """

    __slots__ = (
        "_by_ip",
        "_connections",
        "_counted_at",
        "_max_connections",
        "_max_per_ip",
        "_rate",
        "_reported",
        "_tokens",
        "refused",
        "waiting",
    )

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes_per_second: float | None = None,
    ) -> None:
        for name, value in (
            ("max_connections", max_connections),
            ("max_connections_per_ip", max_connections_per_ip),
        ):
            if value is not None:
                check_count(name, value, "connections", 1)
        rate = max_handshakes_per_second
        if rate is not None:
            name = "max_handshakes_per_second"
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise TypeError(f"{name} must be a number, not {type(rate).__name__}")
            if not 0 < rate < math.inf:
                raise ValueError(f"{name} is {rate!r}; it must be more than 0")
        self._max_connections = max_connections
        self._max_per_ip = max_connections_per_ip
        self._rate = rate
        self._connections = 0
        self._by_ip: Counter[str] = Counter()
        self._tokens = 0.0 if rate is None else max(rate, 1.0)
        self._counted_at: float | None = None
        #: number of clients that each limit refused, by the name of the limit
        self.refused: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        #: refused clients that wait for their answer
        self.waiting = 0

    @property
    def by_ip(self) -> bool:
        """Whether `connected` wants to know addresses."""
        return self._max_per_ip is not None

    @staticmethod
    def group(host: Any) -> str | None:
        """
        Tell as whose connection one from `host` is counted.

        Returns:
            An IPv4 address, an IPv6 network, or None for what has no address.
        """
        try:
            address = ipaddress.ip_address(str(host).partition("%")[0])
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))

    def connected(self, group: str | None) -> str | None:
        """
        Count a TCP connection, unless there is no place for it.

        Args:
            group: result of `group`, if `by_ip`.

        Returns:
            None, or the name of the limit that refuses it, which is counted.  Then
            `disconnected` must not be called for it.
        """
        limit = self._max_connections
        if limit is not None and self._connections >= limit:
            return self.refuse("max_connections")
        if self._max_per_ip is not None and group is not None:
            if self._by_ip[group] >= self._max_per_ip:
                return self.refuse("max_connections_per_ip")
            self._by_ip[group] += 1
        self._connections += 1
        return None

    def disconnected(self, group: str | None) -> None:
        """Note the end of a connection that was counted."""
        self._connections -= 1
        if group is not None:
            self._by_ip[group] -= 1
            if not self._by_ip[group]:
                del self._by_ip[group]

    def requested(self, now: float) -> int:
        """
        Count a complete request at `now` (seconds).

        Returns:
            0, or after how many seconds the client may try again.
        """
        rate = self._rate
        if rate is None:
            return 0
        if self._counted_at is not None:
            earned = (now - self._counted_at) * rate
            self._tokens = min(self._tokens + earned, max(rate, 1.0))
        self._counted_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        self.refuse("max_handshakes_per_second")
        return math.ceil((1 - self._tokens) / rate)

    def refuse(self, limit: str) -> str:
        """Count a refusal; returns `limit`."""
        self.refused[limit] += 1
        return limit

    def report(self) -> str | None:
        """Say what was refused since the last report; None if nothing was."""
        new = self.refused - self._reported
        if not new:
            return None
        self._reported = self.refused.copy()
        parts = ", ".join(f"{count} by {limit}" for limit, count in sorted(new.items()))
        return f"refused {new.total()} clients: {parts}"
