"""Whole compressed messages: both bodies decompress them alike."""

from __future__ import annotations

import random
import zlib
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import ProtocolError
from fullduplex.core.extensions.deflate import PerMessageDeflate

from ..kit.bytes import BINARY, CONT, PING, TEXT, frame
from .bodies import Reading, Record, body, cut

RSV1 = 4
TAIL = b"\x00\x00\xff\xff"


class Sender:
    """Makes the frames of a peer; its window goes on from message to message."""

    def __init__(self, *, takeover: bool = True) -> None:
        self._takeover = takeover
        self._stream = zlib.compressobj(wbits=-15)

    def payload(self, data: bytes, *, final: bool = False) -> bytes:
        if not self._takeover or final:
            self._stream = zlib.compressobj(wbits=-15)
        if final:
            ended = self._stream.compress(data) + self._stream.flush() + b"\x00"
            self._stream = zlib.compressobj(wbits=-15)
            return ended
        return (self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH))[
            : -len(TAIL)
        ]

    def message(self, opcode: int, data: bytes, **kwds: Any) -> bytes:
        return frame(opcode, self.payload(data, **kwds), rsv=RSV1)


def read(
    wire: ModuleType,
    pieces: list[bytes],
    *,
    takeover: bool = True,
    **kwds: Any,
) -> Record:
    deflate = PerMessageDeflate(not takeover, not takeover, 15, 15)
    return Reading(wire, masked=False, rsv=0x40, deflate=deflate, **kwds).run(pieces)


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages_come_out_decompressed(
    wire: ModuleType, takeover: bool
) -> None:
    sender = Sender(takeover=takeover)
    data = b"".join(
        [
            sender.message(TEXT, "é, again and again".encode()),
            frame(PING, b"p"),
            sender.message(BINARY, b"again and again"),
            frame(TEXT, "plain"),
            sender.message(TEXT, b"ended", final=True),
            sender.message(TEXT, b""),
            sender.message(BINARY, bytes(70_000)),
        ]
    )

    record = read(wire, [data], takeover=takeover)

    assert record.error is None
    assert record.events == [
        "é, again and again", (0x89, b"p"), b"again and again", "plain", "ended", "",
        bytes(70_000),
    ]  # fmt: skip
    assert record.attributes["count"] == 6
    assert record.attributes["queued_bytes"] == 19 + 15 + 5 + 5 + 70_000


@pytest.mark.parametrize("limit", ["max_size", "max_fragment"])
def test_limit_is_exact_and_counts_what_comes_out(wire: ModuleType, limit: str) -> None:
    limits: Any = {limit: 1000}
    fits = read(wire, [Sender().message(BINARY, bytes(1000))], **limits)
    above = read(wire, [Sender().message(BINARY, bytes(1001))], **limits)

    assert (fits.events, fits.error) == ([bytes(1000)], None)
    assert above.events == []
    assert above.error is not None
    assert above.error[0] == "PayloadTooBig"


@pytest.mark.parametrize("max_size", [0, 2**63 - 2, 2**63 - 1, 2**63, 2**64])
def test_limits_at_both_ends_are_kept(wire: ModuleType, max_size: int) -> None:
    record = read(wire, [Sender().message(BINARY, b"")], max_size=max_size)
    assert (record.events, record.error) == ([b""], None)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"\xff\xff\xff", "ProtocolError"),
        (Sender().payload(b"\xff"), "UnicodeDecodeError"),
    ],
)
def test_what_is_wrong_stops_the_reader_behind_what_was_right(
    wire: ModuleType, payload: bytes, error: str
) -> None:
    good = Sender().message(TEXT, b"good")
    bad = frame(TEXT, payload, rsv=RSV1)

    record = read(wire, [good + bad + good])

    assert record.events == ["good"]
    assert record.error is not None
    assert record.error[0] == error


def test_messages_go_to_the_handler_where_whole_ones_are_not_wanted(
    wire: ModuleType,
) -> None:
    payload = Sender().payload(b"abc")
    record = read(wire, [frame(TEXT, payload, rsv=RSV1)], whole=False)
    assert record.events == [(0xC1, payload)]


ITEMS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=300).map(str.encode)),
        st.tuples(st.just("binary"), st.binary(max_size=300)),
        st.tuples(st.just("run"), st.integers(0, 200_000).map(bytes)),
        st.tuples(st.just("final"), st.binary(max_size=50)),
        st.tuples(st.just("bad text"), st.binary(max_size=20)),
        st.tuples(st.just("noise"), st.binary(max_size=50)),
        st.tuples(st.just("plain"), st.binary(max_size=50)),
        st.tuples(st.just("fragments"), st.binary(max_size=50)),
        st.tuples(st.just("ping"), st.binary(max_size=125)),
    ),
    max_size=12,
)


