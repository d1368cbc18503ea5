"""`Session`: subscriptions and messages that outlive connections."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from ..core.buffers import byte_view
from ..core.client.outbox import Outbox, Overflow
from ..core.endpoint import operations
from ..core.endpoint.message_sender import message_payload
from ..core.errors import ConcurrencyError
from ..core.frames.close import Close, ConnectionClosed
from ..core.typing import Data, DataLike
from ._client_connection import ClientConnection
from ._driver import time_slice
from ._time_slice import yield_once
from .client import connect

__all__ = ["Session"]

# Messages that were received and not read when their connection was lost, of which
# no more are kept.
MAX_LEFT = 1000


class Session:
    """
    A client whose subscriptions and messages outlive its connections.

    It connects, and connects again as ``async for ws in connect(...)`` does::

        async with fullduplex.Session(uri, subscriptions=[hello]) as session:
            await session.send("to be sent once")
            async for message in session:
                ...

    Messages are sent once and in order, over this connection or the next one.  Those
    that were sent when a connection was lost may have arrived or not: nobody can know
    but by a later pong, which this class asks for.  They are reported to
    `on_undelivered`, or sent again with `resend`.

    Args:
        uri: as for `connect`.
        subscriptions: messages to send first on every connection.
        outbox: messages that may wait to be sent.
        overflow: treatment of a message beyond the limit.  ``"reject"`` raises
            `OutboxFull`, ``"drop_newest"`` drops it, and ``"drop_oldest"`` drops the
            one that has waited longest.  A dropped message is reported.
        resend: send again what may have arrived before a connection was lost, so that
            it arrives once or twice instead of once or not at all.
        last_seen: called with each message received; what it returns for the last one
            is given to `on_gap`.  By default that is the message itself.
        on_gap: called with what was seen last, after each reconnection and after the
            subscriptions: the place to ask for what was missed, with
            `connection`.  A function or coroutine function.
        on_undelivered: called with a list of messages and the reason: ``"unsure"``
            (they may have arrived), ``"dropped"`` (too many waited) or ``"closed"``
            (the session ended before they were sent).
        on_open: called with each new connection, before the subscriptions.
        **kwds: as for `connect`.

    Raises:
        TypeError: an argument has the wrong type or name.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        uri: str,
        *,
        subscriptions: Iterable[DataLike] = (),
        outbox: int = 1000,
        overflow: Overflow = "reject",
        resend: bool = False,
        last_seen: Callable[[Data], Any] | None = None,
        on_gap: Callable[[Any], Any] | None = None,
        on_undelivered: Callable[
            [list[Any], Literal["unsure", "dropped", "closed"]], Any
        ]
        | None = None,
        on_open: Callable[[ClientConnection], Awaitable[Any]] | None = None,
        **kwds: Any,
    ) -> None:
        self._outbox = Outbox(outbox, overflow)
        self._subscriptions: dict[Any, DataLike] = {}
        for message in subscriptions:
            self._subscriptions[_checked(message)] = message
        self._resend = resend
        self._see = last_seen
        self._on_gap = on_gap
        self._on_undelivered = on_undelivered
        self._on_open = on_open
        self._connect = connect(uri, on_open=self._opened, **kwds)
        self._logger = self._connect.logger
        #: the connection of the moment; None while there is none
        self.connection: ClientConnection | None = None
        self._connections = 0
        self._last: Any = None
        self._left: deque[Data] = deque()
        self._changed = asyncio.Event()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    # The life

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("the session was started already")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(1000 if exc_type is None else 1011)

    async def close(self, code: int = 1000, reason: str = "", drain: float = 0) -> None:
        """
        End the session.

        Args:
            code: close code for the connection, if there is one.
            reason: close reason.
            drain: seconds to wait for messages to arrive before.

        Messages that were not sent by then are reported to `on_undelivered`.

        Cancellation: while messages arrive, the session goes on.  After that it ends
        nevertheless, within the connection's `close_timeout`.

        Raises:
            ProtocolError: `code` or `reason` must not be sent; the session goes on.
        """
        Close(code, reason).check()  # before anything is done
        task = self._task
        if task is None or task.done():
            return
        if drain > 0:
            arriving = asyncio.ensure_future(self.drained())
            try:
                await asyncio.wait(
                    (task, arriving),
                    timeout=drain,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                arriving.cancel()
        self._closing = True
        if self.connection is not None:
            await self.connection.close(code, reason)
        task.cancel()
        await asyncio.wait((task,))

    async def drained(self) -> None:
        """Wait until all messages have arrived.  Cancellation: safe."""
        while self._outbox.waiting or self._outbox.sent:
            if self._task is None or self._task.done():
                return
            await self._change()

    async def _run(self) -> None:
        try:
            async with aclosing(self._connect.__aiter__()) as connections:  # type: ignore[type-var]
                async for connection in connections:
                    self.connection = connection
                    self._notify()
                    try:
                        await self._pump(connection)
                    finally:
                        self.connection = None
                        unsure = self._outbox.lost(resend=self._resend)
                        self._report(unsure, "unsure")
                    await self._save_unread(connection)
                    if self._closing:
                        break
        finally:
            self._report(self._outbox.give_up(), "closed")
            self._notify()

    async def _opened(self, connection: ClientConnection) -> None:
        """Make a new connection what the last one was, before it is used."""
        if self._on_open is not None:
            await self._on_open(connection)
        for message in list(self._subscriptions.values()):
            await connection.send(message)
        self._connections += 1
        if self._connections > 1 and self._on_gap is not None:
            self.connection = connection
            try:
                value = self._on_gap(self._last)
                if inspect.isawaitable(value):
                    await value
            finally:
                self.connection = None

    # Sending

    async def send(self, message: DataLike) -> None:
        """
        Take a message to be sent in its turn, over this connection or a later one.

        It waits for nothing; a loop of it lets other tasks run now and then.

        Cancellation: the message was taken.

        Raises:
            OutboxFull: too many messages wait, with ``overflow="reject"``.
            TypeError: `message` is neither `str` nor bytes-like.
            UnicodeEncodeError: a `str` has lone surrogates.
            RuntimeError: the session has ended.
        """
        if self._task is None or self._task.done():
            raise RuntimeError("the session is not running")
        if isinstance(message, str):
            str.encode(message)  # not later, when nobody is there to be told
        message = _checked(message)
        self._report(self._outbox.put(message), "dropped")
        self._work.set()
        await self._share()

    async def subscribe(self, message: DataLike) -> None:
        """
        Send a message now, if there is a connection, and first on each later one.

        Cancellation: later connections begin with it; on this one it is sent or not.

        Raises:
            TypeError: `message` is neither `str` nor bytes-like.
        """
        self._subscriptions[_checked(message)] = message
        if self.connection is not None:
            try:
                await self.connection.send(message)
            except ConnectionClosed:
                pass  # the next connection begins with it

    async def unsubscribe(
        self, message: DataLike, farewell: DataLike | None = None
    ) -> None:
        """
        Send `message` no more on later connections.

        Args:
            message: as it was given to `subscribe`; one that was not is no error.
            farewell: message to send now, if there is a connection.

        Cancellation: later connections do without it; `farewell` is sent or not.

        Raises:
            TypeError: `message` or `farewell` is neither `str` nor bytes-like.
        """
        self._subscriptions.pop(_checked(message), None)
        if farewell is not None and self.connection is not None:
            try:
                await self.connection.send(farewell)
            except ConnectionClosed:
                pass

    async def _pump(self, connection: ClientConnection) -> None:
        """Send what waits until the connection has ended."""
        closed = asyncio.ensure_future(connection.wait_closed())
        closed.add_done_callback(lambda _: self._work.set())
        outbox = self._outbox
        asked = False

        def arrived(mark: int, pong: asyncio.Future[float]) -> None:
            nonlocal asked
            asked = False
            if not pong.cancelled() and pong.exception() is None:
                outbox.confirm(mark)
                self._notify()
            self._work.set()

        try:
            while not closed.done():
                self._work.clear()
                # Once this has returned, an open connection takes a message at once:
                # it is sent whole, or was not touched.
                await connection._driver.run(operations.drain(connection._session))
                if not connection.open:
                    await closed
                elif outbox.wants_mark() and not asked:
                    asked = True
                    pong: Any = await connection.ping()
                    pong.add_done_callback(partial(arrived, outbox.mark()))
                elif outbox.ready():
                    await connection.send(outbox.take())
                else:
                    await self._work.wait()
        except ConnectionClosed:
            await connection.wait_closed()
        finally:
            closed.cancel()

    def _report(
        self, messages: list[Any], reason: Literal["unsure", "dropped", "closed"]
    ) -> None:
        if not messages:
            return
        if self._on_undelivered is None:
            self._logger.warning(
                "%d messages were not delivered, as far as is known (%s)",
                len(messages),
                reason,
            )
            return
        try:
            self._on_undelivered(messages, reason)
        except Exception:
            self._logger.error("on_undelivered failed", exc_info=True)

    # Receiving

    async def recv(self) -> Data:
        """
        Wait for the next message, over this connection or a later one.

        Cancellation: safe.

        Raises:
            Exception: the failure that ended the session: connecting again is of no
                use.
            EOFError: the session was closed.
        """
        await self._share()  # before a message is taken
        while True:
            if self._left:
                return self._left.popleft()
            connection = self.connection
            if connection is None or self._task is None:
                await self._until_connected()
                continue
            try:
                message = await connection.recv()
            except ConnectionClosed:
                if self.connection is connection:
                    await self._change()
                continue
            self._seen(message)
            return message

    def __aiter__(self) -> AsyncIterator[Data]:
        return self

    async def __anext__(self) -> Data:
        try:
            return await self.recv()
        except EOFError:
            raise StopAsyncIteration from None

    async def _until_connected(self) -> None:
        task = self._task
        if task is None:
            raise RuntimeError("the session was not started; use async with")
        if task.done():
            if not task.cancelled():
                exc = task.exception()
                if exc is not None:
                    raise exc
            raise EOFError("the session was closed")
        await self._change()

    async def _save_unread(self, connection: ClientConnection) -> None:
        """Keep what has arrived and was not read yet, in order."""
        while True:
            try:
                message = await connection.recv()
            except ConcurrencyError:
                await asyncio.sleep(0)  # the program takes it itself
            except ConnectionClosed:
                break
            else:
                self._seen(message)
                self._left.append(message)
        excess = len(self._left) - MAX_LEFT
        if excess > 0:
            for _ in range(excess):
                self._left.popleft()
            self._logger.warning("%d received messages were not read in time", excess)
        self._notify()

    async def _share(self) -> None:
        """Count a call, and let the event loop run once when that is due."""
        loop = asyncio.get_running_loop()
        if time_slice(loop).spend(loop):
            await yield_once()

    def _seen(self, message: Data) -> None:
        self._last = message if self._see is None else self._see(message)

    # Waking

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self) -> None:
        await self._changed.wait()


def _checked(message: Any) -> Any:
    """Return a message in a form that is a key and cannot change."""
    if isinstance(message, (str, bytes)):
        return message
    data = byte_view(message)
    if data is None:
        message_payload(message, None)
        raise TypeError(
            f"a session sends str or bytes-like, not {type(message).__name__}"
        )
    return bytes(data)
