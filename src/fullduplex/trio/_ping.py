"""Result of `ping` on trio."""

from __future__ import annotations

import trio


class PongEvent:
    """
    Event of a ping; like `trio.Event`, set by the pong.

    Attributes:
        rtt: seconds between the ping and the pong; None before.
    """

    def __init__(self, ack_on_close: bool) -> None:
        self.rtt: float | None = None
        self._event = trio.Event()
        self._ack_on_close = ack_on_close
        self._failure: BaseException | None = None

    def is_set(self) -> bool:
        """Tell whether the pong has arrived."""
        return self._event.is_set() and self._failure is None

    async def wait(self) -> float | None:
        """
        Wait for the pong.

        Returns:
            The round-trip time in seconds; None if the connection ended first and
            the ping was sent with ``ack_on_close``.

        Raises:
            ConnectionClosed: the connection ended first.

        Cancellation: safe.
        """
        await self._event.wait()
        if self._failure is not None:
            raise self._failure
        return self.rtt

    # Methods that the session calls

    def acknowledged(self, rtt: float) -> None:
        """Take the round-trip time."""
        self.rtt = rtt
        self._event.set()

    def lost(self, exc: BaseException) -> None:
        """Take note that the connection has ended."""
        if not self._ack_on_close:
            self._failure = exc
        self._event.set()
