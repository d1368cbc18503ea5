"""`broadcast`: send one message to many connections without waiting for any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..core.endpoint.broadcast import (
    BUFFER_FACTOR,
    BroadcastResult,
    OnSlow,
    SharedMessage,
    check_policy,
    deliver,
)
from ..core.endpoint.not_open import NOT_OPEN
from ..core.frames.close import CloseCode
from ..core.typing import DataLike
from .connection import Connection

C = TypeVar("C", bound=Connection)

# Bytes that a connection which is not slow may have waiting.
WRITE_LIMIT = 2**16


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
    (``no_context_takeover``).

    Connections that are not open are skipped.  One that is sending a fragmented
    message is skipped with a warning, for another message cannot stand inside it
    (RFC 6455, 5.4).  An error of one connection changes nothing for the others.

    Args:
        connections: of servers or clients; often ``server.connections``.
        message: `str` goes out as text, a bytes-like object as binary.
        text: True sends bytes as a text message, which must then be UTF-8;
            False sends a `str` as a binary one.
        compress: False sends it as it is, True compresses it, None leaves it to
            the policy of each connection, where compression was negotiated.
        raise_exceptions: raise for skipped connections instead of logging.
        on_slow: treatment of a connection that has more than `max_buffer` bytes
            waiting: ``"buffer"`` and ``"close"`` close it with 1013; ``"drop"`` leaves
            it open without this message.
        max_buffer: bytes; by default 1 MiB for ``"buffer"``, and 64 KiB for
            ``"drop"`` and ``"close"``.

    Returns:
        The connections that it was sent to, and those that were dropped, closed or
        skipped.

    Raises:
        TypeError: `message` is neither `str` nor bytes-like; nothing was sent.
        ValueError: `on_slow` or `max_buffer` is out of range; nothing was sent.
        UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        ExceptionGroup: with `raise_exceptions`, after all others were served:
            `ConcurrencyError` for a connection in the middle of a fragmented
            message, `RuntimeError` with its cause for one whose extension failed.
    """
    check_policy(on_slow, max_buffer)
    if max_buffer is None:
        max_buffer = WRITE_LIMIT * (BUFFER_FACTOR if on_slow == "buffer" else 1)
    shared = SharedMessage(message, text, compress)
    result: BroadcastResult[C] = BroadcastResult()
    errors: list[Exception] = []
    for connection in connections:
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
    if errors:
        raise ExceptionGroup("skipped broadcast", errors)
    return result


def _send_one(
    connection: C,
    shared: SharedMessage,
    on_slow: OnSlow,
    cap: int,
    result: BroadcastResult[C],
) -> None:
    """
    Send to a connection of any kind and in any state.

    Raises:
        ConcurrencyError: it is sending a fragmented message.
        RuntimeError: an extension failed.
    """
    driver = connection._driver
    if connection._session is NOT_OPEN:
        result.skipped.append(connection)
        return
    with driver.lock:
        driver.recover_from_interrupt()
        session = driver.session
        fate = deliver(session, shared, driver.backlog.size, on_slow, cap)
        if isinstance(fate, bytes):
            session.writer.add_raw(fate)
        if isinstance(fate, bytes) or fate == "queued":
            driver.step()
            driver.see_to_it()
            result.sent += 1
            return
    if fate == "skipped":
        result.skipped.append(connection)
    elif fate == "dropped":
        result.dropped.append(connection)
    else:
        driver.begin_close(CloseCode.TRY_AGAIN_LATER, "reading too slowly")
        result.closed.append(connection)
