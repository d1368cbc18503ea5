"""Awaitables of `recv` and `send`.  Pure-Python twin of ``_awaitables_c.pyx``.

The compiled body makes an object of a few words in place of a coroutine, which it
needs only where a call does not take its usual course.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from ..core.endpoint._hot import PAUSED, RECEIVING
from ..core.typing import Data
from ._hot import HotDriver
from ._iteration import over
from ._running_loop import check_running
from ._time_slice import yield_once


class Face(Protocol):
    """Methods of a connection for calls that do not take their usual course."""

    async def _receive(self, decode: bool | None) -> Data:
        """Receive by way of the session, which says what stands against it."""
        ...

    async def _next(self) -> Data:
        """The same for an iterator, which ends with the connection."""
        ...

    async def _send(
        self, message: Any, text: bool | None, compress: bool | None
    ) -> None:
        """Send by way of the session."""
        ...

    async def _drain(self) -> None:
        """Wait while output is above its mark."""
        ...


async def recv(driver: HotDriver, face: Face, iterating: bool = False) -> Data:
    """Wait for the next message; for an iterator, the end is one of another kind."""
    session = driver.session
    if session is not None:
        check_running(driver.loop)
        if (
            session.messages
            and not session.recv_blockers & ~PAUSED
            and driver.time_slice.spend(driver.loop)
        ):
            # Before a message is taken, which would be lost where this is cancelled.
            session.recv_blockers |= RECEIVING
            try:
                await yield_once()
            finally:
                driver.end_wait()
        message = session.messages.take()
        if message is not None:
            return message  # type: ignore[no-any-return]
        waiter = driver.begin_wait()
        if waiter is not None:
            try:
                await waiter
            finally:
                driver.end_wait()
            driver.time_slice.renew()
            message = session.messages.take()
            if message is not None:
                return message  # type: ignore[no-any-return]
    return await (face._next() if iterating else face._receive(None))


async def send(driver: HotDriver, face: Face, message: Any) -> None:
    """Send a message whose type says what it is."""
    sent = driver.send_now(message)
    if sent is None:
        await face._drain()
    elif not sent:
        await face._send(message, None, None)
    elif driver.time_slice.spend(driver.loop):
        await yield_once()


class Messages:
    """The messages of a connection, for `async for`."""

    __slots__ = ("_driver", "_face")

    def __init__(self, driver: HotDriver, face: Face) -> None:
        self._driver: HotDriver | None = driver
        self._face = face

    def __aiter__(self) -> Messages:
        return self

    async def aclose(self) -> None:
        """End the iteration; the connection goes on."""
        self._driver = None

    def __anext__(self) -> Coroutine[Any, Any, Data]:
        if self._driver is None:
            return over()
        return recv(self._driver, self._face, True)


# Tasks and tracebacks show the method that a program has called.
recv.__qualname__, send.__qualname__ = "Connection.recv", "Connection.send"
