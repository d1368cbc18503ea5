"""Results of `recv_streaming` and `ping` on trio."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import trio

from ..core.endpoint.endpoint import Endpoint
from ..core.typing import Data
from ._driver import Driver


class Messages:
    """
    The messages of a connection, for ``async for``.

    Args:
        connection: object with `__anext__`.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __aiter__(self) -> Messages:
        return self

    def __anext__(self) -> Awaitable[Data]:
        if self._connection is None:
            return _over()
        following: Awaitable[Data] = self._connection.__anext__()
        return following

    async def aclose(self) -> None:
        """
        End the iteration; the connection goes on.

        Cancellation: a checkpoint; the iteration ends in any case.
        """
        self._connection = None
        await trio.lowlevel.checkpoint()


async def _over() -> Data:
    await trio.lowlevel.checkpoint()
    raise StopAsyncIteration


class FragmentStream:
    """The payloads of the frames of one message, as they arrive."""

    def __init__(self, session: Endpoint, driver: Driver, decode: bool | None) -> None:
        self._began = False
        self._done = False
        self._session = session
        self._driver = driver
        self._decode = decode
        self._receive = session.recv_fragment
        self._token = trio.lowlevel.current_trio_token()

    def __aiter__(self) -> FragmentStream:
        return self

    async def __anext__(self) -> Data:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._done:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise StopAsyncIteration
        fragment = await self._driver.run(
            self._receive(self._decode, first=not self._began)
        )
        self._began = True
        self._done = fragment.fin
        return fragment.data

    async def aclose(self) -> None:
        """Discard the rest of the message."""
        self._abandon()
        await trio.lowlevel.checkpoint()

    def __del__(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        if self._began and not self._done:
            self._session.abandon_stream()
            # Reading may go on now.  The garbage collector may be anywhere.
            try:
                self._token.run_sync_soon(self._driver.step)
            except trio.RunFinishedError:
                pass
        self._done = True


class Pong:
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