@given(
    items=ITEMS,
    takeover=st.booleans(),
    max_size=st.sampled_from([None, 0, 10, 299, 100_000]),
    max_fragment=st.sampled_from([None, 0, 50, 300]),
    places=st.lists(st.integers(0, 2**20), max_size=6),
)
def test_both_bodies_read_alike(
    items: list[tuple[str, bytes]],
    takeover: bool,
    max_size: int | None,
    max_fragment: int | None,
    places: list[int],
) -> None:
    wires = body("wire._wire", "pure"), body("wire._wire", "compiled")
    sender = Sender(takeover=takeover)
    frames = []
    for kind, data in items:
        if kind in ("text", "bad text"):
            frames.append(sender.message(TEXT, data))
        elif kind in ("binary", "run"):
            frames.append(sender.message(BINARY, data))
        elif kind == "final":
            frames.append(sender.message(BINARY, data, final=True))
        elif kind == "noise":
            frames.append(frame(BINARY, data, rsv=RSV1))
        elif kind == "plain":
            frames.append(frame(BINARY, data))
        elif kind == "fragments":
            frames += [frame(BINARY, data, fin=False), frame(CONT, data)]
        else:
            frames.append(frame(PING, data))
    pieces = cut(b"".join(frames), places)
    pure, compiled = (
        read(
            wire,
            pieces,
            takeover=takeover,
            max_size=max_size,
            max_fragment=max_fragment,
        )
        for wire in wires
    )
    assert pure == compiled


# Messages that end within a block


def stored(data: bytes, announced: int) -> bytes:
    """A block that is not compressed, whose length may be wrong (RFC 1951, 3.2.4)."""
    size = announced.to_bytes(2, "little")
    return b"\x00" + size + bytes(byte ^ 0xFF for byte in size) + data


CUT = {
    "header": b"\x00\xff\xff",
    "stored": stored(b"abc", 100),
    "stored, with the tail as data": stored(b"", 5),
    "codes": Sender().payload(b"hello, hello, world" * 9)[:9],
}


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("name", CUT)
def test_message_that_ends_within_a_block_is_refused(
    wire: ModuleType, name: str, opcode: int, takeover: bool
) -> None:
    for fragments in (False, True):
        frames: list[Any] = []
        extension = PerMessageDeflate(not takeover, False, 15, 15)
        if fragments:
            with pytest.raises(ProtocolError):
                extension.inflate(CUT[name][:2], fin=False, max_size=None)
                extension.inflate(CUT[name][2:], fin=True, max_size=None)
            continue
        reader = wire.FrameReader(frames.append, frames.append, masked=False)
        reader.allowed_rsv = 0x40
        reader.deflate = extension
        with pytest.raises(ProtocolError):
            reader.feed(frame(opcode, CUT[name], rsv=4))
        assert (reader.stopped, frames) == (True, [])


@pytest.mark.parametrize("takeover", [True, False])
def test_empty_payload_is_an_empty_message_and_no_part_of_the_stream(
    wire: ModuleType, takeover: bool
) -> None:
    frames: list[Any] = []
    reader = wire.FrameReader(frames.append, frames.append, masked=False)
    reader.allowed_rsv = 0x40
    reader.deflate = PerMessageDeflate(not takeover, False, 15, 15)
    sender = PerMessageDeflate(False, not takeover, 15, 15)
    for text in (b"hello", b"hello again"):
        reader.feed(frame(TEXT, b"", rsv=4))
        reader.feed(frame(TEXT, sender.deflate(text, fin=True), rsv=4))
        reader.feed(frame(BINARY, b"", rsv=4))
    assert frames == ["", "hello", b"", "", "hello again", b""]


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 70_000])
def test_message_that_ends_with_its_block_is_taken_whatever_its_size(
    wire: ModuleType, size: int
) -> None:
    frames: list[Any] = []
    reader = wire.FrameReader(frames.append, frames.append, masked=False)
    reader.allowed_rsv = 0x40
    reader.deflate = PerMessageDeflate(False, False, 15, 15)
    sender = PerMessageDeflate(False, False, 15, 15)
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    for _ in range(3):
        reader.feed(frame(BINARY, sender.deflate(data, fin=True), rsv=4))
    assert frames == [data] * 3
