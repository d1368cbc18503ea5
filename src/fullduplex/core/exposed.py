"""What older programs read from a connection: its limits, its side, its close frames.

None of it is needed to use a connection.  A program may set attributes of these
names on its own subclass, so these are found after those of the object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from .errors import ConnectionClosed, InvalidState
from .frames import Close
from .options import UNREAD_FACTOR, Options
from .protocol import Side

__all__ = ["Exposed"]

T = TypeVar("T")


class shown(Generic[T]):
    """A property that an attribute of the object hides."""

    def __init__(self, get: Callable[[Any], T]) -> None:
        self._get = get
        self.__doc__ = get.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> shown[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> shown[T] | T:
        return self if instance is None else self._get(instance)


class Exposed:
    """A base of connection classes."""

    __slots__ = ()

    side: Side
    _options: Options
    _session: Any

    @shown
    def is_client(self) -> bool:
        """Whether this is the client's end."""
        return self.side is Side.CLIENT

    @shown
    def ping_interval(self) -> float | None:
        """Seconds between keepalive pings."""
        return self._options.ping_interval

    @shown
    def ping_timeout(self) -> float | None:
        """Seconds without any sign of life after a ping until the peer is dead."""
        return self._options.ping_timeout

    @shown
    def close_timeout(self) -> float | None:
        """Seconds that closing may take as a whole."""
        return self._options.close_timeout

    @shown
    def max_size(self) -> int | None:
        """Bytes in a received message."""
        return self._options.max_size

    @shown
    def max_queue(self) -> int | None:
        """Received messages that may wait before reading pauses."""
        return self._options.queue_high

    @shown
    def max_queue_high(self) -> int | None:
        """The same as `max_queue`."""
        return self._options.queue_high

    @shown
    def max_queue_low(self) -> int | None:
        """Received messages at which reading goes on."""
        return None if self._options.queue_high is None else self._options.queue_low

    @shown
    def read_limit(self) -> int | None:
        """A sixteenth of the received bytes that may wait; None for no limit."""
        high = self._options.unread_high
        return None if high is None else high // UNREAD_FACTOR

    @shown
    def write_limit(self) -> int:
        """Bytes on their way above which sending waits."""
        return self._options.write_high

    @shown
    def write_limit_high(self) -> int:
        """The same as `write_limit`."""
        return self._options.write_high

    @shown
    def write_limit_low(self) -> int:
        """Bytes on their way at which sending goes on."""
        return self._options.write_low

    @shown
    def messages(self) -> Any:
        """Received messages that nobody has taken yet; it has a length."""
        return () if self._session is None else self._session.protocol.messages

    @shown
    def debug(self) -> bool:
        """Whether frames are logged."""
        return self._session is not None and bool(self._session.protocol.debug)

    @shown
    def close_rcvd(self) -> Close | None:
        """The close frame that was received."""
        return None if self._session is None else self._session.protocol.close_rcvd

    @shown
    def close_sent(self) -> Close | None:
        """The close frame that was sent."""
        return None if self._session is None else self._session.protocol.close_sent

    @shown
    def close_rcvd_then_sent(self) -> bool | None:
        """Which close frame came first; None unless there are both."""
        if self._session is None:
            return None
        value: bool | None = self._session.protocol.close_rcvd_then_sent
        return value

    @shown
    def close_exc(self) -> ConnectionClosed:
        """
        The exception that says how the connection ended.

        Raises:
            InvalidState: it has not ended yet.
        """
        if self._session is None or self._session.protocol.close_code is None:
            raise InvalidState("connection isn't closed yet")
        exc: ConnectionClosed = self._session.protocol.close_exc
        return exc
