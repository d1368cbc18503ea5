"""Operations of an open connection: they receive, send, ping, close and wait.

An operation is a generator over an endpoint.  It yields one of two things:

* a waiter, made by ``endpoint.new_waiter``; the driver resumes the operation with
  ``send(now)`` once the waiter was fired;
* `FLUSH`: the driver sends what is queued, as far as it can, and resumes the operation
  at once.

The `yield` of a waiter is the only place where an operation can be cancelled.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NoReturn, TypeVar

from ..errors import ConcurrencyError, ProtocolError
from ..frames.close import CloseCode, State
from ..frames.messages import Fragment, TextDecoder
from ..typing import BytesLike
from .endpoint import Endpoint
from .hot import Waiter
from .pings import PingSink

T = TypeVar("T")
# Type of an operation: yields waiters and `FLUSH`, takes the time, returns T.
Operation = Generator[Waiter, float, T]

#: Yielded by an operation whose bytes are to go out now.
FLUSH: Any = object()


# Receiving


def recv(endpoint: Endpoint, decode: bool | None = None) -> Operation[str | bytes]:
    """
    Wait for the next message.

    Cancellation: safe.  Fragments already taken stay with the endpoint.

    Raises:
        ConcurrencyError: another receiver is waiting or streaming.
        ConnectionClosed: TCP has ended and no message is left.
    """
    queue = endpoint.receive_queue
    queue.begin(endpoint, streaming=False)
    try:
        while True:
            item = yield from _next_item(endpoint)
            if isinstance(item, Fragment):
                message = queue.join(endpoint, item)
                if message is None:
                    continue
                item = message
            try:
                return _convert(item, decode)
            except UnicodeDecodeError as exc:
                yield from _undecodable(endpoint, exc)
    finally:
        endpoint.end_wait()


def recv_fragment(
    endpoint: Endpoint, decode: bool | None = None, *, first: bool
) -> Operation[Fragment]:
    """
    Wait for the next part of a message; whole messages are one part.

    Between the first part and the last one no other receiver is let in.
    Cancellation: safe.

    Args:
        first: whether a message begins with this part.
    """
    queue = endpoint.receive_queue
    queue.begin(endpoint, streaming=not first)
    try:
        item: str | bytes | Fragment | None = queue.take_joined()
        if item is None:
            item = yield from _next_item(endpoint)
        if not isinstance(item, Fragment):
            item = Fragment(item, True)
        decoder = queue.stream(endpoint, item, first=first)
        try:
            data = _convert(item.data, decode, decoder, item.fin)
        except UnicodeDecodeError as exc:
            data = yield from _undecodable(endpoint, exc)
        return Fragment(data, item.fin)
    finally:
        endpoint.end_wait()


def _next_item(endpoint: Endpoint) -> Operation[str | bytes | Fragment]:
    messages, protocol = endpoint.messages, endpoint.protocol
    while not messages:
        if endpoint.holder.holding:
            endpoint.refill()
            continue
        if protocol.state is State.CLOSED:
            raise protocol.close_exc
        if protocol.close_deferred:
            endpoint.send_deferred_close(endpoint.now)
        endpoint.recv_waiter = waiter = endpoint.new_waiter()
        endpoint.now = yield waiter
    item: str | bytes | Fragment = messages.popleft()
    if endpoint.reading_paused:
        endpoint.message_taken()
    return item


def _convert(
    data: str | bytes,
    decode: bool | None,
    decoder: TextDecoder | None = None,
    fin: bool = True,
) -> str | bytes:
    """
    Apply `decode`.

    Raises:
        UnicodeDecodeError: go on with `_undecodable`.
    """
    if decode is None:
        return data
    if not decode:
        return data.encode() if isinstance(data, str) else data
    if isinstance(data, str):
        return data
    return data.decode() if decoder is None else decoder.decode(data, fin)


def _undecodable(endpoint: Endpoint, cause: UnicodeDecodeError) -> Operation[NoReturn]:
    """Fail the connection for a message that is not what was asked for."""
    endpoint.protocol.fail(cause, CloseCode.INVALID_DATA, cause.reason)
    if endpoint.protocol.close_deferred:
        endpoint.send_close_soon()
    yield from wait_closed(endpoint)
    raise endpoint.protocol.close_exc from cause


# Sending


def send(
    endpoint: Endpoint,
    message: str | BytesLike,
    text: bool,
    compress: bool | None = None,
) -> Operation[None]:
    """
    Send a message as one frame, and wait while output is above its mark.

    Cancellation: the frame goes out whole or not at all.

    Args:
        compress: as for `PerMessageDeflate.compress_payload`.

    Raises:
        ConnectionClosed: the connection is closing or closed.
        ConcurrencyError: a message is being sent in fragments, and this endpoint is
            `exclusive`.
    """
    yield from _until_clear(endpoint)
    endpoint.protocol.send_message(message, text, compress)
    yield from drain(endpoint)


def begin_fragments(endpoint: Endpoint) -> Operation[None]:
    """Wait until no other message is being sent, then keep others out."""
    yield from _until_clear(endpoint)
    endpoint.fragmenting = True
    endpoint.clear_to_send = False


def send_fragment(
    endpoint: Endpoint,
    opcode: int,
    data: str | BytesLike,
    *,
    fin: bool,
    compress: bool | None = None,
) -> Operation[None]:
    """Send one frame of the message begun with `begin_fragments`."""
    yield from _until_open(endpoint)
    endpoint.protocol.send_data(opcode, data, fin=fin, compress=compress)
    yield from drain(endpoint)


def drain(endpoint: Endpoint) -> Operation[None]:
    """
    Send what is queued, and wait while output is above its mark.

    Raises:
        ConnectionClosed: TCP has ended meanwhile.
    """
    yield FLUSH
    while endpoint.writing_paused:
        if endpoint.protocol.state is State.CLOSED:
            raise endpoint.protocol.close_exc
        yield from _wait(endpoint, endpoint.send_waiters)


def flush(endpoint: Endpoint) -> Operation[None]:
    """
    Do what `drain` does on an open connection.

    Raises:
        ConnectionClosed: the connection is closing or closed.
    """
    yield from _until_open(endpoint)
    yield from drain(endpoint)


def ping(
    endpoint: Endpoint, payload: bytes | None, sink: PingSink | None, now: float
) -> Operation[None]:
    """
    Send a ping (RFC 6455, 5.5.2).

    Args:
        payload: at most 125 bytes; None for 4 random ones.

    Raises:
        ProtocolError: `payload` is longer.
        ConcurrencyError: a ping with this payload is waiting for its pong.
        ConnectionClosed: the connection is closing or closed.
    """
    endpoint.now = now
    pings = endpoint.pings
    if payload is None:
        payload = pings.new_payload()
    _check_control("ping", payload)
    if payload in pings:
        raise ConcurrencyError(
            f"a ping with the same data, {payload[:64]!r}, waits for its pong"
        )
    yield from _until_open(endpoint)
    pings.add(payload, sink, endpoint.now)
    endpoint.protocol.send_ping(payload)
    yield from drain(endpoint)


def pong(endpoint: Endpoint, payload: bytes, now: float) -> Operation[None]:
    """Send an unsolicited pong (RFC 6455, 5.5.3)."""
    endpoint.now = now
    _check_control("pong", payload)
    yield from _until_open(endpoint)
    endpoint.protocol.send_pong(payload)
    yield from drain(endpoint)


def _check_control(name: str, payload: bytes) -> None:
    if len(payload) > 125:
        raise ProtocolError(f"{name} data has {len(payload)} bytes; allowed are 125")


# Closing


def close(
    endpoint: Endpoint, code: int | None, reason: str, now: float
) -> Operation[None]:
    """
    Close the connection and wait until TCP has ended.

    Cancellation: ends only the waiting.  The deadline runs on without the caller.

    Raises:
        ProtocolError: `code` or `reason` must not travel; nothing was sent.
    """
    endpoint.begin_close(code, reason, now)
    yield from wait_closed(endpoint)


def wait_closed(endpoint: Endpoint) -> Operation[None]:
    """Wait until TCP has ended; never raises.  Cancellation: safe."""
    while endpoint.protocol.state is not State.CLOSED:
        yield from _wait(endpoint, endpoint.closed_waiters)


# Waiting


def _until_open(endpoint: Endpoint) -> Operation[None]:
    """
    Pass in state OPEN while TCP lives; otherwise wait for the end and raise.

    Where TCP is about to end, nothing that is sent would arrive.  A sender that
    went on would keep a driver from telling of the end.
    """
    while endpoint.protocol.state is not State.OPEN or endpoint.leaving:
        if endpoint.protocol.state is State.CLOSED:
            raise endpoint.protocol.close_exc
        yield from _wait(endpoint, endpoint.closed_waiters)


def _until_clear(endpoint: Endpoint) -> Operation[None]:
    """Wait as `_until_open`, and until no other message is in the way."""
    while True:
        if endpoint.protocol.state is not State.OPEN or endpoint.leaving:
            yield from _until_open(endpoint)  # raises
        if not endpoint.fragmenting and not endpoint.writing_paused:
            return
        if endpoint.fragmenting and endpoint.exclusive:
            raise ConcurrencyError(
                "another thread is sending a message in fragments; "
                "wait until that send() has returned"
            )
        yield from _wait(endpoint, endpoint.send_waiters)


def _wait(endpoint: Endpoint, queue: list[Waiter]) -> Operation[None]:
    waiter = endpoint.new_waiter()
    queue.append(waiter)
    try:
        endpoint.now = yield waiter
    finally:
        # It is still there if the operation was cancelled.
        if waiter in queue:
            queue.remove(waiter)
