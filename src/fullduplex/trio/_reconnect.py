"""A loop over connections, each of which takes the place of the one before.

Nobody tells an iterator that its loop was left, and a nursery that is open across
`yield` would be left open in the program's task.  So these connections live in
trio's own nursery, and the one that is current when the iterator is dropped is
closed in the background.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import time

import trio

from ..core.client.reconnect import Reconnector
from ..core.frames.close import CloseCode
from ._client_connection import ClientConnection
from ._waiter import run_clock


class Reconnecting(AsyncIterator[ClientConnection]):
    """
    Connections, one after the other.

    Use `contextlib.aclosing` to wait for the end of the last one, too.

    Args:
        connect: opens a connection and gives it to its argument.
        reconnector: tells what to do after failures, and when.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[ClientConnection], None]], Awaitable[None]],
        reconnector: Reconnector,
    ) -> None:
        self._connect = connect
        self._again = reconnector
        self._clock = run_clock()
        self._token = trio.lowlevel.current_trio_token()
        self._connection: ClientConnection | None = None

    async def __anext__(self) -> ClientConnection:
        delay: float | None = None
        last = self._connection
        if last is not None:
            done = last.open
            await self.aclose()
            delay = self._again.ended(last._session.protocol, self._clock(), done=done)
        while True:
            if delay is not None:
                await trio.sleep(delay)
            self._again.connecting()
            try:
                await self._connect(self._start)
            except Exception as exc:
                delay = self._again.failed(exc, time())
                continue
            self._again.opened(self._clock())
            assert self._connection is not None
            return self._connection

    def _start(self, connection: ClientConnection) -> None:
        self._connection = connection
        connection._driver.start(trio.lowlevel.spawn_system_task, shield=False)

    async def aclose(self) -> None:
        """
        Close the current connection with 1000 and wait until TCP has ended.

        Cancellation: ends only the waiting; it closes within `close_timeout` anyway.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    def __del__(self) -> None:
        connection = self._connection
        if connection is None or connection._driver.ended:
            return
        # The garbage collector may be anywhere.
        try:
            self._token.run_sync_soon(
                connection._driver.begin_close, CloseCode.GOING_AWAY, ""
            )
        except trio.RunFinishedError:
            pass
