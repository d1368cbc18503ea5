"""Which messages are compressed where the sender leaves it open."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.extensions.compression_policy import MISSES, PAUSE
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

TAIL = b"\x00\x00\xff\xff"
NOISE = [random.Random(seed).randbytes(200) for seed in range(MISSES + PAUSE)]
TEXT = b"the same again, and again the same " * 6


def make(takeover: bool = True, **kwds: Any) -> PerMessageDeflate:
    return PerMessageDeflate(not takeover, not takeover, 15, 12, **kwds)


def compressed(
    extension: PerMessageDeflate, data: bytes, compress: bool | None = None
) -> bool:
    return extension.compress_payload(data, True, True, compress)[0]


@pytest.mark.parametrize(
    ("takeover", "min_size", "size", "expected"),
    [
        (True, None, 1, True),
        (False, None, 63, False),
        (False, None, 64, True),
        (True, 100, 99, False),
        (True, 100, 100, True),
        (False, 0, 20, True),
    ],
)
def test_messages_below_min_size_go_out_as_they_are(
    takeover: bool, min_size: int | None, size: int, expected: bool
) -> None:
    assert compressed(make(takeover, min_size=min_size), b"a" * size) is expected


@pytest.mark.parametrize(
    "data", [b"aaaa", bytearray(b"aaaa"), memoryview(bytes(range(16))).cast("i")]
)
def test_size_is_counted_in_bytes(data: Any) -> None:
    size = memoryview(data).nbytes
    assert make(min_size=size).compress_payload(data, True, True, None)[0]
    assert not make(min_size=size + 1).compress_payload(data, True, True, None)[0]


def test_what_the_sender_asks_for_overrules_the_policy() -> None:
    extension = make(min_size=100)
    assert compressed(extension, b"a", compress=True)
    assert not compressed(extension, b"a" * 200, compress=False)


def test_messages_that_do_not_shrink_are_left_alone_for_a_while() -> None:
    extension = make()
    marks = [compressed(extension, data) for data in NOISE]
    assert marks == [True] * MISSES + [False] * PAUSE
    # One try, which fails, and another pause.
    assert [compressed(extension, NOISE[0][:100]) for _ in range(1)] == [True]


def test_a_try_that_fails_begins_another_pause() -> None:
    extension = make(takeover=False)
    for data in NOISE:
        compressed(extension, data)
    # It would get larger, so it goes out as it is even when it is tried.
    marks = [compressed(extension, data) for data in NOISE[: PAUSE + 1]]
    assert not any(marks)
    assert compressed(extension, TEXT)


def test_a_try_that_shrinks_ends_the_pauses() -> None:
    extension = make()
    for data in NOISE:
        compressed(extension, data)
    assert all(compressed(extension, TEXT) for _ in range(2 * MISSES))


def test_one_message_that_shrinks_starts_the_count_anew() -> None:
    extension = make()
    for data in NOISE[: MISSES - 1]:
        assert compressed(extension, data)
    assert compressed(extension, TEXT)
    for data in NOISE[MISSES : 2 * MISSES - 1]:
        assert compressed(extension, data)
    assert compressed(extension, TEXT)


def test_nothing_is_left_alone_when_adaptive_is_off() -> None:
    extension = make(adaptive=False)
    assert all(compressed(extension, data) for data in NOISE)


def test_fragments_count_as_one_message() -> None:
    extension = make(min_size=1000)
    for data in NOISE[:MISSES]:
        # Its size is not known at the first fragment.
        assert extension.compress_payload(data, True, False, None)[0]
        extension.compress_payload(b"", False, True, None)
    assert extension.compress_payload(NOISE[0], True, False, None) == (False, NOISE[0])
    assert extension.compress_payload(b"rest", False, True, None) == (False, b"rest")


def test_without_takeover_a_message_that_grows_goes_out_as_it_is() -> None:
    assert not compressed(make(takeover=False), NOISE[0])
    assert compressed(make(takeover=False), NOISE[0], compress=True)


@pytest.mark.parametrize(
    ("value", "kind"), [(-1, ValueError), ("1", TypeError), (True, TypeError)]
)
@pytest.mark.parametrize(
    "factory", [ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory]
)
def test_min_size_that_is_no_size_is_refused(
    factory: Any, value: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="min_size"):
        factory(min_size=value)


def test_factories_hand_the_policy_on() -> None:
    client = ClientPerMessageDeflateFactory(min_size=7, adaptive=False)
    server = ServerPerMessageDeflateFactory(min_size=8, adaptive=False)
    answer, ours = server.process_request_params(client.get_request_params(), [])
    theirs = client.process_response_params(answer, [])
    assert (theirs.policy.min_size, ours.policy.min_size) == (7, 8)
    assert all(compressed(ours, data) for data in NOISE)


@given(
    messages=st.lists(
        st.tuples(
            st.one_of(
                st.binary(max_size=100),
                st.sampled_from([TEXT, *NOISE[:4]]),
            ),
            st.sampled_from([None, None, None, True, False]),
            st.booleans(),
        ),
        max_size=120,
    ),
    takeover=st.booleans(),
    min_size=st.sampled_from([None, 0, 50]),
)
def test_a_peer_reads_every_message_whatever_is_compressed(
    messages: list[tuple[bytes, bool | None, bool]],
    takeover: bool,
    min_size: int | None,
) -> None:
    extension = make(takeover, min_size=min_size)
    inflate = zlib.decompressobj(-12)
    for message, compress, cut in messages:
        pieces = [message[:10], message[10:]] if cut else [message]
        rsv1 = False
        received = b""
        for index, piece in enumerate(pieces):
            first, fin = index == 0, index == len(pieces) - 1
            mark, data = extension.compress_payload(piece, first, fin, compress)
            rsv1 = mark or rsv1
            received += data
        if rsv1:
            if not takeover:
                inflate = zlib.decompressobj(-12)
            received = inflate.decompress(received + TAIL)
        assert received == message
