"""The queue between the wire and `recv`, in plain Python: the reference."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["Inbox"]


class Inbox(deque[Any]):
    """Messages that wait to be received, in order of arrival."""

    def __call__(self, message: object) -> None:
        self.append(message)
