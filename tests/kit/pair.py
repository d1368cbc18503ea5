"""Sessions without a driver: bytes go through queues, the clock is a number."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.frame_protocol import FrameProtocol, Side
from fullduplex.core.endpoint.operations import FLUSH, Operation
from fullduplex.core.endpoint.options import Options
from fullduplex.core.frames.close import ConnectionClosed
from fullduplex.core.frames.frame import Extension
from fullduplex.core.typing import LoggerLike

from .bytes import Received, dissect

T = TypeVar("T")

CLIENT, SERVER = Side.CLIENT, Side.SERVER


class Waiter:
    """What an operation waits for."""

    def __init__(self) -> None:
        self.fired = False

    def fire(self) -> None:
        """Note that the operation may go on."""
        self.fired = True


class Sink:
    """What became of a ping."""

    def __init__(self) -> None:
        self.rtt: float | None = None
        self.exc: BaseException | None = None

    def acknowledged(self, rtt: float) -> None:
        """Note the pong."""
        assert self.rtt is None
        assert self.exc is None
        self.rtt = rtt

    def lost(self, exc: BaseException) -> None:
        """Note that no pong will come."""
        assert self.rtt is None
        assert self.exc is None
        self.exc = exc


def make_session(
    side: Side = CLIENT,
    *,
    now: float = 0.0,
    extensions: Sequence[Extension] = (),
    logger: LoggerLike | None = None,
    random: Any = None,
    **limits: Any,
) -> Endpoint:
    """
    Make an open session.

    Args:
        limits: fields of `Options`; keepalive is off unless asked for.
    """
    limits.setdefault("ping_interval", None)
    options = Options(**limits)
    protocol = FrameProtocol(
        side,
        max_size=options.max_size,
        max_fragment=options.max_fragment,
        logger=logger,
    )
    protocol.use_extensions(extensions)
    kwds = {} if random is None else {"random": random}
    session = Endpoint(protocol, options, new_waiter=Waiter, now=now, **kwds)
    session.needs_sync = False
    return session


def step(operation: Operation[T], now: float = 0.0) -> tuple[T | None, Waiter | None]:
    """
    Run an operation to its next waiter; what it flushes stays queued.

    Returns:
        None and the waiter, or the result and None.
    """
    fresh = inspect.getgeneratorstate(operation) == inspect.GEN_CREATED
    try:
        waiter = operation.send(None if fresh else now)  # type: ignore[arg-type]
        while waiter is FLUSH:
            waiter = operation.send(now)
    except StopIteration as stop:
        return stop.value, None
    assert isinstance(waiter, Waiter)
    return None, waiter


def finish(operation: Operation[T], now: float = 0.0) -> T:
    """Run an operation to its end, which it must reach without waiting more."""
    result, waiter = step(operation, now)
    assert waiter is None, "the operation waits"
    return result  # type: ignore[return-value]


def start(operation: Operation[T], now: float = 0.0) -> Waiter:
    """Run an operation to its first waiter, which there must be."""
    _, waiter = step(operation, now)
    assert waiter is not None, "the operation did not wait"
    return waiter


def read(session: Endpoint, data: bytes, now: float = 0.0) -> Waiter | None:
    """
    Let a session read bytes as a driver does, without the reader's turn after it.

    Returns:
        The waiter of `recv`, fired; None if nobody waits.
    """
    woken = None
    while data:
        room = session.reader.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        data = data[size:]
        waiter = session.data_received(size, now)
        if waiter is not None:
            assert isinstance(waiter, Waiter)
            assert woken is None
            assert not waiter.fired
            waiter.fire()
            woken = waiter
    return woken


def deliver(session: Endpoint, data: bytes, now: float = 0.0) -> Waiter | None:
    """Let a session read bytes; the reader's turn is over at once."""
    woken = read(session, data, now)
    session.after_delivery()
    return woken


def sent(session: Endpoint) -> list[Received]:
    """Take what a session has to send."""
    return dissect(session.writer.take())


def received(session: Endpoint) -> list[str | bytes]:
    """Take every message that is complete."""
    messages: list[str | bytes] = []
    while True:
        operation = operations.recv(session)
        message, waiter = step(operation)
        if waiter is not None:
            operation.close()
            return messages
        assert message is not None
        messages.append(message)


def rest_of(session: Endpoint) -> tuple[list[str | bytes], ConnectionClosed]:
    """Take what is left after the end, and the exception that follows."""
    messages: list[str | bytes] = []
    while True:
        try:
            messages.append(finish(operations.recv(session)))
        except ConnectionClosed as exc:
            return messages, exc


def lose(session: Endpoint, exc: BaseException | None = None, now: float = 0.0) -> None:
    """End TCP and fire what waits."""
    for waiter in session.transport_lost(exc, now):
        waiter.fire()


class SessionPair:
    """
    A client and a server, joined by two queues of bytes.

    Args:
        now: where the clock stands.
        client: further arguments of `make_session`, as for `server`.
    """

    def __init__(
        self,
        *,
        now: float = 0.0,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        **both: Any,
    ) -> None:
        self.now = now
        self.client = make_session(CLIENT, now=now, **both, **(client or {}))
        self.server = make_session(SERVER, now=now, **both, **(server or {}))
        self._wires = {CLIENT: bytearray(), SERVER: bytearray()}
        self.half_closed: set[Side] = set()

    def other(self, session: Endpoint) -> Endpoint:
        """Return the peer."""
        return self.server if session is self.client else self.client

    def flush(self, session: Endpoint) -> int:
        """Put what `session` has to send on its wire; returns how much waits there."""
        wire = self._wires[session.protocol.side]
        wire += session.writer.take()
        return len(wire)

    def carry(self, session: Endpoint, size: int | None = None) -> Waiter | None:
        """Bring at most `size` bytes of what `session` has sent to its peer."""
        self.flush(session)
        wire = self._wires[session.protocol.side]
        data = bytes(wire[:size])
        del wire[: len(data)]
        return deliver(self.other(session), data, self.now)

    def pump(self, sizes: Iterable[int] = ()) -> None:
        """
        Carry bytes both ways until none are left.

        Args:
            sizes: of the first pieces; afterwards everything goes at once.
        """
        pieces: Iterator[int] = iter(sizes)
        while True:
            busy = False
            for session in (self.client, self.server):
                if self.flush(session):
                    busy = True
                    self.carry(session, next(pieces, None))
            if not busy:
                return

    def end(self) -> None:
        """End TCP as a server does that wants to, and a client that follows."""
        for session in (self.server, self.client):
            session.eof_received(self.now)
            lose(session, None, self.now)
