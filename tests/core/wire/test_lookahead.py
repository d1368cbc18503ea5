"""Pings among frames that wait to be parsed."""

from __future__ import annotations

import pytest

from fullduplex.core.wire.lookahead import last_ping

from ...kit.bytes import BINARY, PING, PONG, TEXT, frame

KEY = b"abcd"


@pytest.mark.parametrize("mask", [None, KEY])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_last_of_the_pings_behind_messages_of_all_sizes_is_found(
    mask: bytes | None, size: int
) -> None:
    data = b"".join(
        [
            frame(BINARY, bytes(size), mask=mask),
            frame(PING, b"first", mask=mask),
            frame(TEXT, "x", mask=mask),
            frame(PING, b"last", mask=mask),
            frame(PONG, b"no", mask=mask),
            frame(BINARY, bytes(size), mask=mask),
        ]
    )
    assert last_ping(data, mask is not None) == b"last"


def test_ping_without_payload_is_found() -> None:
    assert last_ping(frame(PING, b"", mask=KEY), True) == b""


def test_ping_that_is_not_whole_is_left_to_the_parser() -> None:
    data = frame(TEXT, "x", mask=KEY) + frame(PING, b"payload", mask=KEY)
    for cut in range(len(frame(TEXT, "x", mask=KEY)), len(data)):
        assert last_ping(data[:cut], True) is None


def test_frames_without_a_ping_have_none() -> None:
    assert last_ping(b"", False) is None
    assert last_ping(frame(TEXT, "x"), False) is None
    # Malformed frames are the parser's.
    assert last_ping(b"\x89\x7e\x00\xff" + bytes(255), False) is None
