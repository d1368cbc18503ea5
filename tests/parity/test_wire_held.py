"""Bytes that a reader holds behind the marks of its queue, on both bodies."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.extensions.deflate import PerMessageDeflate

from ..kit.bytes import BINARY, CLOSE, CONT, PING, TEXT, frame
from .bodies import NAMES, body, cut

Frames = list[tuple[int, bytes]]


def reader_of(
    wire: ModuleType, messages: int | None, size: int | None = None, **kwds: Any
) -> tuple[Any, Any, Frames]:
    """Return a reader with marks, its queue, and the frames that are no messages."""
    inbox, frames = wire.MessageQueue(), []

    def handler(head: int, payload: bytes) -> bool:
        frames.append((head, payload))
        return head & 0x0F == CLOSE

    reader = wire.FrameReader(handler, inbox, masked=False, **kwds)
    reader.hold_above(messages, size)
    return reader, inbox, frames


def test_reader_without_marks_holds_nothing(wire: ModuleType) -> None:
    reader, inbox, _ = reader_of(wire, None)
    reader.feed(frame(TEXT, "a") * 5000)
    assert len(inbox) == 5000
    assert (reader.holding, reader.held, reader.full) == (False, 0, False)


def test_reader_stops_behind_one_message_above_the_mark(wire: ModuleType) -> None:
    reader, inbox, frames = reader_of(wire, 2)
    reader.feed(frame(TEXT, "a") * 3 + frame(PING, b"p") + frame(TEXT, "b"))

    assert list(inbox) == ["a"] * 3
    assert (reader.holding, reader.held, reader.full) == (True, 6, True)
    assert frames == []
    assert not reader.between_frames


def test_reader_that_is_at_its_mark_goes_on(wire: ModuleType) -> None:
    reader, inbox, _ = reader_of(wire, 3)
    reader.feed(frame(TEXT, "a") * 3)
    assert (reader.holding, reader.full) == (False, False)
    reader.feed(frame(TEXT, "b"))
    assert (len(inbox), reader.holding, reader.full) == (4, False, True)


def test_proceed_parses_up_to_the_mark_again(wire: ModuleType) -> None:
    reader, inbox, frames = reader_of(wire, 1)
    reader.feed(frame(TEXT, "a") * 2 + frame(PING, b"p") + frame(TEXT, "b") * 3)
    reader.proceed()
    assert (len(inbox), frames) == (2, [])

    inbox.popleft()
    reader.proceed()

    assert (list(inbox), frames) == (["a", "b"], [(0x89, b"p")])
    for left in (1, 0):
        inbox.popleft()
        reader.proceed()
        assert reader.held == 3 * left
    assert not reader.holding
    assert reader.between_frames


def test_what_is_read_while_bytes_are_held_stands_behind_them(wire: ModuleType) -> None:
    reader, inbox, _ = reader_of(wire, 0)
    data = b"".join(frame(TEXT, str(number)) for number in range(9))
    for byte in data:
        reader.feed(bytes([byte]))
    assert reader.held == len(data) - 3

    received = []
    while inbox:
        received.append(inbox.popleft())
        reader.proceed()

    assert received == [str(number) for number in range(9)]


@pytest.mark.parametrize("size", [1, 3, 4096, 100_000])
def test_frame_that_is_cut_waits_as_usual_once_nothing_is_held(
    wire: ModuleType, size: int
) -> None:
    reader, inbox, _ = reader_of(wire, 0)
    whole = frame(BINARY, bytes(size))
    reader.feed(frame(TEXT, "a") + whole[:-1])
    assert reader.held == len(whole) - 1

    inbox.popleft()
    reader.proceed()
    assert (reader.holding, reader.between_frames) == (False, False)
    reader.feed(whole[-1:])

    assert inbox.popleft() == bytes(size)


def test_bytes_above_their_mark_stop_the_reader_too(wire: ModuleType) -> None:
    reader, inbox, _ = reader_of(wire, 100, 1000)
    reader.feed(frame(BINARY, bytes(400)) * 5)
    assert (len(inbox), reader.full) == (3, True)

    # What was taken does not count any more.
    inbox.popleft()
    inbox.popleft()
    assert not reader.full
    reader.proceed()
    assert (len(inbox), reader.holding) == (3, False)


def test_inbox_knows_its_size(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    assert inbox.size() == 0
    for item in ("é𝄞", b"abc", Part("xy"), Part(b"")):
        inbox.append(item)
    assert inbox.size() == 7


class Part:
    """The stand-in for a fragment."""

    def __init__(self, data: str | bytes) -> None:
        self.data = data


def test_compressed_messages_stop_at_the_mark_as_well(wire: ModuleType) -> None:
    reader, inbox, _ = reader_of(wire, 100, 2**20, max_size=2**20)
    reader.deflate = PerMessageDeflate(False, False, 15, 15)
    reader.allowed_rsv = 0x40
    deflate = PerMessageDeflate(False, False, 15, 15)
    for _ in range(10):
        data = deflate.deflate(bytes(2**20), fin=True)
        reader.feed(frame(BINARY, data, rsv=4))
    assert (len(inbox), reader.queued_bytes) == (2, 2**21)
    assert reader.holding


@pytest.mark.parametrize("end", ["end", "fault", "close"])
def test_reader_that_has_stopped_holds_nothing(wire: ModuleType, end: str) -> None:
    reader, inbox, _ = reader_of(wire, 0)
    behind = {"end": b"", "fault": b"\x83\0", "close": frame(CLOSE)}[end]
    reader.feed(frame(TEXT, "a") + behind + frame(TEXT, "b"))
    assert reader.holding
    inbox.popleft()

    if end == "end":
        reader.end()
    else:
        try:
            reader.proceed()
        except Exception:
            assert end == "fault"
        assert reader.stopped

    reader.proceed()
    assert (reader.holding, reader.held, len(inbox)) == (False, 0, 0)


def test_handler_that_raises_ends_reading_in_what_is_held(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()

    def handler(head: int, payload: bytes) -> bool:
        raise KeyboardInterrupt

    reader = wire.FrameReader(handler, inbox, masked=False)
    reader.hold_above(0, None)
    reader.feed(frame(TEXT, "a") + frame(PING) + frame(TEXT, "b"))
    inbox.popleft()
    with pytest.raises(KeyboardInterrupt):
        reader.proceed()
    assert (reader.stopped, reader.holding) == (True, False)


def test_split_hears_control_frames_at_once_and_messages_later(
    wire: ModuleType,
) -> None:
    reader, inbox, frames = reader_of(wire, 0)
    reader.feed(frame(TEXT, "a") + frame(TEXT, "b", fin=False))
    inbox.popleft()
    reader.proceed()
    assert frames.pop() == (TEXT, b"b")
    inbox.append("unread")
    reader.feed(frame(CONT, "c") + frame(TEXT, "d") + frame(PING, b"p") + b"\x81\x02x")
    kept: Frames = []

    def keep(head: int, payload: bytes) -> bool:
        kept.append((head, payload))
        return False

    other = reader.split(keep)
    reader.proceed()

    # Data frames go to the handler, which drops them.
    assert frames == [(0x80, b"c"), (0x81, b"d"), (0x89, b"p")]
    assert (list(inbox), kept) == (["unread"], [])
    assert other.holding
    reader.feed(b"y" + frame(CLOSE))
    assert frames[-2:] == [(0x81, b"xy"), (0x88, b"")]
    assert reader.stopped

    inbox.popleft()
    other.proceed()
    assert kept == [(0x80, b"c")]
    assert inbox.popleft() == "d"
    other.proceed()
    assert kept[1:] == [(0x89, b"p")]
    assert not other.holding


MESSAGES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.binary(max_size=30),
        st.integers(31, 9000).map(bytes),
        st.just("é" * 3000),
    ),
    max_size=30,
)


@given(
    MESSAGES,
    st.lists(st.integers(0, 300_000), max_size=8),
    st.integers(0, 6),
    st.one_of(st.none(), st.integers(0, 10_000)),
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.sampled_from(["plain", "deflate", "pings"]),
)
def test_same_messages_in_the_same_order_and_never_more_than_marks_and_one(
    messages: list[str | bytes],
    places: list[int],
    mark: int,
    size: int | None,
    takes: list[int],
    kind: str,
) -> None:
    deflate = PerMessageDeflate(True, True, 15, 15) if kind == "deflate" else None
    data = b""
    for message in messages:
        payload = message.encode() if isinstance(message, str) else message
        opcode = TEXT if isinstance(message, str) else BINARY
        if deflate is not None:
            data += frame(opcode, deflate.deflate(payload, fin=True), rsv=4)
        else:
            data += frame(opcode, payload)
        if kind == "pings":
            data += frame(PING, payload[:9])
    largest = max((len(message) for message in messages), default=0)

    outcomes = []
    for name in NAMES:
        reader, inbox, frames = reader_of(body("wire._wire", name), mark, size)
        reader.allowed_rsv = 0x40
        reader.deflate = PerMessageDeflate(True, True, 15, 15)
        received: list[str | bytes] = []
        states = []
        pieces = cut(data, places)
        for turn in range(10 * len(messages) + len(pieces) + 10):
            if turn < len(pieces):
                reader.feed(pieces[turn])
            for _ in range(takes[turn % len(takes)] if turn < len(pieces) else 1):
                if inbox:
                    received.append(inbox.popleft())
            reader.proceed()
            assert len(inbox) <= mark + 1
            if size is not None:
                assert inbox.size() <= size + largest
            states.append((len(inbox), reader.held, reader.queued_bytes, reader.full))
        assert received == messages
        assert not reader.holding
        if kind == "pings":
            assert len(frames) == len(messages)
        outcomes.append(states)
    assert outcomes[0] == outcomes[1]
