"""Base of the servers: open connections, pending handshakes, connection limits.

All handshakes have the same time, so the oldest one ends first: one dict in the
order of arrival and one timer of the face serve all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from ..frames.close import Close
from .config import ServerSettings
from .limits import MAX_REFUSED, RETRY_AFTER, ConnectionLimits

# Seconds that a client which has not sent its request yet gets at shutdown.
SHUTDOWN_GRACE = 1.0
# Shutdown escalates after each of these seconds: cancel the handler, drop its
# connection, give up on it.
HANDLER_GRACE = 1.0
# Handlers that are named in one record of the log.
NAMED = 10


class RegisteredConnection(Protocol):
    """Interface of the connections that a server counts."""

    # Group and limit by which it was let in, or refused.
    _admitted_as: str | None
    _refused_by: str | None

    @property
    def open(self) -> bool:
        """Whether messages can be exchanged."""
        ...

    def _describe(self) -> str:
        """Name the handler and its client, for the log."""
        ...


C = TypeVar("C", bound=RegisteredConnection)


class BaseServer(Generic[C]):
    """
    The part of a server that keeps count; `now` is in seconds on the face's clock.

    Args:
        settings: settings shared by all connections.
        admission: the limits.
    """

    def __init__(self, settings: ServerSettings, admission: ConnectionLimits) -> None:
        #: settings shared by all connections
        self.settings = settings
        #: the logger of the server and its connections
        self.logger = settings.logger
        self._admission = admission
        # All connections from TCP to the end of the handler, and when those that
        # are in the handshake must be done with it.
        self._connections: dict[C, None] = {}
        self._opening: dict[C, float | None] = {}
        self._closing_with: tuple[int, str] | None = None
        self._deadline: float | None = None
        self._grace_until = inf

    # Connections, from TCP to the end of the handler

    def _register(self, connection: C, peer: Any, now: float) -> bool:
        """
        Count a connection, before any of its bytes is read.

        Args:
            peer: its remote address.

        Returns:
            False to cut it off, without an answer.
        """
        self._connections[connection] = None
        timeout = self.settings.open_timeout
        self._opening[connection] = None if timeout is None else now + timeout
        admission = self._admission
        group = None
        if admission.by_ip and isinstance(peer, tuple):
            group = connection._admitted_as = admission.group(peer[0])
        limit = admission.connected(group)
        if limit is None:
            return True
        connection._refused_by = limit
        admission.waiting += 1
        self._refusal_counted()
        return admission.waiting <= MAX_REFUSED

    def _unregister(self, connection: C) -> None:
        """Forget a connection whose TCP and handler have ended."""
        if connection in self._connections:
            del self._connections[connection]
            self._opening.pop(connection, None)
            if connection._refused_by is not None:
                self._admission.waiting -= 1
            else:
                self._admission.disconnected(connection._admitted_as)

    def _handshake_done(self, connection: C) -> None:
        """Note that a request was answered, or will not be."""
        self._opening.pop(connection, None)

    def _tcp_ended(self) -> None:
        """Note that TCP of a connection has ended, and its descriptor is free soon."""

    def _close_if_closing(self, connection: C) -> None:
        """Close a connection that has opened while the server closes."""

    def _shuts_out(self, now: float) -> bool:
        """Whether clients that have not sent a request are turned away."""
        return now >= self._grace_until

    def _retry_after(self, connection: C, now: float) -> int:
        """Count a request; returns 0, or after how many seconds to come again."""
        if connection._refused_by is not None:
            return RETRY_AFTER
        retry_after = self._admission.requested(now)
        if retry_after:
            self._refusal_counted()
        return retry_after

    def _overdue(self, now: float) -> tuple[list[C], float | None]:
        """
        Take out the connections whose handshake took too long.

        Returns:
            These, and in how many seconds to look again; None if nobody waits.
        """
        late = []
        delay = None
        for connection, deadline in self._opening.items():
            if deadline is None:
                continue
            if deadline > now:
                delay = deadline - now
                break
            late.append(connection)
        for connection in late:
            del self._opening[connection]
        return late, delay

    # Refusals, which are logged once a second

    def _refusal_counted(self) -> None:
        """See to it that `_report` is called within a second."""
        raise NotImplementedError

    def _report(self) -> None:
        text = self._admission.report()
        if text is not None:
            self.logger.warning("%s", text)

    @property
    def refused(self) -> Mapping[str, int]:
        """Number of clients that each limit refused, by the name of the parameter."""
        return dict(self._admission.refused)

    # Attributes for programs

    @property
    def connections(self) -> set[C]:
        """The connections that are open now; a new set each time."""
        return {connection for connection in self._connections if connection.open}

    @property
    def websockets(self) -> set[C]:
        """The same as `connections`."""
        return self.connections

    # Shutting down

    def _begin_closing(
        self, code: int, reason: str, drain: float | None, now: float
    ) -> bool:
        """
        Note the wish to close; of several, the first counts but for `drain`.

        Returns:
            Whether it is the first.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the server goes on.
            ValueError: `drain` is negative.
        """
        if drain is not None and not drain >= 0:
            raise ValueError(f"drain is {drain!r}; it must be 0 or more seconds")
        Close(code, reason).check()
        if drain is not None:
            deadline = now + drain
            if self._deadline is None or deadline < self._deadline:
                self._deadline = deadline
        if self._closing_with is not None:
            return False
        self.logger.info("server closing")
        self._closing_with = (code, reason)
        self._grace_until = now + SHUTDOWN_GRACE
        return True

    def _log_addresses(self, sockets: Collection[Any]) -> None:
        for sock in sockets:
            name = sock.getsockname()
            if isinstance(name, tuple):
                host = f"[{name[0]}]" if ":" in name[0] else name[0]
                name = f"{host}:{name[1]}"
            self.logger.info("server listening on %s", name)


def named(connections: Collection[RegisteredConnection]) -> str:
    """Name the handlers of connections, as many as a log can bear."""
    shown = [connection._describe() for connection in islice(connections, NAMED)]
    if len(connections) > NAMED:
        shown.append(f"and {len(connections) - NAMED} more")
    return "; ".join(shown)
