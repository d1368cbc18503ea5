"""Hang-ups: the ends of peers that are seen without reading, by the system's events.

While reading is paused, a socket is not in the poller of its event loop, for it would
be ready all the time.  Here it is watched for the end of input and for errors alone,
once each, so that nothing is told twice.  Only Linux' epoll tells the end of input
apart from input; elsewhere keepalive finds out.
"""

from __future__ import annotations

import contextlib
import select
from typing import Any


class HangUps:
    """
    Sockets that are watched for the end of their peers.

    It is readable, as `fileno` says, when `take` has something to give.
    """

    def __init__(self) -> None:
        self._epoll: Any = select.epoll()
        self._keys: dict[int, Any] = {}

    def __bool__(self) -> bool:
        """Whether any socket is watched."""
        return bool(self._keys)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        number: int = self._epoll.fileno()
        return number

    def watch(self, fd: int, key: Any) -> None:
        """
        Watch a socket until `forget`.

        Args:
            fd: its descriptor; one that is closed is left out.
            key: result of `take` for it.
        """
        wanted = select.EPOLLRDHUP | select.EPOLLONESHOT
        try:
            self._epoll.register(fd, wanted)
        except FileExistsError:
            self._epoll.modify(fd, wanted)
        except (OSError, ValueError):
            return  # the code that closed it knows its end
        self._keys[fd] = key

    def forget(self, fd: int, key: Any) -> None:
        """
        Watch a socket no more.

        Its number may belong to another socket by now, which has another key.
        """
        if self._keys.get(fd) == key:
            del self._keys[fd]
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def take(self) -> list[tuple[Any, bool]]:
        """Return the keys of peers that have ended, and whether they are gone."""
        found: list[tuple[Any, bool]] = []
        for fd, events in self._epoll.poll(0):
            key = self._keys.get(fd)
            if key is None:
                continue
            gone = events & (select.EPOLLHUP | select.EPOLLERR) != 0
            if not gone:
                # Events that are always reported: the rest of the end.
                with contextlib.suppress(OSError):
                    self._epoll.modify(fd, select.EPOLLONESHOT)
            found.append((key, gone))
        return found

    def close(self) -> None:
        """Give back the descriptor."""
        self._keys.clear()
        self._epoll.close()


def new_hang_ups() -> HangUps | None:
    """Make one; None where the system has no such events, or no descriptor for them."""
    if not hasattr(select, "epoll"):
        return None
    try:
        return HangUps()
    except OSError:
        return None
