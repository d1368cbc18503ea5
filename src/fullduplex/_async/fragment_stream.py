"""Result of `recv_streaming` on asyncio and trio."""

from __future__ import annotations

from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import check_open
from ..core.typing import Data
from .driver import AsyncDriver


class FragmentStream:
    """The payloads of the frames of one message, as they arrive."""

    def __init__(
        self, session: Endpoint, driver: AsyncDriver, decode: bool | None
    ) -> None:
        self._began = False
        self._done = False
        check_open(session, "recv_streaming")
        self._session = session
        self._driver = driver
        self._decode = decode

    def __aiter__(self) -> FragmentStream:
        return self

    async def __anext__(self) -> Data:
        if self._done:
            await self._driver.checkpoint()
            raise StopAsyncIteration
        await self._driver.share()
        fragment = await self._driver.run(
            operations.recv_fragment(self._session, self._decode, first=not self._began)
        )
        self._began = True
        self._done = fragment.fin
        return fragment.data

    async def aclose(self) -> None:
        """Discard the rest of the message."""
        self._abandon()
        await self._driver.checkpoint()

    def __del__(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        if self._began and not self._done:
            self._session.abandon_stream()
            # Reading may go on now.  The garbage collector may be anywhere.
            self._driver.step_threadsafe()
        self._done = True
