"""Messages in pieces."""

from __future__ import annotations

import pytest

from fullduplex.core.errors import TooManyFragments
from fullduplex.core.frames.messages import (
    Fragment,
    FragmentLimit,
    MessageAssembler,
    TextDecoder,
)


def test_fragment_shows_its_parts() -> None:
    assert Fragment("a", True) == Fragment(data="a", fin=True)
    assert Fragment("a", True) != Fragment("a", False)


def test_decoder_holds_a_split_character_back() -> None:
    decoder = TextDecoder()
    euro = "€".encode()

    assert decoder.decode(b"a" + euro[:1], False) == "a"
    assert decoder.decode(euro[1:2], False) == ""
    assert decoder.decode(euro[2:] + b"b", True) == "€b"


@pytest.mark.parametrize(
    ("pieces", "fin"), [([b"\xff"], False), ([b"a", b"\xe2\x82"], True)]
)
def test_decoder_refuses_what_is_not_utf8(pieces: list[bytes], fin: bool) -> None:
    decoder = TextDecoder()
    for piece in pieces[:-1]:
        decoder.decode(piece, False)
    with pytest.raises(UnicodeDecodeError):
        decoder.decode(pieces[-1], fin)


def test_decoder_starts_anew_after_the_last_fragment() -> None:
    decoder = TextDecoder()
    decoder.decode(b"a", True)
    assert decoder.decode("ü".encode(), True) == "ü"


def test_meter_accepts_4096_empty_frames_and_no_more() -> None:
    meter = FragmentLimit()
    for _ in range(4096):
        meter.count(0)
    with pytest.raises(TooManyFragments, match="more than 4,096 fragments") as info:
        meter.count(0)
    assert info.value.max_fragments == 4096


def test_meter_accepts_any_number_of_frames_that_carry_something() -> None:
    meter = FragmentLimit()
    for _ in range(100_000):
        meter.count(16)


def test_meter_refuses_frames_that_carry_too_little_on_average() -> None:
    meter = FragmentLimit()
    for _ in range(4096):
        meter.count(15)
    with pytest.raises(TooManyFragments):
        meter.count(15)


def test_meter_goes_by_the_mean_of_the_whole_message() -> None:
    meter = FragmentLimit()
    meter.count(16 * 10_000)
    for _ in range(9_999):
        meter.count(0)
    with pytest.raises(TooManyFragments):
        meter.count(0)


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (["a", "b", "c"], "abc"),
        ([b"a", b"", b"c"], b"ac"),
        ([""], ""),
        ([b""], b""),
        (["", "", ""], ""),
        (["", "a"], "a"),
        ([b"x"] * 5000, b"x" * 5000),
        (["ü"] * 1024, "ü" * 1024),
        ([""] * 5000, ""),
        ([b"x", *[b""] * 5000], b"x"),
    ],
)
def test_assembly_gives_the_whole_with_the_type_of_its_pieces(
    pieces: list[str | bytes], whole: str | bytes
) -> None:
    assembly = MessageAssembler()
    for piece in pieces:
        assembly.add(piece)
        assert assembly

    assert assembly.take() == whole
    assert not assembly


def test_assembly_is_empty_at_first() -> None:
    assert not MessageAssembler()


def test_assembly_starts_over_with_another_type() -> None:
    assembly = MessageAssembler()
    assembly.add("text")
    assembly.take()
    assembly.add(b"binary")
    assert assembly.take() == b"binary"
