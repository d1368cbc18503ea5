"""Messages on their way over connections that come and go.

    put ──> waiting ──take──> sent ──confirm──> arrived
              ^                │
              └──── resend ────┴──lost──> reported

Nothing leaves this path silently: what is neither waiting nor known to have arrived
is returned by the call that gives it up.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, get_args

from ..errors import WebSocketException

Overflow = Literal["reject", "drop_oldest", "drop_newest"]

# Messages that are sent before a sign is asked for that they have arrived.
BATCH = 64


class OutboxFull(WebSocketException):
    """
    A message was not taken, because too many wait to be sent.

    Args:
        limit: number of messages that may wait.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} messages wait to be sent; outbox is {limit}")
        self.limit = limit


class Outbox:
    """
    Keep messages until they have arrived.

    Args:
        limit: messages that may wait; as many may be sent without a sign that they
            have arrived.
        overflow: treatment of a message beyond the limit.  ``"reject"`` raises
            `OutboxFull`, ``"drop_newest"`` drops it, and ``"drop_oldest"`` drops the
            one that has waited longest.

    Raises:
        TypeError: `limit` is no int.
        ValueError: `limit` is below 1, or `overflow` is none of the three.
    """

    def __init__(self, limit: int = 1000, overflow: Overflow = "reject") -> None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(
                f"outbox must be an int (messages), not {type(limit).__name__}"
            )
        if limit < 1:
            raise ValueError(f"outbox is {limit}; it must be at least 1 message")
        if overflow not in get_args(Overflow):
            raise ValueError(
                f"overflow is {overflow!r}; it must be one of {get_args(Overflow)}"
            )
        self._limit = limit
        self._overflow = overflow
        #: messages that wait, the oldest first
        self.waiting: deque[Any] = deque()
        #: messages that were sent and may not have arrived, the oldest first
        self.sent: deque[Any] = deque()
        # Counts of messages sent since the beginning, and of those given up or known
        # to have arrived; their difference is the length of `sent`.
        self._taken = 0
        self._settled = 0
        self._marked = 0

    def put(self, message: Any) -> list[Any]:
        """
        Take a message to be sent.

        Returns:
            Messages that are dropped for it, maybe itself.

        Raises:
            OutboxFull: it was not taken.
        """
        dropped = []
        if len(self.waiting) >= self._limit:
            if self._overflow == "reject":
                raise OutboxFull(self._limit)
            if self._overflow == "drop_newest":
                return [message]
            dropped.append(self.waiting.popleft())
        self.waiting.append(message)
        return dropped

    def ready(self) -> bool:
        """Tell whether `take` may be called."""
        return bool(self.waiting) and len(self.sent) < self._limit

    def take(self) -> Any:
        """Return the next message, to be sent right now."""
        message = self.waiting.popleft()
        self.sent.append(message)
        self._taken += 1
        return message

    def wants_mark(self) -> bool:
        """Tell whether it is time to ask for a sign that messages have arrived."""
        unmarked = self._taken - max(self._marked, self._settled)
        return unmarked > 0 and (not self.ready() or unmarked >= BATCH)

    def mark(self) -> int:
        """Return what to give to `confirm` when all that was sent has arrived."""
        self._marked = self._taken
        return self._taken

    def confirm(self, mark: int) -> None:
        """Note that everything has arrived that was sent before `mark` was made."""
        while self._settled < mark:
            self.sent.popleft()
            self._settled += 1

    def lost(self, *, resend: bool = False) -> list[Any]:
        """
        Note that the connection was lost.

        Args:
            resend: whether messages that may have arrived are to be sent again.

        Returns:
            The messages that may have arrived or not, the oldest first; none if they
            are sent again.
        """
        unsure = list(self.sent)
        self.sent.clear()
        self._settled = self._marked = self._taken
        if resend:
            self.waiting.extendleft(reversed(unsure))
            return []
        return unsure

    def give_up(self) -> list[Any]:
        """Forget everything; returns what was waiting."""
        waiting = list(self.waiting)
        self.waiting.clear()
        return waiting
