"""TLS sessions kept for the next connection to the same server (RFC 8446, 2.2).

A resumed handshake needs no certificates and no signature.  A session is what TLS
checked then: it is only used where the same would be checked again, so the face
puts everything into the key that decides what is checked.

    session = tickets.get(key)          # give it to TLS before the handshake
    tickets.put(key, session)           # when the connection ends: by then the
                                        # server has sent its tickets
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Tickets"]

T = TypeVar("T")


class Tickets(Generic[T]):
    """
    The newest session of each server.

    Args:
        limit: how many servers to remember; the one longest unused is forgotten.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._sessions: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """Return the session for a server, if there is one."""
        session = self._sessions.get(key)
        if session is not None:
            try:
                self._sessions.move_to_end(key)
            except KeyError:
                pass  # another thread has just removed it
        return session

    def put(self, key: Hashable, session: T | None) -> None:
        """Remember the session of a connection that has ended; None is ignored."""
        if session is None:
            return
        self._sessions[key] = session
        while len(self._sessions) > self._limit:
            try:
                self._sessions.popitem(last=False)
            except KeyError:
                break

    def __len__(self) -> int:
        return len(self._sessions)
