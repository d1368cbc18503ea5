"""Sessions without a driver: bytes go through queues, the clock is a number.

Frames are built and taken apart here on their own, so that no test compares the
code under test with itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fullduplex.core.errors import ConnectionClosed
from fullduplex.core.extensions.base import Extension
from fullduplex.core.options import Options
from fullduplex.core.protocol import Protocol, Side
from fullduplex.core.session import Operation, Session
from fullduplex.core.typing import LoggerLike

T = TypeVar("T")

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLIENT, SERVER = Side.CLIENT, Side.SERVER
KEY = b"\x11\x22\x33\x44"


def xor(data: bytes, key: bytes) -> bytes:
    """Mask `data`, byte by byte."""
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    mask: bytes | None = None,
    fin: bool = True,
    rsv: int = 0,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """
    Build a frame.

    Args:
        mask: four bytes, or None for a frame that is not masked.
        rsv: the reserved bits, 0 to 7.
        length: what the header announces; by default the size of `payload`.
        width: bytes in which the length is written: 0, 2 or 8; by default the
            smallest that will do.
    """
    data = payload.encode() if isinstance(payload, str) else payload
    if length is None:
        length = len(data)
    if width is None:
        width = 0 if length < 126 else 2 if length < 2**16 else 8
    short = {0: length, 2: 126, 8: 127}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short])
    head += length.to_bytes(width, "big") if width else b""
    return head + (data if mask is None else mask + xor(data, mask))


def close_frame(
    code: int | None = 1000, reason: str = "", *, mask: bytes | None = None
) -> bytes:
    """Build a close frame; without a code an empty one."""
    payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
    return frame(CLOSE, payload, mask=mask)


@dataclass(frozen=True)
class Seen:
    """A frame that was sent."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode()

    @property
    def close(self) -> tuple[int | None, str]:
        """Code and reason of a close frame."""
        assert self.opcode == CLOSE
        if not self.payload:
            return None, ""
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()


def dissect(data: bytes) -> list[Seen]:
    """Take a run of whole frames apart."""
    seen = []
    while data:
        first, second, pos = data[0], data[1], 2
        size = second & 0x7F
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[2 : 2 + width], "big")
            pos += width
        key = b"\0\0\0\0"
        if second & 0x80:
            key = data[pos : pos + 4]
            pos += 4
        payload = data[pos : pos + size]
        assert len(payload) == size, "the last frame is not whole"
        data = data[pos + size :]
        seen.append(
            Seen(
                first & 0x0F,
                xor(payload, key) if second & 0x80 else payload,
                bool(first & 0x80),
                first >> 4 & 7,
                bool(second & 0x80),
            )
        )
    return seen


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
) -> Session:
    """
    Make an open session.

    Args:
        limits: fields of `Options`; keepalive is off unless asked for.
    """
    limits.setdefault("ping_interval", None)
    options = Options(**limits)
    protocol = Protocol(
        side,
        max_size=options.max_size,
        max_fragment=options.max_fragment,
        logger=logger,
    )
    protocol.use_extensions(extensions)
    kwds = {} if random is None else {"random": random}
    session = Session(protocol, options, new_waiter=Waiter, now=now, **kwds)
    session.attention = False
    return session


def step(operation: Operation[T], now: float = 0.0) -> tuple[T | None, Waiter | None]:
    """
    Run an operation to its next waiter.

    Returns:
        None and the waiter, or the result and None.
    """
    fresh = inspect.getgeneratorstate(operation) == inspect.GEN_CREATED
    try:
        waiter = operation.send(None if fresh else now)  # type: ignore[arg-type]
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


def read(session: Session, data: bytes, now: float = 0.0) -> Waiter | None:
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


def deliver(session: Session, data: bytes, now: float = 0.0) -> Waiter | None:
    """Let a session read bytes; the reader's turn is over at once."""
    woken = read(session, data, now)
    session.delivered()
    return woken


def sent(session: Session) -> list[Seen]:
    """Take what a session has to send."""
    return dissect(session.writer.take())


def received(session: Session) -> list[str | bytes]:
    """Take every message that is complete."""
    messages: list[str | bytes] = []
    while True:
        operation = session.recv()
        message, waiter = step(operation)
        if waiter is not None:
            operation.close()
            return messages
        assert message is not None
        messages.append(message)


def rest_of(session: Session) -> tuple[list[str | bytes], ConnectionClosed]:
    """Take what is left after the end, and the exception that follows."""
    messages: list[str | bytes] = []
    while True:
        try:
            messages.append(finish(session.recv()))
        except ConnectionClosed as exc:
            return messages, exc


def lose(session: Session, exc: BaseException | None = None, now: float = 0.0) -> None:
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

    def other(self, session: Session) -> Session:
        """Return the peer."""
        return self.server if session is self.client else self.client

    def flush(self, session: Session) -> int:
        """Put what `session` has to send on its wire; returns how much waits there."""
        wire = self._wires[session.protocol.side]
        wire += session.writer.take()
        return len(wire)

    def carry(self, session: Session, size: int | None = None) -> Waiter | None:
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
