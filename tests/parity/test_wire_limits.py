"""Limits of size, on both bodies: exact, and before anything is kept."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ..kit.bytes import BINARY, CONT, PING, TEXT, frame
from .bodies import Reading, Record

POWERS = [2**7, 2**16, 2**31, 2**32, 2**63 - 1]
FIN = 0x80


def run(wire: ModuleType, *pieces: bytes, **kwds: Any) -> Record:
    return Reading(wire, masked=False, **kwds).run(pieces)


def too_big(size: int, max_size: int, used: int = 0) -> tuple[str, str]:
    after = f" after {used:,} already received" if used else ""
    return (
        "PayloadTooBig",
        f"frame has {size:,} bytes{after}; max_size is {max_size:,} bytes",
    )


@pytest.mark.parametrize("limit", [0, 1, 2**7, 2**16])
def test_message_of_exactly_max_size_passes(wire: ModuleType, limit: int) -> None:
    record = run(wire, frame(BINARY, bytes(limit)), max_size=limit)
    assert record.events == [bytes(limit)]


@pytest.mark.parametrize("limit", [0, 1, *POWERS[:4]])
def test_header_that_announces_one_byte_more_is_refused_at_once(
    wire: ModuleType, limit: int
) -> None:
    record = run(wire, frame(BINARY, length=limit + 1), max_size=limit)

    assert record.error == too_big(limit + 1, limit)


@pytest.mark.parametrize("limit", POWERS[2:])
def test_header_that_announces_max_size_is_accepted_however_large(
    wire: ModuleType, limit: int
) -> None:
    record = run(wire, frame(BINARY, b"x", length=limit), max_size=limit)

    assert record.error is None
    assert not record.attributes["between_frames"]


@pytest.mark.parametrize("length", [2**31, 2**32, 2**32 + 5, 2**63 - 1])
@pytest.mark.parametrize("limit", [0, 5, 2**20])
def test_huge_length_is_compared_before_it_is_narrowed(
    wire: ModuleType, length: int, limit: int
) -> None:
    record = run(wire, frame(TEXT, length=length), max_size=limit)
    assert record.error == too_big(length, limit)


@pytest.mark.parametrize("length", [*POWERS[2:], 2**63 - 2, 0x7FFFFFFFFFFFF001])
def test_without_a_limit_any_length_is_begun(wire: ModuleType, length: int) -> None:
    record = run(wire, frame(BINARY, b"x", length=length), max_size=None)
    assert record.error is None


@pytest.mark.parametrize("limit", [2**63, 2**64 - 1, 2**64, 2**70])
def test_limit_above_every_length_is_no_limit(wire: ModuleType, limit: int) -> None:
    record = run(
        wire, frame(BINARY, b"x", length=2**63 - 1), max_size=limit, max_fragment=limit
    )
    assert record.error is None


def test_limit_is_readable_and_may_change(wire: ModuleType) -> None:
    reading = Reading(wire, masked=False, max_size=2**20, max_fragment=10)
    assert reading.reader.max_size == 2**20
    assert reading.reader.max_fragment == 10
    reading.reader.max_size = 3
    reading.reader.max_fragment = None

    assert reading.run([frame(BINARY, b"abcd")]).error == too_big(4, 3)


# Messages in fragments


def test_fragments_of_exactly_max_size_pass(wire: ModuleType) -> None:
    data = frame(BINARY, b"abc", fin=False) + frame(CONT, b"de")

    record = run(wire, data, max_size=5)

    assert record.events == [(BINARY, b"abc"), (FIN, b"de")]


@pytest.mark.parametrize("length", [3, 125, 2**16, 2**31, 2**63 - 1])
def test_fragment_over_the_rest_of_the_budget_is_refused(
    wire: ModuleType, length: int
) -> None:
    data = frame(BINARY, b"abc", fin=False) + frame(CONT, length=length)

    record = run(wire, data, max_size=5)

    assert record.events == [(BINARY, b"abc")]
    assert record.error == too_big(length, 5, 3)


def test_budget_used_up_exactly_refuses_the_next_byte(wire: ModuleType) -> None:
    data = frame(TEXT, b"abcde", fin=False) + frame(CONT, b"f")

    assert run(wire, data, max_size=5).error == too_big(1, 5, 5)


def test_budget_used_up_exactly_lets_an_empty_fragment_pass(wire: ModuleType) -> None:
    data = frame(TEXT, b"abcde", fin=False) + frame(CONT, fin=False) + frame(CONT)
    assert run(wire, data, max_size=5).error is None


def test_max_size_of_zero_is_a_limit(wire: ModuleType) -> None:
    assert run(wire, frame(TEXT), max_size=0).events == [""]
    assert run(wire, frame(TEXT, "a"), max_size=0).error == too_big(1, 0)
    data = frame(TEXT, fin=False) + frame(CONT, b"a")
    assert run(wire, data, max_size=0).error == too_big(1, 0)


def test_budget_starts_anew_with_each_message(wire: ModuleType) -> None:
    data = frame(BINARY, b"abc", fin=False) + frame(CONT, b"de")

    record = run(wire, data, frame(BINARY, b"fghij"), data, max_size=5)

    assert record.error is None
    assert b"fghij" in record.events


def test_control_frames_are_exempt(wire: ModuleType) -> None:
    data = frame(BINARY, b"abc", fin=False) + frame(PING, bytes(125)) + frame(CONT)

    assert run(wire, data, max_size=3, max_fragment=3).error is None


# Frames


def test_fragment_of_exactly_max_fragment_passes(wire: ModuleType) -> None:
    data = frame(BINARY, bytes(10), fin=False) + frame(CONT, bytes(10))
    assert run(wire, data, max_size=100, max_fragment=10).error is None


@pytest.mark.parametrize("length", [11, 126, 2**16, 2**31, 2**32, 2**63 - 1])
@pytest.mark.parametrize("max_size", [None, 5, 2**40])
def test_frame_over_max_fragment_is_refused(
    wire: ModuleType, length: int, max_size: int | None
) -> None:
    for data in (
        frame(BINARY, length=length),
        frame(BINARY, b"", fin=False) + frame(CONT, length=length),
    ):
        record = run(wire, data, max_size=max_size, max_fragment=10)
        assert record.error == too_big(length, 10)


# Compressed frames


def test_compressed_frame_may_be_a_little_larger_on_the_wire(wire: ModuleType) -> None:
    limit = 4096
    slack = (limit >> 10) + 64

    fits = frame(BINARY, bytes(limit + slack), rsv=4)
    assert run(wire, fits, rsv=0x40, max_size=limit).error is None
    over = frame(BINARY, rsv=4, length=limit + slack + 1)
    assert run(wire, over, rsv=0x40, max_size=limit).error == too_big(
        limit + slack + 1, limit
    )


def test_size_that_the_owner_has_counted_shrinks_the_budget(wire: ModuleType) -> None:
    reading = Reading(wire, masked=False, rsv=0x40, max_size=1000)
    reading.write(frame(BINARY, b"x", fin=False, rsv=4))
    assert reading.reader.message_size == 0
    reading.reader.message_size = 2000  # what it inflated to

    record = reading.run([frame(CONT, bytes(65))])

    assert record.error == too_big(65, 1000, 2000)


def test_uncompressed_message_after_a_compressed_one_has_the_exact_limit(
    wire: ModuleType,
) -> None:
    data = frame(BINARY, bytes(20), rsv=4) + frame(BINARY, bytes(11))

    assert run(wire, data, rsv=0x40, max_size=10).error == too_big(11, 10)
