"""Result of `ping` on asyncio."""

from __future__ import annotations

import asyncio


class PongFuture:
    """Tell a future what became of a ping."""

    def __init__(self, future: asyncio.Future[float]) -> None:
        self.future = future

    def acknowledged(self, rtt: float) -> None:
        if not self.future.done():
            self.future.set_result(rtt)

    def lost(self, exc: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(exc)
            # Nobody has to look at it.
            self.future.exception()
