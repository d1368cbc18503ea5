"""Output that the system has not taken, for drivers that keep it themselves.

When it exceeds the session's high mark, writing is paused, until it has shrunk to
the low mark.
"""

from __future__ import annotations

from collections import deque

from ..typing import BytesLike
from .endpoint import Endpoint
from .hot import Waiter


class WriteBuffer:
    """Whole frames, of the first of which a part may have been written."""

    __slots__ = ("pieces", "size")

    def __init__(self) -> None:
        #: bytes that wait
        self.size = 0
        #: the buffers, read directly on hot paths; not to be changed there
        self.pieces: deque[memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self.pieces)

    @property
    def head(self) -> memoryview:
        """Bytes to be written next."""
        return self.pieces[0]

    def add(self, data: BytesLike) -> None:
        """Add what was not written of a frame."""
        if data:
            self.pieces.append(memoryview(data))
            self.size += len(data)

    def taken(self, size: int) -> None:
        """Note that so many bytes of `head` were written."""
        # No call between here and the end: where signals raise exceptions, either
        # all of it is done or nothing.
        rest = self.pieces[0][size:]
        self.size -= size
        if rest:
            self.pieces[0] = rest
        else:
            del self.pieces[0]

    def balance(self, session: Endpoint) -> list[Waiter]:
        """
        Pause the session's writing, or resume it; after `add` and `message_taken`.

        Returns:
            Waiters to fire.
        """
        if session.writing_paused:
            # Where output has failed, it stays paused to the end.
            if self.size <= session.options.write_low and not session.must_abort:
                return session.resume_writing()
        elif self.size > session.options.write_high:
            session.pause_writing()
        return []

    def clear(self) -> None:
        """Forget everything; nobody will write it."""
        self.pieces.clear()
        self.size = 0
