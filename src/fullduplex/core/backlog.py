"""Output that the system has not taken, for drivers that keep it themselves.

When it exceeds the session's high mark, writing is paused, until it has shrunk to
the low mark.
"""

from __future__ import annotations

from collections import deque

from .ending import Waiter
from .session import Session
from .typing import BytesLike

__all__ = ["Backlog"]


class Backlog:
    """Whole frames, of the first of which a part may have been written."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        #: bytes that wait
        self.size = 0
        self._pieces: deque[memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def head(self) -> memoryview:
        """What is to be written next."""
        return self._pieces[0]

    def add(self, data: BytesLike, session: Session) -> None:
        """Add what was not written of a frame."""
        self._pieces.append(memoryview(data))
        self.size += len(data)
        if self.size > session.options.write_high and not session.writing_paused:
            session.pause_writing()

    def taken(self, size: int, session: Session) -> list[Waiter]:
        """
        Note that so many bytes of `head` were written.

        Returns:
            What to fire.
        """
        self.size -= size
        rest = self._pieces[0][size:]
        if rest:
            self._pieces[0] = rest
        else:
            self._pieces.popleft()
        if session.writing_paused and self.size <= session.options.write_low:
            return session.resume_writing()
        return []

    def clear(self) -> None:
        """Forget everything; nobody will write it."""
        self._pieces.clear()
        self.size = 0
