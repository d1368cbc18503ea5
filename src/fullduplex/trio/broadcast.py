"""`broadcast`: send one message to many connections without waiting for any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from trio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from ..core.endpoint.broadcast import (
    BroadcastResult,
    OnSlow,
    SharedMessage,
    check_policy,
    deliver,
)
from ..core.frames.close import CloseCode
from ..core.typing import DataLike
from ._driver import HANDING_OVER
from .connection import Connection

__all__ = ["BroadcastResult", "broadcast"]

C = TypeVar("C", bound=Connection)


async def broadcast(
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

    It waits for no peer: what one does not take at once stays in memory and goes out
    when the peer reads.  The frame is built once for all servers' connections, and
    compressed once for all of those that start each message with an empty window
    (``no_context_takeover``).

    Connections that are not open are skipped.  One that is sending a fragmented
    message is skipped with a warning, for another message cannot stand inside it
    (RFC 6455, 5.4).  An error of one connection changes nothing for the others.

    A connection is slow when more than `max_buffer` bytes wait to be sent to it
    already; what waits is so bounded by `max_buffer` and one message.

    Cancellation: all get the message, or none does.

    Args:
        connections: of servers or clients; often ``server.connections``.
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
        RuntimeError: it is called from another run of trio; nothing was sent.
        ExceptionGroup: with `raise_exceptions`, after all others were served:
            `ConcurrencyError` for a connection in the middle of a fragmented
            message, `RuntimeError` with its cause for one whose extension failed.
    """
    check_policy(on_slow, max_buffer)
    shared = SharedMessage(message, text, compress)
    await checkpoint_if_cancelled()
    result: BroadcastResult[C] = BroadcastResult()
    errors: list[Exception] = []
    members = list(connections)
    if members:
        members[0]._driver.check_run()
    for connection in members:
        try:
            _send_one(connection, shared, on_slow, max_buffer, result)
        except Exception as exc:
            result.skipped.append(connection)
            if raise_exceptions:
                errors.append(exc)
            else:
                connection.logger.warning(
                    "skipped broadcast: %s", exc, exc_info=exc.__cause__
                )
    for _ in range(HANDING_OVER):
        await cancel_shielded_checkpoint()
        if not any(connection._driver.handing_over for connection in members):
            break
    if errors:
        raise ExceptionGroup("skipped broadcast", errors)
    return result


def _send_one(
    connection: C,
    shared: SharedMessage,
    on_slow: OnSlow,
    max_buffer: int | None,
    result: BroadcastResult[C],
) -> None:
    driver = connection._driver
    session = driver.session
    if session is None or driver.ended:
        result.skipped.append(connection)
        return
    fate = deliver(session, shared, driver.backlog.size, on_slow, max_buffer)
    if fate == "skipped":
        result.skipped.append(connection)
    elif fate == "dropped":
        result.dropped.append(connection)
    elif fate == "closed":
        driver.begin_close(CloseCode.TRY_AGAIN_LATER, "reading too slowly")
        result.closed.append(connection)
    else:
        result.sent += 1
        driver.step()
        if isinstance(fate, bytes):
            session.writer.count_unbuffered_frame(len(fate))
            driver.write(fate)
