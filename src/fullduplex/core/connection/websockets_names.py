"""Attributes of older connections: limits, side, close frames.

None of it is needed to use a connection.  `BaseConnection` has each of them by its
name.  A program may set attributes of these names on its own subclass, so these are
found after those of the object.  Limits are another thing: setting one that has no
effect would mislead, so it has one, or raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, overload

from ..endpoint.frame_protocol import Side
from ..endpoint.not_open import NOT_OPEN
from ..endpoint.options import UNREAD_FACTOR, Options
from ..errors import InvalidState
from ..frames.close import Close, ConnectionClosed, ConnectionClosedError, State
from ..typing import LoggerLike

T = TypeVar("T")


class NamedConnection(Protocol):
    """Interface of the connections that have the attributes."""

    side: Side
    _base_logger: LoggerLike
    _options: Options
    _session: Any

    @property
    def state(self) -> State:
        """State of the connection."""
        ...


class fallback(Generic[T]):
    """A property that an attribute of the object hides."""

    def __init__(self, get: Callable[[Any], T]) -> None:
        self._get = get
        self.__doc__ = get.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> fallback[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> fallback[T] | T:
        return self if instance is None else self._get(instance)


class limit(Generic[T]):
    """
    A limit or timeout that may be set: always before the connection is open.

    Args:
        get: reads it from a connection.
        late: called with the session when it is set on an open connection; None if
            it can't be set then.
    """

    def __init__(
        self, get: Callable[[Any], T], late: Callable[[Any], None] | None = None
    ) -> None:
        self._get = get
        self._late = late
        self.__doc__ = get.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> limit[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> limit[T] | T:
        return self if instance is None else self._get(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        session = instance._session
        if session is NOT_OPEN:
            instance._options = instance._options.replaced(self._name, value)
            return
        if self._late is None:
            raise AttributeError(
                f"{self._name} cannot be set while the connection is open; give it to "
                "connect() or serve()"
            )
        instance._options = session.options.replaced(self._name, value)
        session.options = instance._options
        self._late(session)


def unchanged(session: Any) -> None:
    """Do nothing: it is looked up when it is needed."""


def set_size(session: Any) -> None:
    """Let the reader know the largest message."""
    session.reader.max_size = session.options.max_size
    session.reader.max_fragment = session.options.max_fragment


@fallback
def is_client(connection: NamedConnection) -> bool:
    """Whether this is the client's end."""
    return connection.side is Side.CLIENT


@limit
def ping_interval(connection: NamedConnection) -> float | None:
    """Seconds between keepalive pings."""
    return connection._options.ping_interval


@limit
def ping_timeout(connection: NamedConnection) -> float | None:
    """Seconds without any sign of life after a ping until the peer is dead."""
    return connection._options.ping_timeout


@partial(limit, late=unchanged)
def close_timeout(connection: NamedConnection) -> float | None:
    """Seconds that closing may take as a whole; may be set until it closes."""
    return connection._options.close_timeout


@partial(limit, late=set_size)
def max_size(connection: NamedConnection) -> int | None:
    """Bytes in a received message; may be set at any time."""
    return connection._options.max_size


@limit
def max_queue(connection: NamedConnection) -> int | None:
    """Received messages that may wait before reading pauses."""
    return connection._options.queue_high


@fallback
def max_queue_high(connection: NamedConnection) -> int | None:
    """The same as `max_queue`."""
    return connection._options.queue_high


@fallback
def max_queue_low(connection: NamedConnection) -> int | None:
    """Received messages at which reading goes on."""
    return (
        None
        if connection._options.queue_high is None
        else connection._options.queue_low
    )


@limit
def read_limit(connection: NamedConnection) -> int | None:
    """A sixteenth of the received bytes that may wait; None for no limit."""
    high = connection._options.unread_high
    return None if high is None else high // UNREAD_FACTOR


@limit
def write_limit(connection: NamedConnection) -> int:
    """Bytes on their way above which sending waits."""
    return connection._options.write_high


@fallback
def write_limit_high(connection: NamedConnection) -> int:
    """The same as `write_limit`."""
    return connection._options.write_high


@fallback
def write_limit_low(connection: NamedConnection) -> int:
    """Bytes on their way at which sending goes on."""
    return connection._options.write_low


@fallback
def messages(connection: NamedConnection) -> Any:
    """Received messages that nobody has taken yet; it has a length."""
    return () if connection._session is NOT_OPEN else connection._session.messages


@fallback
def debug(connection: NamedConnection) -> bool:
    """Whether frames are logged."""
    if connection._session is NOT_OPEN:
        return connection._base_logger.isEnabledFor(logging.DEBUG)
    return bool(connection._session.protocol.debug)


@fallback
def close_rcvd(connection: NamedConnection) -> Close | None:
    """The close frame that was received."""
    return (
        None
        if connection._session is NOT_OPEN
        else connection._session.protocol.close_rcvd
    )


@fallback
def close_sent(connection: NamedConnection) -> Close | None:
    """The close frame that was sent."""
    return (
        None
        if connection._session is NOT_OPEN
        else connection._session.protocol.close_sent
    )


@fallback
def close_rcvd_then_sent(connection: NamedConnection) -> bool | None:
    """Whether the peer's close frame came first; None unless there are both."""
    if connection._session is NOT_OPEN:
        return None
    value: bool | None = connection._session.protocol.close_rcvd_then_sent
    return value


@fallback
def close_exc(connection: NamedConnection) -> ConnectionClosed:
    """
    The exception that says how the connection ended.

    Raises:
        InvalidState: it has not ended yet.
    """
    if connection.state is not State.CLOSED:
        raise InvalidState("connection isn't closed yet")
    if connection._session is NOT_OPEN:
        return ConnectionClosedError(None, None)
    exc: ConnectionClosed = connection._session.protocol.close_exc
    return exc
