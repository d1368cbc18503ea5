"""Results of `recv_streaming` and `ping` on asyncio."""

from __future__ import annotations

import asyncio

from ..core.endpoint.endpoint import Endpoint
from ..core.typing import Data
from ._driver import Driver


class FragmentStream:
    """The payloads of the frames of one message, as they arrive."""

    def __init__(self, session: Endpoint, driver: Driver, decode: bool | None) -> None:
        self._began = False
        self._done = False
        self._session = session
        self._driver = driver
        self._decode = decode
        self._receive = session.recv_fragment

    def __aiter__(self) -> FragmentStream:
        return self

    async def __anext__(self) -> Data:
        if self._done:
            raise StopAsyncIteration
        await self._driver.share()
        fragment = await self._driver.run(
            self._receive(self._decode, first=not self._began)
        )
        self._began = True
        self._done = fragment.fin
        return fragment.data

    async def aclose(self) -> None:
        """Discard the rest of the message."""
        self._abandon()

    def __del__(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        if self._began and not self._done:
            self._session.abandon_stream()
            # Reading may go on now.  The garbage collector may be anywhere.
            loop = self._driver.loop
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._driver.step)
        self._done = True


class Pong:
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
