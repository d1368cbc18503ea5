"""Targets: functions of bytes, which fail when two ways of reading differ.

Each takes settings from the first bytes and reads the rest.  It returns a summary of
what happened, by which inputs that lead somewhere new are told from others.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Hashable
from typing import Any

from fullduplex.core.errors import SecurityError
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.http import parser as http1

from ..kit.bytes import BINARY, CONT, TEXT, frame
from ..parity.bodies import NAMES, Reading, body

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], Hashable]

LIMITS = (None, 0, 1, 20, 125, 1000, 2**16, 2**20)
# Inflated, what has no limit takes a thousand times its size.
LARGEST = 8192


class Input:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        return self._data[self._at :]


def pieces(data: bytes, cuts: bytes) -> list[bytes]:
    """Cut data at up to four places."""
    edges = sorted({0, len(data), *(cut * len(data) // 256 for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def kinds(events: list[Any]) -> tuple[Hashable, ...]:
    """The kinds of the events, with their sizes in powers of two."""
    return tuple(
        (event[0], len(event[1]).bit_length())
        if isinstance(event, tuple)
        else (type(event).__name__, len(event).bit_length())
        for event in events[:8]
    )


def subject(error: tuple[str, str] | None) -> Hashable:
    """The subject of an error."""
    if error is None:
        return None
    return error[0], re.sub(r"[0-9,]+|['\"].*", "", error[1])


def same(records: list[Any]) -> Any:
    pure, compiled = records
    assert pure == compiled, f"pure: {pure}\ncompiled: {compiled}"
    return pure


def extension(takeover: bool) -> PerMessageDeflate:
    return PerMessageDeflate(not takeover, not takeover, 15, 15)


# Frames


def frames(data: bytes) -> Hashable:
    """Read a stream of frames with the pure and the compiled reader."""
    given = Input(data)
    flags, limits, rsv, cuts = given.byte(), given.byte(), given.byte(), given.take(4)
    stream = given.rest()[:LARGEST]
    deflate = flags & 16
    records = [
        Reading(
            body("wire._wire", name),
            masked=bool(flags & 1),
            direct_view=bool(flags & 2),
            whole=bool(flags & 4),
            stop_at_close=bool(flags & 8),
            rsv=0x40 if deflate else (0, 0x40, 0x70)[rsv % 3],
            deflate=extension(bool(rsv & 4)) if deflate else None,
            max_size=LIMITS[limits & 7],
            max_fragment=LIMITS[limits >> 4 & 7],
        ).run(pieces(stream, cuts), feed=bool(flags & 32))
        for name in NAMES
    ]
    record = same(records)
    return flags & 31, subject(record.error), kinds(record.events)


# Compressed messages


def deflate(data: bytes) -> Hashable:
    """
    Read compressed messages whose frames are right and whose payloads are not.

    Whole messages are inflated by the readers, fragments by the extension.
    """
    given = Input(data)
    flags, limits, cuts = given.byte(), given.byte(), given.take(2)
    stream = b""
    rest = given.rest()[:LARGEST]
    payloads = rest.split(b"\xf5\x0f")[:8]
    for number, payload in enumerate(payloads):
        opcode = TEXT if flags >> number & 1 else BINARY
        if limits & 8 and number % 2:
            half = len(payload) // 2
            stream += frame(opcode, payload[:half], rsv=4, fin=False)
            stream += frame(CONT, payload[half:])
        else:
            stream += frame(opcode, payload, rsv=4)
    records = []
    for name in NAMES:
        reading = Reading(
            body("wire._wire", name),
            masked=False,
            rsv=0x40,
            deflate=extension(flags & 64 != 0),
            max_size=LIMITS[limits & 7],
            max_fragment=LIMITS[limits >> 4 & 7],
        )
        records.append(reading.run(pieces(stream, cuts)))
    record = same(records)
    return (
        flags & 64,
        subject(record.error),
        kinds(record.events),
        inflated(payloads[0]),
    )


def inflated(payload: bytes) -> Hashable:
    """How far zlib comes, which is where the interesting inputs are."""
    stream = zlib.decompressobj(-15)
    try:
        size = len(stream.decompress(payload, 2**16))
    except zlib.error as exc:
        return str(exc)
    return stream.eof, size.bit_length()


# What is held behind marks


class Part:
    """A frame that is no whole message, in the queue like one."""

    def __init__(self, head: int, data: bytes) -> None:
        self.head, self.data = head, data


def received(
    name: str, stream: list[bytes], flags: int, marks: tuple[Any, Any], takes: bytes
) -> tuple[Any, ...]:
    """Read with marks, taking some messages in between; returns all, and the error."""
    wire = body("wire._wire", name)
    inbox = wire.MessageQueue()

    def handler(head: int, payload: bytes) -> bool:
        inbox.append(Part(head, payload))
        return head & 0x0F == 8

    reader = wire.FrameReader(handler, inbox, masked=bool(flags & 1), max_size=2**16)
    reader.hold_above(*marks)
    reader.allowed_rsv = 0x40
    reader.deflate = extension(bool(flags & 2))
    taken: list[Any] = []
    error = None

    def take(count: int) -> None:
        for _ in range(min(count, len(inbox))):
            item = inbox.popleft()
            taken.append((item.head, item.data) if isinstance(item, Part) else item)

    turns = itertools.cycle(takes or b"\1")
    try:
        for piece in stream:
            reader.feed(piece)
            if marks[0] is not None:
                assert len(inbox) <= marks[0] + 1
            take(next(turns) & 3)
            reader.proceed()
        while reader.holding:
            take(1)
            reader.proceed()
    except AssertionError:
        raise
    except Exception as exc:
        # A text in pieces is refused earlier than a whole one, in other words.
        error = type(exc).__name__
    take(len(inbox))
    return taken, error, reader.stopped, reader.between_frames or reader.stopped


def held(data: bytes) -> Hashable:
    """Read with marks and without: the same messages, in the same order."""
    given = Input(data)
    flags, mark, size = given.byte(), given.byte() & 7, given.byte()
    cuts, takes = given.take(4), given.take(2)
    stream = pieces(given.rest()[:LARGEST], cuts)
    marks = (mark, size * 4 if flags & 4 else None)
    outcomes = [
        received(name, stream, flags, given_marks, takes)
        for name in NAMES
        for given_marks in (marks, (None, None))
    ]
    for other in outcomes[1:]:
        same([outcomes[0], other])
    return flags & 7, mark, outcomes[0][1], kinds(outcomes[0][0])


# Heads of HTTP messages


def parsed(parser: Any, data: list[bytes], eof: bool) -> tuple[Any, ...]:
    """Feed pieces to a parser; returns the message or the error, and what is left."""
    message = None
    try:
        for piece in data:
            message = parser.feed(piece)
        if message is None and eof:
            message = parser.feed_eof()
    except (ValueError, EOFError, SecurityError) as exc:
        return "error", type(exc).__name__, str(exc)
    if message is None:
        return ("incomplete",)
    values = tuple(getattr(message, name, None) for name in FIELDS)
    return "message", values, [*message.headers.raw_items()], parser.leftover


FIELDS = ("method", "path", "protocol", "status_code", "reason_phrase", "body")


def head(data: bytes, make: Callable[[int], Any]) -> Hashable:
    """Parse whole and in pieces, which goes two ways and must come to the same."""
    given = Input(data)
    flags, cuts = given.byte(), given.take(4)
    text = given.rest()
    eof = bool(flags & 1)
    whole = parsed(make(flags), [text], eof)
    cut = parsed(make(flags), pieces(text, cuts), eof)
    assert whole == cut, f"whole: {whole}\nin pieces: {cut}"
    if whole[0] != "message":
        return subject((whole[0], " ".join(whole[1:])))
    _, values, headers, leftover = whole
    again(make(flags), values, headers)
    return (
        tuple(
            len(value).bit_length()
            for value in values
            if isinstance(value, str | bytes)
        ),
        len(headers),
        bool(leftover),
    )


def again(parser: Any, values: tuple[Any, ...], headers: list[tuple[str, str]]) -> None:
    """A message that was parsed, written by us, is parsed as the same."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    method, path, protocol, status, reason, content = values
    if method is not None:
        first = f"{method} {path} {protocol}\r\n"
    elif status == 101:
        first = f"HTTP/1.1 101 {reason}\r\n"
    else:
        return  # the body says where it ends in one of several ways
    parsed_again = parsed(parser, [(first + lines).encode("iso-8859-1")], False)
    assert parsed_again[0] == "message", parsed_again
    assert parsed_again[1][:2] == (method, path), parsed_again
    assert parsed_again[1][3:] == (status, reason, content), parsed_again
    assert parsed_again[2] == headers, parsed_again


