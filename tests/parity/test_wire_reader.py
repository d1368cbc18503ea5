"""Bytes to messages and frames, on both bodies."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest

from ..kit.bytes import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, frame
from .bodies import Reading, Record, cut

FIN = 0x80
PROTOCOL = "ProtocolError"


def run(wire: ModuleType, *pieces: bytes, masked: bool = False, **kwds: Any) -> Record:
    return Reading(wire, masked=masked, **kwds).run(pieces)


# Messages


@pytest.mark.parametrize("mask", [None, MASK, b"\0\0\0\0"])
@pytest.mark.parametrize(
    "size", [0, 1, 5, 125, 126, 127, 4095, 4096, 65535, 65536, 70001]
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_whole_message_of_any_size_comes_out_as_it_went_in(
    wire: ModuleType, opcode: int, size: int, mask: bytes | None
) -> None:
    payload = bytes(i % 113 for i in range(size))

    record = run(wire, frame(opcode, payload, mask=mask), masked=mask is not None)

    assert record.events == [payload.decode() if opcode == TEXT else payload]
    assert record.error is None
    assert record.attributes["queued_bytes"] == size


def test_every_message_of_one_read_comes_out_in_order(wire: ModuleType) -> None:
    data = frame(TEXT, "a") + frame(BINARY, b"b") + frame(TEXT, "") + frame(TEXT, "ü")

    assert run(wire, data).events == ["a", b"b", "", "ü"]


def test_frames_that_are_no_whole_message_go_to_the_handler(wire: ModuleType) -> None:
    data = b"".join(
        [
            frame(PING, b"p"),
            frame(TEXT, "a", fin=False),
            frame(PONG, b""),
            frame(CONT, "b"),
            frame(BINARY, b"c"),
        ]
    )

    assert run(wire, data).events == [
        (FIN | PING, b"p"),
        (TEXT, b"a"),
        (FIN | PONG, b""),
        (FIN | CONT, b"b"),
        b"c",
    ]


def test_reader_that_is_not_whole_gives_everything_to_the_handler(
    wire: ModuleType,
) -> None:
    data = frame(TEXT, "a") + frame(BINARY, b"b" * 5000)

    record = run(wire, data, whole=False)

    assert record.events == [(FIN | TEXT, b"a"), (FIN | BINARY, b"b" * 5000)]
    assert record.attributes["queued_bytes"] == 0


def test_handler_that_says_so_stops_the_reader(wire: ModuleType) -> None:
    data = frame(TEXT, "a") + frame(CLOSE) + frame(TEXT, "b")

    record = run(wire, data, frame(TEXT, "c"))

    assert record.events == ["a", (FIN | CLOSE, b"")]
    assert record.attributes["stopped"]


def test_handler_that_raises_is_heard_by_the_caller(wire: ModuleType) -> None:
    def handler(head: int, payload: bytes) -> bool:
        raise ZeroDivisionError

    reader = wire.FrameReader(handler, [].append, masked=False)
    with pytest.raises(ZeroDivisionError):
        reader.feed(frame(PING))


# Pieces


@pytest.mark.parametrize("direct_view", [True, False])
@pytest.mark.parametrize("mask", [None, MASK])
def test_bytes_one_by_one_give_the_same_messages(
    wire: ModuleType, mask: bytes | None, direct_view: bool
) -> None:
    data = b"".join(
        [
            frame(TEXT, "smørrebrød", mask=mask),
            frame(BINARY, bytes(300), mask=mask),
            frame(TEXT, "a", fin=False, mask=mask),
            frame(PING, b"p", mask=mask),
            frame(CONT, "€", mask=mask),
            frame(BINARY, bytes(range(256)) * 17, mask=mask),
        ]
    )

    record = run(
        wire,
        *(data[i : i + 1] for i in range(len(data))),
        masked=mask is not None,
        direct_view=direct_view,
    )

    assert record.events == [
        "smørrebrød",
        bytes(300),
        (TEXT, b"a"),
        (FIN | PING, b"p"),
        (FIN | CONT, "€".encode()),
        bytes(range(256)) * 17,
    ]
    assert record.attributes["between_frames"]


def test_within_a_frame_the_reader_is_not_between_frames(wire: ModuleType) -> None:
    data = frame(BINARY, bytes(6000))
    for size in (1, 3, 10, 5000, len(data) - 1):
        reading = Reading(wire, masked=False)
        reading.write(data[:size])
        assert not reading.reader.between_frames, size
        reading.write(data[size:])
        assert reading.reader.between_frames


def test_direct_view_gives_the_memory_of_the_payload_itself(wire: ModuleType) -> None:
    reading = Reading(wire, masked=False)
    reading.write(frame(BINARY, bytes(20000))[:5004])

    assert len(reading.reader.get_buffer(-1)) == 15000


def test_without_direct_view_the_buffer_is_always_the_shared_one(
    wire: ModuleType,
) -> None:
    buffer = wire.ReadBuffer(16384)
    reading = Reading(wire, masked=False, buffer=buffer, direct_view=False)
    reading.write(frame(BINARY, bytes(50000))[:5000])

    assert len(reading.reader.get_buffer(-1)) == 16384


def test_buffer_may_serve_another_reader_between_reads(wire: ModuleType) -> None:
    buffer = wire.ReadBuffer(16384)
    one = Reading(wire, masked=True, buffer=buffer)
    two = Reading(wire, masked=True, buffer=buffer)
    first = frame(BINARY, b"first" * 100, mask=MASK)
    second = frame(BINARY, b"other" * 1200, mask=MASK)

    for i in range(0, len(second), 7):
        one.write(first[i : i + 7])
        two.write(second[i : i + 7])

    assert one.record.events == [b"first" * 100]
    assert two.record.events == [b"other" * 1200]


def test_read_buffer_below_its_least_size_is_refused(wire: ModuleType) -> None:
    with pytest.raises(ValueError, match="size is 16383 bytes"):
        wire.ReadBuffer(16383)


def test_payload_grows_with_what_arrives_and_not_with_what_is_announced(
    wire: ModuleType,
) -> None:
    reading = Reading(wire, masked=False)
    reading.write(frame(BINARY, b"", length=2**40))

    assert len(reading.reader.get_buffer(-1)) <= 2**22


def test_payload_larger_than_the_first_step_is_whole(wire: ModuleType) -> None:
    payload = bytes(range(251)) * 40000

    assert run(wire, frame(BINARY, payload, mask=MASK), masked=True).events == [payload]


@pytest.mark.parametrize(
    "data",
    [bytearray(frame(TEXT, "a")), memoryview(frame(TEXT, "a")), frame(TEXT, "a")],
)
def test_feed_takes_anything_like_bytes(wire: ModuleType, data: bytes) -> None:
    reading = Reading(wire, masked=False)
    reading.run([data], feed=True)
    assert reading.record.events == ["a"]


# What one frame shows


@pytest.mark.parametrize(
    ("data", "text"),
    [
        *((frame(op), f"invalid opcode: 0x{op:X}") for op in (3, 4, 5, 6, 7)),
        *((frame(op), f"invalid opcode: 0x{op:X}") for op in (11, 12, 13, 14, 15)),
        *((frame(TEXT, rsv=rsv), "reserved bits must be 0") for rsv in range(1, 8)),
        *((frame(PING, rsv=rsv), "reserved bits must be 0") for rsv in range(1, 8)),
        (frame(PING, fin=False), "fragmented control frame"),
        (frame(CLOSE, fin=False), "fragmented control frame"),
        (frame(PING, bytes(126)), "control frame announces 126 bytes; 125 are allowed"),
        (
            frame(PONG, length=2**62),
            f"control frame announces {2**62} bytes; 125 are allowed",
        ),
        (frame(CONT, b"x"), "unexpected continuation frame"),
        (
            frame(TEXT, "a", fin=False) + frame(TEXT, "b"),
            "expected a continuation frame",
        ),
        (
            frame(BINARY, b"a", fin=False) + frame(BINARY, b"b", fin=False),
            "expected a continuation frame",
        ),
        (
            frame(TEXT, "a", fin=False) + frame(CONT, "b") + frame(CONT, "c"),
            "unexpected continuation frame",
        ),
        (frame(TEXT, "a", mask=MASK), "incorrect masking"),
        (frame(PING, mask=MASK), "incorrect masking"),
        (frame(TEXT, "a", width=2), "length 1 is not in its shortest form"),
        (frame(TEXT, bytes(125), width=2), "length 125 is not in its shortest form"),
        (frame(BINARY, bytes(126), width=8), "length 126 is not in its shortest form"),
        (
            frame(BINARY, length=65535, width=8),
            "length 65535 is not in its shortest form",
        ),
        (frame(BINARY, width=8), "length 0 is not in its shortest form"),
        (
            frame(BINARY, length=2**63),
            "the most significant bit of a 64-bit length must be 0",
        ),
        (
            frame(BINARY, length=2**64 - 1),
            "the most significant bit of a 64-bit length must be 0",
        ),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_malformed_frame_is_refused_after_what_came_before_it(
    wire: ModuleType, data: bytes, text: str, bytewise: bool
) -> None:
    data = frame(BINARY, b"intact") + data
    pieces = [data[i : i + 1] for i in range(len(data))] if bytewise else [data]

    record = run(wire, *pieces, frame(TEXT, "after"))

    assert record.events[0] == b"intact"
    assert "after" not in record.events
    assert record.error == (PROTOCOL, text)
    assert record.attributes["stopped"]


def test_server_refuses_a_frame_that_is_not_masked(wire: ModuleType) -> None:
    record = run(wire, frame(TEXT, "a"), masked=True)
    assert record.error == (PROTOCOL, "incorrect masking")


def test_shortest_forms_at_the_borders_are_accepted(wire: ModuleType) -> None:
    for size in (125, 126, 65535, 65536):
        assert run(wire, frame(BINARY, bytes(size))).events == [bytes(size)]


def test_control_frame_of_125_bytes_is_accepted(wire: ModuleType) -> None:
    assert run(wire, frame(PING, bytes(125))).events == [(FIN | PING, bytes(125))]


def test_reserved_bit_that_is_claimed_is_accepted_on_the_first_frame(
    wire: ModuleType,
) -> None:
    data = frame(TEXT, b"\xff", fin=False, rsv=4) + frame(CONT, b"\xfe")

    record = run(wire, data, rsv=0x40)

    # What is compressed is not text yet.
    assert record.events == [(0x41, b"\xff"), (FIN | CONT, b"\xfe")]


def test_reserved_bit_that_is_claimed_is_refused_elsewhere(wire: ModuleType) -> None:
    for data in (
        frame(BINARY, rsv=2),
        frame(PING, rsv=4),
        frame(BINARY, fin=False, rsv=4) + frame(CONT, rsv=4),
    ):
        record = run(wire, data, rsv=0x40)
        assert record.error is not None
        assert record.error[0] == PROTOCOL
        assert record.error[1].startswith("reserved bits must be 0")


# Text


BAD = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"
BAD_AT = 12  # of BAD: the second byte of a surrogate


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("direct_view", [True, False])
def test_invalid_text_is_refused_at_its_first_bad_byte(
    wire: ModuleType, direct_view: bool, mask: bytes | None, fin: bool
) -> None:
    data = frame(TEXT, BAD, fin=fin, mask=mask)
    header = len(data) - len(BAD)
    reading = Reading(wire, masked=mask is not None, direct_view=direct_view)

    reading.write(data[: header + BAD_AT])
    for i in range(header + BAD_AT):
        assert not reading.reader.stopped, i
    with pytest.raises(UnicodeDecodeError):
        reading.write(data[header + BAD_AT : header + BAD_AT + 1])

    assert reading.reader.stopped
    assert reading.record.events == []


@pytest.mark.parametrize("bad_at", [0, 1, 4095, 4096, 5000, 9999])
def test_invalid_text_in_a_large_frame_is_refused_while_it_still_arrives(
    wire: ModuleType, bad_at: int
) -> None:
    payload = bytearray(b"x" * 10000)
    payload[bad_at] = 0xFF
    data = frame(TEXT, bytes(payload), mask=MASK)
    reading = Reading(wire, masked=True)

    reading.write(data[: 8 + bad_at])
    with pytest.raises(UnicodeDecodeError):
        reading.write(data[8 + bad_at : 9 + bad_at])


def test_invalid_text_in_a_fragment_is_refused_with_the_fragment(
    wire: ModuleType,
) -> None:
    data = frame(TEXT, "ok", fin=False) + frame(CONT, b"\xf4\x90", fin=False)

    record = run(wire, data)

    assert record.events == [(TEXT, b"ok")]
    assert record.error is not None
    assert record.error[0] == "UnicodeDecodeError"


def test_character_split_between_fragments_is_accepted(wire: ModuleType) -> None:
    euro = "€".encode()
    data = b"".join(
        [
            frame(TEXT, euro[:1], fin=False),
            frame(CONT, euro[1:2], fin=False),
            frame(PING),
            frame(CONT, b"", fin=False),
            frame(CONT, euro[2:]),
        ]
    )

    assert run(wire, data).error is None


@pytest.mark.parametrize("size", [3, 5000])
def test_text_that_ends_within_a_character_is_refused(
    wire: ModuleType, size: int
) -> None:
    payload = b"x" * size + b"\xe2\x82"
    for data in (
        frame(TEXT, payload),
        frame(TEXT, payload, fin=False) + frame(CONT),
        frame(TEXT, "", fin=False) + frame(CONT, payload),
    ):
        for pieces in ([data], [data[:-1], data[-1:]], [data[:1], data[1:]]):
            record = run(wire, *pieces)
            assert record.error is not None
            assert record.error[0] == "UnicodeDecodeError"


def test_binary_is_not_checked_as_text(wire: ModuleType) -> None:
    data = frame(BINARY, b"\xff", fin=False) + frame(CONT, b"\xc3")
    assert run(wire, data, frame(BINARY, b"\xff" * 5000)).error is None


def test_text_after_text_that_was_binary_in_between_starts_afresh(
    wire: ModuleType,
) -> None:
    data = b"".join(
        [
            frame(TEXT, "ü", fin=False),
            frame(CONT, "ü"),
            frame(BINARY, b"\xc3", fin=False),
            frame(CONT, b"\xc3"),
            frame(TEXT, "ü"),
        ]
    )
    assert run(wire, data).events[-1] == "ü"


# After an error


@pytest.mark.parametrize("direct_view", [True, False])
@pytest.mark.parametrize("size", [1, 100, 5000])
def test_after_an_error_there_is_still_room_to_read_into(
    wire: ModuleType, size: int, direct_view: bool
) -> None:
    # The transport goes on reading while the connection closes; an empty buffer
    # would be an error to it.
    reading = Reading(wire, masked=False, direct_view=direct_view)
    data = frame(TEXT, b"x" * (size - 1) + b"\xff")

    record = reading.run([data[:-1], data[-1:], bytes(100000)])

    assert record.error is not None
    assert len(reading.reader.get_buffer(-1)) > 1000


def test_after_the_owner_stopped_it_the_reader_drops_everything(
    wire: ModuleType,
) -> None:
    reading = Reading(wire, masked=False)
    data = frame(BINARY, bytes(6000))
    reading.write(data[:5000])
    reading.reader.stopped = True

    reading.write(data[5000:] + frame(TEXT, "a"))

    assert reading.record.events == []


def test_what_came_in_is_counted(wire: ModuleType) -> None:
    data = (
        frame(TEXT, "é")
        + frame(PING, b"ping")
        + frame(BINARY, bytes(5000))
        + frame(TEXT, "abc", fin=False)
        + frame(CONT, "de")
    )
    reading = Reading(wire, masked=False)
    reading.run(cut(data, [3, 1000, 5020]))

    reader = reading.reader
    assert (reader.count, reader.payload) == (3, 2 + 5000 + 5)
    assert reader.total == len(data)


@pytest.mark.parametrize("begun", [b"", b"\x82", frame(BINARY, bytes(9000))[:5000]])
@pytest.mark.parametrize("more", [-1, 1, 2**40])
def test_reader_refuses_more_bytes_than_it_had_room_for(
    wire: ModuleType, begun: bytes, more: int
) -> None:
    reading = Reading(wire, masked=False)
    if begun:
        reading.write(begun)
    room = len(reading.reader.get_buffer(-1))
    with pytest.raises(ValueError, match=f"had room for {room}"):
        reading.reader.received(-1 if more < 0 else room + more)
    assert reading.record.events == []
    reading.write(frame(BINARY, bytes(9000))[len(begun) :])
    assert reading.record.events in ([], [bytes(9000)])


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the system tells no memory in use"
)
@pytest.mark.parametrize("announced", [2**20, 2**30])
def test_header_makes_no_memory_resident_for_what_it_announces(
    wire: ModuleType, announced: int
) -> None:
    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    header = b"\x82\xff" + announced.to_bytes(8, "big") + b"mask"
    buffer = wire.ReadBuffer()
    readers = [Reading(wire, masked=True, buffer=buffer).reader for _ in range(100)]
    before = resident()
    for reader in readers:
        reader.feed(header)
    assert resident() - before < 100 * 2**17
