"""Frames: bytes to objects and back, their checks, and how logs show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import PayloadTooBig, ProtocolError
from fullduplex.core.frames import describe
from fullduplex.core.frames.close import (
    EXTERNAL_CLOSE_CODES,
    OK_CLOSE_CODES,
    Close,
    CloseCode,
    explain_close_code,
)
from fullduplex.core.frames.frame import Frame, prepare_ctrl, prepare_data
from fullduplex.core.frames.opcode import (
    BINARY,
    CLOSE,
    CONT,
    CTRL_OPCODES,
    PING,
    PONG,
    TEXT,
    Opcode,
)

KEY = b"\x00\x10\x20\x30"


def parse(
    data: bytes, cuts: list[int] | None = None, **kwargs: Any
) -> tuple[Frame, bytes]:
    """Parse one frame from portions; return it and the bytes after it."""
    ends = sorted({cut % (len(data) + 1) for cut in cuts or []} | {len(data)})
    portions = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    buffer = bytearray()

    def read_exact(size: int) -> Generator[None, None, bytes]:
        while len(buffer) < size:
            if not portions:
                raise EOFError
            buffer.extend(portions.pop(0))
            yield
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    steps = Frame.parse(read_exact, **{"mask": False, **kwargs})
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value, bytes(buffer) + b"".join(portions)


# -- The wire ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        # RFC 6455, 5.7.
        (Frame(TEXT, b"Hello"), "81 05 48 65 6c 6c 6f"),
        (Frame(TEXT, b"Hel", fin=False), "01 03 48 65 6c"),
        (Frame(CONT, b"lo"), "80 02 6c 6f"),
        (Frame(PING, b"Hello"), "89 05 48 65 6c 6c 6f"),
        (Frame(PONG, b""), "8a 00"),
        (Frame(CLOSE, b"\x03\xe8"), "88 02 03 e8"),
        (Frame(BINARY, bytes(125)), "82 7d" + "00" * 125),
        (Frame(BINARY, bytes(126)), "82 7e 00 7e" + "00" * 126),
        (Frame(BINARY, bytes(65535)), "82 7e ff ff" + "00" * 65535),
        (Frame(BINARY, bytes(65536)), "82 7f 0000000000010000" + "00" * 65536),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.opcode.name,
)
def test_frame_on_the_wire_is_as_in_the_rfc(frame: Frame, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert frame.serialize(mask=False) == data
    assert parse(data + b"more") == (frame, b"more")


def test_frame_when_masked_is_as_in_the_rfc() -> None:
    frame = Frame(TEXT, b"Hello")
    data = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    key = bytes.fromhex("37 fa 21 3d")
    assert frame.serialize(mask=True, random=lambda size: key[:size]) == data
    assert parse(data, mask=True) == (frame, b"")


def test_frame_when_masked_twice_has_different_keys() -> None:
    frame = Frame(BINARY, bytes(16))
    assert len({frame.serialize(mask=True) for _ in range(20)}) > 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_serialize_takes_any_bytes_like_payload(kind: Any) -> None:
    frame = Frame(BINARY, kind(b"tea"))
    assert frame.serialize(mask=False) == b"\x82\x03tea"
    masked = frame.serialize(mask=True, random=lambda size: KEY)
    assert parse(masked, mask=True)[0] == Frame(BINARY, b"tea")


def test_serialize_when_the_memoryview_has_gaps_sends_what_it_shows() -> None:
    frame = Frame(BINARY, memoryview(b"t-e-a-")[::2])
    assert frame.serialize(mask=False) == b"\x82\x03tea"
    masked = frame.serialize(mask=True, random=lambda size: KEY)
    assert parse(masked, mask=True)[0].data == b"tea"


@given(
    st.sampled_from(Opcode),
    st.binary(max_size=125) | st.integers(0, 70000).map(bytes),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(min_value=0)),
)
def test_parse_when_cut_anywhere_gives_the_frame(
    opcode: Opcode, data: bytes, fin: bool, mask: bool, cuts: list[int]
) -> None:
    frame = Frame(opcode, data, fin)
    if opcode in CTRL_OPCODES:
        frame = Frame(opcode, data[:125])
    wire = frame.serialize(mask=mask)
    assert parse(wire + b"\x81", cuts, mask=mask) == (frame, b"\x81")


@given(st.binary(), st.booleans(), st.none() | st.integers(0, 100))
def test_parse_when_given_garbage_raises_only_what_is_documented(
    data: bytes, mask: bool, max_size: int | None
) -> None:
    try:
        frame, rest = parse(data, mask=mask, max_size=max_size)
    except (ProtocolError, PayloadTooBig, EOFError):
        return
    assert data.endswith(rest)
    if frame.opcode not in CTRL_OPCODES and max_size is not None:
        assert len(frame.data) <= max_size


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("83 00", "invalid opcode 0x3"),
        ("8f 00", "invalid opcode 0xf"),
        ("81 80 00000000", "frame is masked"),
        ("c1 00", "reserved bit"),
        ("a1 00", "reserved bit"),
        ("91 00", "reserved bit"),
        ("09 00", "PING frame is fragmented"),
        ("88 7e 007e", "CLOSE frame has more than 125 bytes"),
        ("8a 7f 0000000000010000", "PONG frame has more than 125 bytes"),
        ("82 7e 007d", "length 125 is encoded in 2 bytes"),
        ("82 7e 0000", "length 0 is encoded in 2 bytes"),
        ("82 7f 000000000000ffff", "length 65535 is encoded in 8 bytes"),
        ("82 7f 8000000000000000", "2\\*\\*63 - 1"),
    ],
)
def test_parse_when_the_frame_is_malformed_says_why(wire: str, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        parse(bytes.fromhex(wire))


def test_parse_when_a_client_does_not_mask_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not masked"):
        parse(b"\x81\x00", mask=True)


@pytest.mark.parametrize("wire", ["", "81", "81 01", "82 7e 01", "82 7f 00"])
def test_parse_when_the_stream_ends_within_the_frame_raises_eof_error(
    wire: str,
) -> None:
    with pytest.raises(EOFError):
        parse(bytes.fromhex(wire))


def test_parse_when_the_payload_is_as_large_as_allowed_accepts_it() -> None:
    assert parse(b"\x82\x04food", max_size=4)[0].data == b"food"


@pytest.mark.parametrize(
    ("wire", "size"),
    [("82 05", 5), ("82 7f 7fffffffffffffff", 2**63 - 1)],
)
def test_parse_when_the_payload_is_too_big_raises_before_reading_it(
    wire: str, size: int
) -> None:
    with pytest.raises(PayloadTooBig) as raised:
        parse(bytes.fromhex(wire), max_size=4)
    assert (raised.value.size, raised.value.max_size) == (size, 4)


def test_parse_when_a_control_frame_is_over_max_size_accepts_it() -> None:
    assert parse(b"\x89\x05Hello", max_size=4)[0] == Frame(PING, b"Hello")


class Reversing:
    """An extension that marks what it changed."""

    name = "x-reverse"

    def __init__(self, log: list[str], label: str) -> None:
        self.log = log
        self.label = label

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.log.append(f"decode {self.label} {max_size}")
        return dataclasses.replace(frame, data=bytes(frame.data)[::-1], rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        self.log.append(f"encode {self.label}")
        return dataclasses.replace(frame, data=bytes(frame.data)[::-1], rsv1=True)


def test_extensions_encode_in_order_and_decode_in_reverse() -> None:
    log: list[str] = []
    extensions: Any = [Reversing(log, "a"), Reversing(log, "b")]
    wire = Frame(TEXT, b"tea").serialize(mask=False, extensions=extensions)
    assert wire == b"\xc1\x03tea"
    frame, _ = parse(wire, extensions=extensions, max_size=9)
    assert frame == Frame(TEXT, b"tea")
    assert log == ["encode a", "encode b", "decode b 9", "decode a 9"]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(TEXT, b"", rsv1=True), "reserved bit"),
        (Frame(TEXT, b"", rsv2=True), "reserved bit"),
        (Frame(TEXT, b"", rsv3=True), "reserved bit"),
        (Frame(PING, bytes(126)), "PING frame has 126 bytes; allowed are 125"),
        (Frame(CLOSE, b"", fin=False), "CLOSE frame is fragmented"),
    ],
)
def test_serialize_when_the_frame_is_malformed_is_refused(
    frame: Frame, text: str
) -> None:
    with pytest.raises(ProtocolError, match=text):
        frame.serialize(mask=False)


# -- Close ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "close"),
    [
        (b"", Close(1005, "")),
        (b"\x03\xe8", Close(1000, "")),
        (b"\x03\xe8OK", Close(1000, "OK")),
        (b"\x0f\xa0\xc3\xa9", Close(4000, "é")),
    ],
)
def test_close_when_parsed_has_code_and_reason(data: bytes, close: Close) -> None:
    assert Close.parse(data) == close
    assert Close.parse(memoryview(data)) == close


VALID_CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("code", VALID_CODES)
def test_close_when_the_code_may_travel_is_built_and_parsed(code: int) -> None:
    close = Close(code, "why")
    assert Close.parse(close.serialize()) == close


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_close_when_the_code_must_not_travel_is_refused(code: int) -> None:
    with pytest.raises(ProtocolError, match=f"close code is {code}; allowed are"):
        Close(code, "").serialize()
    with pytest.raises(ProtocolError, match="close code"):
        Close.parse(code.to_bytes(2, "big"))


def test_close_when_the_payload_is_one_byte_is_refused() -> None:
    with pytest.raises(ProtocolError, match="1 byte"):
        Close.parse(b"\x03")


def test_close_when_the_reason_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        Close.parse(b"\x03\xe8\xff")


def test_close_when_the_reason_fills_the_frame_is_built() -> None:
    assert len(Close(1000, "é" * 61 + "a").serialize()) == 125


def test_close_when_the_reason_is_too_long_is_refused() -> None:
    with pytest.raises(ProtocolError, match="124 bytes; allowed are 123"):
        Close(1000, "é" * 62).serialize()


def test_close_when_the_reason_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(ProtocolError, match="cannot be encoded"):
        Close(1000, "\ud800").serialize()


@given(st.binary(max_size=125))
def test_close_when_given_garbage_raises_only_what_is_documented(data: bytes) -> None:
    try:
        close = Close.parse(data)
    except (ProtocolError, UnicodeDecodeError):
        return
    assert str(close).startswith(str(close.code))
    assert data in (b"", close.serialize() if data else b"")


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (Close(1000, ""), "1000 (OK)"),
        (Close(CloseCode.GOING_AWAY, "bye"), "1001 (going away) bye"),
        (Close(1006, ""), "1006 (abnormal closure [internal])"),
        (Close(3500, ""), "3500 (registered)"),
        (Close(4999, "x"), "4999 (private use) x"),
        (Close(1016, ""), "1016 (unknown)"),
        (Close(1000, "a\r\n\x1b[2J\x9b é"), "1000 (OK) a\\x0d\\x0a\\x1b[2J\\x9b é"),
    ],
)
def test_close_when_shown_explains_its_code(close: Close, text: str) -> None:
    assert str(close) == text


def test_close_codes_all_have_an_explanation() -> None:
    assert all(explain_close_code(code) != "unknown" for code in CloseCode)
    assert len(CloseCode) == 15


def test_code_sets_are_those_of_the_rfc() -> None:
    assert {*range(1000, 1004), *range(1007, 1015)} == EXTERNAL_CLOSE_CODES
    assert {1000, 1001, 1005} == OK_CLOSE_CODES


# -- Logs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(TEXT, b"hi"), "TEXT 'hi' [2 bytes]"),
        (Frame(TEXT, b"a"), "TEXT 'a' [1 byte]"),
        (Frame(TEXT, b""), "TEXT '' [0 bytes]"),
        (Frame(TEXT, b"\xff"), "TEXT '\ufffd' [1 byte]"),
        (Frame(TEXT, b"\x1b[2J\n"), "TEXT '\\x1b[2J\\n' [5 bytes]"),
        (
            Frame(TEXT, b"a" * 100),
            "TEXT '" + "a" * 47 + "..." + "a" * 23 + "' [100 bytes]",
        ),
        (Frame(CONT, b"ab", fin=False), "CONT 'ab' [text, 2 bytes, continued]"),
        (Frame(CONT, b"\xc3"), "CONT c3 [binary, 1 byte]"),
        (Frame(BINARY, b"\xfe\xff"), "BINARY fe ff [2 bytes]"),
        (Frame(BINARY, bytearray(b"tea")), "BINARY 'tea' [text, 3 bytes]"),
        (
            Frame(BINARY, b"\xff" * 100),
            "BINARY " + "ff " * 16 + "..." + " ff" * 8 + " [100 bytes]",
        ),
        (Frame(PING, b"\x91\xe3\xa7\x2c"), "PING 91 e3 a7 2c [binary, 4 bytes]"),
        (Frame(PONG, b""), "PONG [0 bytes]"),
        (Frame(CLOSE, b"\x03\xe8"), "CLOSE 1000 (OK) [2 bytes]"),
        (Frame(CLOSE, b"\x03\xe8\n"), "CLOSE 1000 (OK) \\x0a [3 bytes]"),
        (Frame(CLOSE, b"\x03"), "CLOSE 03 [binary, 1 byte]"),
        (Frame(CLOSE, b"\x03\xe8\xff"), "CLOSE 03 e8 ff [binary, 3 bytes]"),
    ],
)
def test_frame_when_shown_is_one_short_line(frame: Frame, text: str) -> None:
    assert str(frame) == text


def test_frame_when_shown_looks_at_the_ends_of_a_large_payload_only() -> None:
    payload = "é".encode() * 1_000_000
    shown = str(Frame(TEXT, payload))
    assert shown == "TEXT '" + "é" * 47 + "..." + "é" * 23 + "' [2000000 bytes]"


@given(st.sampled_from(Opcode), st.binary(max_size=300), st.sampled_from([1, 10]))
def test_frame_when_shown_is_printable_and_bounded(
    opcode: Opcode, data: bytes, times: int
) -> None:
    text = str(Frame(opcode, data * times))
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 150


@pytest.mark.parametrize("limit", [0, 1, 2, 10, 1000])
def test_frame_when_the_limit_is_another_is_shown_within_it(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "MAX_LOG_SIZE", limit)
    for payload in (b"a" * 5000, b"\xff" * 5000, "é".encode() * 5000):
        shown = str(Frame(BINARY, payload))
        assert len(shown) <= limit + len("BINARY ff ... ff [text, 10000 bytes]")


# -- Payloads ------------------------------------------------------------------


def test_prepare_data_chooses_the_opcode() -> None:
    assert prepare_data("café") == (TEXT, b"caf\xc3\xa9")
    data = bytearray(b"tea")
    assert prepare_data(data) == (BINARY, data)


def test_prepare_ctrl_copies_what_is_mutable() -> None:
    data = bytearray(b"tea")
    prepared = prepare_ctrl(data)
    data[:] = b"mug"
    assert prepared == b"tea"
    assert prepare_ctrl("café") == b"caf\xc3\xa9"


@pytest.mark.parametrize("prepare", [prepare_data, prepare_ctrl])
def test_prepare_when_the_type_is_wrong_is_refused(prepare: Any) -> None:
    with pytest.raises(TypeError, match="must be str or bytes-like, not int"):
        prepare(5)
