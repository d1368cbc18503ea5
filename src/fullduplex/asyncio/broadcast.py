"""`broadcast`: send one message to many connections without waiting for any."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable
from time import monotonic
from typing import TypeVar

from ..core.endpoint.broadcast import (
    BroadcastResult,
    OnSlow,
    SharedMessage,
    check_policy,
    deliver,
)
from ..core.frames.close import CloseCode
from ..core.typing import DataLike
from ._driver import JOIN, Driver
from ._running_loop import check_running
from .connection import Connection

__all__ = ["BroadcastResult", "broadcast"]

C = TypeVar("C", bound=Connection)


def broadcast(
    connections: Iterable[C],
    message: DataLike,
    *,
    text: bool | None = None,
    compress: bool | None = None,
    raise_exceptions: bool = False,
    on_slow: OnSlow = "buffer",
    max_buffer: int | None = None,
) -> BroadcastResult[C]:
    """
    Send a message to many connections.

    It never waits: what a peer does not take at once stays in memory and goes out
    when the peer reads.  The frame is built once for all servers' connections, and
    compressed once for all of those that start each message with an empty window
    (``no_context_takeover``).  The first broadcast of a task goes out at once; later
    ones may be joined, and go out when the event loop runs again.

    Connections that are not open are skipped.  One that is sending a fragmented
    message is skipped with a warning, for another message cannot stand inside it
    (RFC 6455, 5.4).  An error of one connection changes nothing for the others.

    A connection is slow when more than `max_buffer` bytes wait to be sent to it
    already; what waits is so bounded by `max_buffer` and one message.

    Args:
        connections: of servers or clients, all on the running event loop; often
            ``server.connections``.
        message: `str` goes out as text, a bytes-like object as binary.
        text: True sends bytes as a text message, which must then be UTF-8;
            False sends a `str` as a binary one.
        compress: False sends it as it is, True compresses it, None leaves it to
            the policy of each connection, where compression was negotiated.
        raise_exceptions: raise for skipped connections instead of logging.
        on_slow: treatment of a slow connection.  ``"buffer"`` closes it with 1013,
            after a generous buffer.  ``"close"`` closes it with 1013 as soon as it is
            above the mark at which `send` would wait.  ``"drop"`` leaves it open
            without this message.
        max_buffer: bytes; by default 16 times the connection's `write_limit` for
            ``"buffer"``, and once for ``"drop"`` and ``"close"``.

    Returns:
        The connections that it was sent to, and those that were dropped, closed or
        skipped.

    Raises:
        TypeError: `message` is neither `str` nor bytes-like; nothing was sent.
        ValueError: `on_slow` or `max_buffer` is out of range; nothing was sent.
        UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        RuntimeError: it is called from another event loop; nothing was sent.
        ExceptionGroup: with `raise_exceptions`, after all others were served:
            `ConcurrencyError` for a connection in the middle of a fragmented
            message, `RuntimeError` with its cause for one whose extension failed.
    """
    check_policy(on_slow, max_buffer)
    shared = SharedMessage(message, text, compress)
    frame = shared.plain
    members = list(connections)
    result: BroadcastResult[C] = BroadcastResult()
    if not members:
        return result
    loop = members[0].loop
    check_running(loop)
    turn = _turn(loop)
    fresh = turn.enter(loop)
    now = monotonic()
    # Without a cap of its own, a connection that is clear to send is not slow.  As for
    # `send`, a peer that has begun to close still gets the messages before our answer.
    if max_buffer is None:
        rest = []
        for connection in members:
            driver = connection._driver
            sent = driver.broadcast_now(frame, now, fresh)
            if sent is None:
                turn.join(driver, frame, fresh)
            elif not sent:
                rest.append(connection)
        result.sent = len(members) - len(rest)
    else:
        rest = members
    errors: list[Exception] = []
    for connection in rest:
        try:
            _send_one(connection, shared, turn, fresh, on_slow, max_buffer, result)
        except Exception as exc:
            result.skipped.append(connection)
            if raise_exceptions:
                errors.append(exc)
            else:
                connection.logger.warning(
                    "skipped broadcast: %s", exc, exc_info=exc.__cause__
                )
    turn.leave(loop)
    if errors:
        raise ExceptionGroup("skipped broadcast", errors)
    return result


def _send_one(
    connection: C,
    shared: SharedMessage,
    turn: LoopBatch,
    fresh: bool,
    on_slow: OnSlow,
    cap: int | None,
    result: BroadcastResult[C],
) -> None:
    """
    Send to a connection of any kind and in any state.

    Raises:
        ConcurrencyError: it is sending a fragmented message.
        RuntimeError: an extension failed.
    """
    driver = connection._driver
    session = driver.session
    if session is None or driver.transport.is_closing():
        result.skipped.append(connection)
        return
    waiting = driver.transport.get_write_buffer_size()
    fate = deliver(session, shared, waiting, on_slow, cap)
    if fate == "skipped":
        result.skipped.append(connection)
    elif fate == "dropped":
        result.dropped.append(connection)
    elif fate == "closed":
        driver.begin_close(CloseCode.TRY_AGAIN_LATER, "reading too slowly")
        result.closed.append(connection)
    else:
        result.sent += 1
        session.sent_at = monotonic()
        if isinstance(fate, str):
            driver.schedule_flush()
        elif fresh and not session.writer.pending:
            session.writer.count_unbuffered_frame(len(fate))
            driver.transport.write(fate)
        else:
            turn.join(driver, fate, fresh)


class LoopBatch:
    """
    One iteration of an event loop, which broadcasts share.

    Sending is bound by one system call a connection.  So what a task broadcasts after
    an earlier broadcast of the same iteration waits for the end of the iteration and
    leaves with one call.  The first broadcast of each task leaves at once.
    """

    __slots__ = ("_joined", "_task", "fresh")

    def __init__(self) -> None:
        self._joined: list[Driver] = []
        #: whether nothing was broadcast yet in this iteration
        self.fresh = True
        # The identity of the task that broadcast last.
        self._task = 0

    def enter(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Begin a broadcast; returns whether it leaves at once."""
        task = id(asyncio.current_task(loop))
        fresh = self.fresh or task != self._task
        self._task = task
        return fresh

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """End a broadcast; later ones of the same step are joined."""
        if self.fresh:
            self.fresh = False
            loop.call_soon(self._end)

    def join(self, driver: Driver, frame: bytes, fresh: bool) -> None:
        """Queue behind what waits; one system call will take it all."""
        assert driver.session is not None
        writer = driver.session.writer
        if not writer.pending:
            self._joined.append(driver)
        writer.add_raw(frame)
        if fresh or writer.pending >= JOIN:
            driver.end_turn()

    def _end(self) -> None:
        self.fresh = True
        joined, self._joined = self._joined, []
        for driver in joined:
            driver.end_turn()


_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBatch] = (
    weakref.WeakKeyDictionary()
)


def _turn(loop: asyncio.AbstractEventLoop) -> LoopBatch:
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = LoopBatch()
    return turn
