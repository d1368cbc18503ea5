"""TLS sessions kept for the next connection to the same server (RFC 8446, 2.2).

A resumed handshake needs no certificates and no signature.  A session stands for the
checks of TLS at that time, so it is used only where the same would be checked again.
The face puts into the key everything that decides on these checks.

    session = tickets.get(key, now)     # give it to TLS before the handshake
    if not tickets.serves(key, now):    # when the connection ends: by then the
        tickets.put(key, session, now)  # server has sent its tickets

A session that is used again shows an observer that both connections are of one
client (RFC 8446, C.4).  It is used again within `WINDOW` seconds only, where the
address of the client shows the same.  To copy a session takes as long as to resume it,
which counts where connections follow one another fast.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds within which a session serves several connections.
WINDOW = 2.0


class _Entry(Generic[T]):
    __slots__ = ("session", "stored_at", "used")

    def __init__(self, session: T, now: float) -> None:
        self.session = session
        self.stored_at = now
        self.used = False


class SessionCache(Generic[T]):
    """
    The newest session of each server; `now` is in seconds on any one clock.

    Args:
        limit: number of servers to remember; the one longest unused is forgotten.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()

    def get(self, key: Hashable, now: float) -> T | None:
        """Return the session for a server, if there is one that may be used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.used and now - entry.stored_at > WINDOW:
            self._entries.pop(key, None)
            return None
        entry.used = True
        try:
            self._entries.move_to_end(key)
        except KeyError:
            pass  # another thread has just removed it
        return entry.session

    def serves(self, key: Hashable, now: float) -> bool:
        """Whether the session for a server is so new that no other is needed."""
        entry = self._entries.get(key)
        return entry is not None and now - entry.stored_at <= WINDOW

    def put(self, key: Hashable, session: T | None, now: float) -> None:
        """Remember the session of a connection that has ended; None is ignored."""
        if session is None:
            return
        self._entries[key] = _Entry(session, now)
        while len(self._entries) > self._limit:
            try:
                self._entries.popitem(last=False)
            except KeyError:
                break

    def __len__(self) -> int:
        return len(self._entries)
