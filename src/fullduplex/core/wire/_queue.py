"""Queue between the frame reader and `recv`.  Pure-Python twin of ``_queue_c.pxi``."""

from __future__ import annotations

from collections import deque
from typing import Any


class MessageQueue(deque[Any]):
    """Messages that wait to be received, in order of arrival."""

    __slots__ = ("take_threshold",)

    def __init__(self) -> None:
        super().__init__()
        #: number of messages that `take` leaves
        self.take_threshold = 0

    def take(self) -> Any:
        """Return the next message; None if there are at most `take_threshold`."""
        return self.popleft() if len(self) > self.take_threshold else None

    def size(self) -> int:
        """Return the bytes of all messages; text counts in characters."""
        return sum(
            len(item if isinstance(item, (str, bytes)) else item.data) for item in self
        )

    def __call__(self, message: object) -> None:
        self.append(message)
