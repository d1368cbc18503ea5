"""Masking and the UTF-8 check, on both bodies."""

from __future__ import annotations

import array
import itertools
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..kit.bytes import xor
from .bodies import NAMES, body

SIZES = [*range(70), 127, 128, 255, 256, 1000, 4095, 4096, 65537]


@pytest.mark.parametrize("size", SIZES)
def test_apply_mask_of_any_size_xors_every_byte(kernels: ModuleType, size: int) -> None:
    data = bytes(i * 7 & 0xFF for i in range(size))
    assert kernels.apply_mask(data, b"\x01\x80\xff\x10") == xor(
        data, b"\x01\x80\xff\x10"
    )


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_apply_mask_twice_gives_back_the_data(data: bytes, mask: bytes) -> None:
    for name in NAMES:
        apply_mask = body("kernels._kernels", name).apply_mask
        masked = apply_mask(data, mask)
        assert masked == xor(data, mask)
        assert apply_mask(masked, mask) == data


@pytest.mark.parametrize(
    "data",
    [
        b"abcdef",
        bytearray(b"abcdef"),
        memoryview(b"abcdef"),
        memoryview(b"a-b-c-d-e-f-")[::2],
        memoryview(bytearray(b"fedcba"))[::-1],
        memoryview(array.array("H", b"abcdef")),
    ],
)
def test_apply_mask_takes_anything_like_bytes(
    kernels: ModuleType, data: object
) -> None:
    masked = kernels.apply_mask(data, b"\x01\x02\x03\x04")
    assert type(masked) is bytes
    assert masked == xor(b"abcdef", b"\x01\x02\x03\x04")


@pytest.mark.parametrize(
    "mask",
    [
        bytearray(b"\x01\x02\x03\x04"),
        memoryview(b"\x01\x02\x03\x04"),
        memoryview(b"\x01-\x02-\x03-\x04-")[::2],
    ],
)
def test_apply_mask_takes_any_mask_like_bytes(
    kernels: ModuleType, mask: object
) -> None:
    assert kernels.apply_mask(b"abcdef", mask) == xor(b"abcdef", b"\x01\x02\x03\x04")


@pytest.mark.parametrize(
    "mask", [b"", b"\x01", b"\x01\x02\x03", b"\x01\x02\x03\x04\x05"]
)
def test_apply_mask_with_a_mask_of_another_size_is_refused(
    kernels: ModuleType, mask: bytes
) -> None:
    with pytest.raises(ValueError, match=f"mask has {len(mask)} bytes"):
        kernels.apply_mask(b"data", mask)


@pytest.mark.parametrize(
    ("data", "mask"),
    [
        ("data", b"\0\0\0\0"),
        (b"data", "mask"),
        (3, b"\0\0\0\0"),
        (None, b"\0\0\0\0"),
        ([1, 2], b"\0\0\0\0"),
        (b"data", 4),
        (b"data", [1, 2, 3, 4]),
    ],
)
def test_apply_mask_of_anything_else_is_a_type_error(
    kernels: ModuleType, data: object, mask: object
) -> None:
    with pytest.raises(TypeError):
        kernels.apply_mask(data, mask)


# First byte that no continuation could make valid, or None (RFC 3629).
UTF8 = [
    (b"", None),
    (b"plain", None),
    ("κόσμε €𝄞".encode(), None),
    ("\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(), None),
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\xc0\xaf", 0),  # overlong
    (b"\xc1\xbf", 0),
    (b"\xc2\x41", 1),
    (b"\xc2\xc2", 1),
    (b"\xe0\x80\x80", 1),  # overlong
    (b"\xe0\x9f\xbf", 1),
    (b"\xed\xa0\x80", 1),  # a surrogate
    (b"\xed\xbf\xbf", 1),
    (b"\xe2\x82\x28", 2),
    (b"\xe2\x28\xa1", 1),
    (b"\xf0\x80\x80\x80", 1),  # overlong
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf4\x90\x80\x80", 1),  # above U+10FFFF
    (b"\xf1\x80\x80\x41", 3),
    (b"\xf5\x80\x80\x80", 0),
    (b"\xff", 0),
    (b"\xfe\xfe\xff\xff", 0),
    (b"a" * 40 + b"\xff" + b"a" * 40, 40),
    ("€".encode() * 30 + b"\x80", 90),
]


@pytest.mark.parametrize(("data", "error"), UTF8)
def test_utf8_check_fed_byte_by_byte_finds_the_first_impossible_byte(
    kernels: ModuleType, data: bytes, error: int | None
) -> None:
    check = kernels.Utf8Validator()
    found = None
    for i in range(len(data)):
        if not check.feed(data[i : i + 1]):
            found = i
            break

    assert found == error
    if error is None:
        assert check.complete


@pytest.mark.parametrize(("data", "error"), UTF8)
def test_utf8_check_fed_at_once_gives_the_same_verdict(
    kernels: ModuleType, data: bytes, error: int | None
) -> None:
    assert kernels.Utf8Validator().feed(data) == (error is None)


@pytest.mark.parametrize(
    "start",
    [b"\xc2", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98", b"a\xc2"],
)
def test_utf8_check_within_a_character_is_not_complete(
    kernels: ModuleType, start: bytes
) -> None:
    check = kernels.Utf8Validator()
    assert check.feed(start)
    assert not check.complete


def test_utf8_check_of_nothing_changes_nothing(kernels: ModuleType) -> None:
    check = kernels.Utf8Validator()
    assert check.complete
    assert check.feed(b"\xe2")
    assert check.feed(b"")
    assert not check.complete
    assert check.feed(bytearray(b"\x82\xac"))
    assert check.complete


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.tuples(st.text(max_size=40).map(str.encode), st.binary(max_size=3)).map(
            b"".join
        ),
    ),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_utf8_check_in_pieces_agrees_with_the_decoder(
    data: bytes, places: list[int]
) -> None:
    edges = [0, *sorted(places), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    # Pieces overlap or fall short when a place lies behind the end; join them.
    data = b"".join(pieces)
    try:
        data.decode()
        whole = True
    except UnicodeDecodeError:
        whole = False
    for name in NAMES:
        check = body("kernels._kernels", name).Utf8Validator()
        accepted = True
        for piece in pieces:
            accepted = accepted and check.feed(piece)
        assert (accepted and check.complete) == whole