def request(data: bytes) -> Hashable:
    """Parse the head of a request."""
    return head(data, lambda _flags: http1.RequestParser())


def response(data: bytes) -> Hashable:
    """Parse a response with its body."""
    methods = ("GET", "HEAD", "CONNECT", "GET")
    return head(data, lambda flags: http1.ResponseParser(methods[flags >> 1 & 3]))


# Messages that are written


def messages(data: bytes) -> Hashable:
    """Write messages with both writers, and read them with both readers."""
    given = Input(data)
    flags = given.byte()
    whole: list[str | bytes] = []
    for part in given.rest()[:LARGEST].split(b"\xf5\x0f")[:8]:
        try:
            whole.append(part.decode() if len(whole) % 2 == flags & 1 else part)
        except UnicodeDecodeError:
            whole.append(part * (flags >> 1 & 3))
    for writer_name in NAMES:
        writer = body("wire._wire", writer_name).FrameWriter(mask=bool(flags & 8))
        for message in whole:
            assert writer.add_message(message)
        written = writer.take()
        assert len(written) == writer.total
        for name in NAMES:
            reading = Reading(body("wire._wire", name), masked=bool(flags & 8))
            assert reading.run([written]).events == whole
    return kinds(whole)


TARGETS: dict[str, Target] = {
    "frames": frames,
    "deflate": deflate,
    "held": held,
    "request": request,
    "response": response,
    "messages": messages,
}
