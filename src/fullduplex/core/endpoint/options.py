"""Every limit and timeout of a connection, checked once, before a socket opens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..arguments import check_count, check_seconds

# Received bytes that may wait unread, as a multiple of `read_limit`: large enough
# that control frames behind ordinary messages are still read and answered.
UNREAD_FACTOR = 16


def _optional(name: str, value: object, unit: str) -> int | None:
    return None if value is None else check_count(name, value, unit)


def _pair(name: str, value: object) -> tuple[Any, Any]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"{name} is {value!r}; it must be an int, None or a pair")
    return value


def _marks(name: str, value: object, unit: str) -> tuple[int | None, int]:
    """Return high and low water marks; the low one defaults to a quarter."""
    if isinstance(value, tuple):
        high, low = _pair(name, value)
        high = _optional(name, high, unit)
        low = _optional(name, low, unit)
        if high is None:
            high = None if low is None else 4 * low
        if low is None:
            low = 0 if high is None else high // 4
    else:
        high = _optional(name, value, unit)
        low = 0 if high is None else high // 4
    if high is not None and low > high:
        raise ValueError(f"{name} is {value!r}; the low mark is above the high mark")
    return high, low


@dataclass(frozen=True)
class Options:
    """
    Limits and timeouts of one connection.

    Attributes:
        ping_interval: seconds between keepalive pings; None sends none.
        ping_timeout: seconds without any progress after a ping until the peer
            counts as dead; None waits for ever.
        close_timeout: seconds for closing as a whole, from the close frame to the
            end of TCP; None for no limit.
        max_size: bytes in a received message; None for no limit.
        max_fragment: bytes in a received frame; None for no limit.
        queue_high: received messages and fragments waiting unread above which
            reading pauses; None for no limit.
        queue_low: number of them at which reading resumes.
        unread_high: bytes of them above which reading pauses; None for no limit.
        write_high: bytes waiting to be sent above which `send` waits.
        write_low: bytes at which it goes on.
    """

    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    close_timeout: float | None = 10
    max_size: int | None = 2**20
    max_fragment: int | None = None
    queue_high: int | None = 32
    queue_low: int = 8
    unread_high: int | None = UNREAD_FACTOR * 2**16
    write_high: int = 2**16
    write_low: int = 2**14

    @staticmethod
    def check(
        *,
        ping_interval: object = 20,
        ping_timeout: object = 20,
        close_timeout: object = 10,
        max_size: object = 2**20,
        max_queue: object = 2**5,
        read_limit: object = 2**16,
        write_limit: object = 2**16,
    ) -> Options:
        """
        Build options from the parameters of `connect` and `serve`.

        Args:
            max_size: bytes, None, or a pair (message, fragment) of these.
            max_queue: messages, None, or a pair (high mark, low mark).
            read_limit: bytes; received data that waits unread is bounded by 16
                times this, whatever `max_queue` allows.
            write_limit: bytes, or a pair (high mark, low mark).

        Raises:
            TypeError: a parameter has the wrong type.
            ValueError: a parameter is out of range.
        """
        given = (
            ping_interval,
            ping_timeout,
            close_timeout,
            max_size,
            max_queue,
            read_limit,
            write_limit,
        )
        if tuple in map(type, given):
            return _build(*given)  # the memory looks at types, but not within pairs
        try:
            return _remembered(*given)
        except TypeError:
            return _build(*given)  # nothing that can be remembered, or wrong: say so

    def replaced(self, name: str, value: object) -> Options:
        """
        Return these options with another value of one parameter.

        Args:
            name: a parameter of `check`.
            value: likewise.

        Raises:
            TypeError: it has the wrong type.
            ValueError: it is out of range.
        """
        unread = self.unread_high
        given: dict[str, object] = {
            "ping_interval": self.ping_interval,
            "ping_timeout": self.ping_timeout,
            "close_timeout": self.close_timeout,
            "max_size": (self.max_size, self.max_fragment),
            "max_queue": None
            if self.queue_high is None
            else (self.queue_high, self.queue_low),
            "read_limit": 2**16 if unread is None else unread // UNREAD_FACTOR,
            "write_limit": (self.write_high, self.write_low),
        }
        given[name] = value
        return Options.check(**given)


def _build(
    ping_interval: object,
    ping_timeout: object,
    close_timeout: object,
    max_size: object,
    max_queue: object,
    read_limit: object,
    write_limit: object,
) -> Options:
    if isinstance(max_size, tuple):
        message, fragment = _pair("max_size", max_size)
    else:
        message, fragment = max_size, None
    queue_high, queue_low = _marks("max_queue", max_queue, "messages")
    write_high, write_low = _marks("write_limit", write_limit, "bytes")
    if write_high is None:
        raise TypeError("write_limit is None; it must be an int (bytes) or a pair")
    unread = UNREAD_FACTOR * check_count("read_limit", read_limit, "bytes", 1)
    return Options(
        ping_interval=check_seconds("ping_interval", ping_interval),
        ping_timeout=check_seconds("ping_timeout", ping_timeout),
        close_timeout=check_seconds("close_timeout", close_timeout),
        max_size=_optional("max_size", message, "bytes"),
        max_fragment=_optional("max_size", fragment, "bytes"),
        queue_high=queue_high,
        queue_low=queue_low,
        unread_high=None if queue_high is None else unread,
        write_high=write_high,
        write_low=write_low,
    )


# The options of a program's connections are few; each is built once.
_remembered = lru_cache(maxsize=64, typed=True)(_build)
