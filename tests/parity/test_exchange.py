"""What every message passes of a session, on both bodies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex.core.endpoint._hot import PAUSED
from fullduplex.core.errors import ProtocolError
from fullduplex.core.frames.close import State

from ..kit.bytes import PING, TEXT, frame
from .bodies import NAMES, body

RECEIVING, FRAGMENTS = 1, 4
Make = Callable[..., Any]


class Frames:
    """The frame level, as far as it is asked."""

    def __init__(self, wire: Any) -> None:
        self.messages = wire.MessageQueue()
        self.reader = wire.FrameReader(self.other, self.messages, masked=False)
        self.writer = wire.FrameWriter(mask=False)
        self.plain = True
        self.close_deferred = False
        self.state = State.OPEN
        self.refused: list[Exception] = []
        self.fail_for = self.refused.append

    def other(self, head: int, payload: bytes) -> bool:
        """Take a frame that is no whole message."""
        self.reader.has_events = True
        return False


@pytest.fixture(params=NAMES)
def make(request: pytest.FixtureRequest) -> Make:
    """Make an `Exchange` of either body with a frame level of the same."""
    wire = body("wire._wire", request.param)
    base: Any = body("endpoint._hot", request.param).HotEndpoint

    class Session(base):  # type: ignore[misc]
        events = 0
        interrupts: tuple[BaseException, ...] = ()

        def interrupted(self, exc: BaseException) -> None:
            self.interrupts += (exc,)

        def _after_events(self) -> None:
            self.reader.has_events = False
            self.events += 1

    def made(queue_low: int = 8) -> Any:
        return Session(Frames(wire), queue_low, 5)

    return made


def read(session: Any, data: bytes, now: float = 6.0) -> Any:
    """Let the session read `data`, which must fit into its memory."""
    session.reader.get_buffer(-1)[: len(data)] = data
    return session.data_received(len(data), now)


def test_exchange_at_first_knows_the_time_and_nothing_else(make: Make) -> None:
    session = make()
    assert (session.now, session.received_at, session.sent_at) == (5, 5, 5)
    assert (session.recv_blockers, session.writing_paused) == (0, False)
    assert session.needs_sync
    assert session.clear_to_send


def test_data_received_returns_the_waiter_once_there_is_a_message(make: Make) -> None:
    session, waiter = make(), object()
    assert session.begin_wait(waiter)

    assert read(session, frame(TEXT, "ab")[:3]) is None
    assert read(session, frame(TEXT, "ab")[3:], 7.0) is waiter
    assert read(session, frame(TEXT, "c")) is None

    assert session.recv_blockers == RECEIVING
    assert session.messages.take() is None
    session.end_wait()
    assert [session.messages.take() for _ in range(3)] == ["ab", "c", None]
    assert session.events == 0
    assert (session.now, session.received_at, session.sent_at) == (6, 6, 5)


def test_data_received_of_other_frames_has_them_looked_at(make: Make) -> None:
    session = make()
    assert read(session, frame(PING, b"p")) is None
    assert session.events == 1
    read(session, frame(TEXT, "a"))
    assert session.events == 1


def test_data_received_after_a_ping_was_sent_looks_once(make: Make) -> None:
    session = make()
    session.reader.has_events = True
    read(session, frame(TEXT, "a"))
    read(session, frame(TEXT, "b"))
    assert session.events == 1


def test_data_received_of_a_fault_refuses_it_behind_intact_messages(make: Make) -> None:
    session, waiter = make(), object()
    session.begin_wait(waiter)
    assert read(session, frame(TEXT, "a") + b"\x83\x00") is waiter
    assert [type(exc) for exc in session.protocol.refused] == [ProtocolError]


def test_data_received_that_is_interrupted_tells_and_raises(make: Make) -> None:
    def interrupt(head: int, payload: bytes) -> bool:
        raise KeyboardInterrupt

    session = make()
    session.protocol.other = interrupt
    session.reader = session.holder = type(session.reader)(
        interrupt, session.messages, masked=False
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        read(session, frame(PING, b"p"))
    assert session.interrupts == (caught.value,)
    assert session.protocol.refused == []


@pytest.mark.parametrize("slow", [RECEIVING, PAUSED, FRAGMENTS, PAUSED | FRAGMENTS])
def test_expect_while_the_fast_path_is_closed_changes_nothing(
    make: Make, slow: int
) -> None:
    session = make()
    session.recv_blockers = slow
    assert not session.begin_wait(object())
    assert session.recv_blockers == slow


@pytest.mark.parametrize(
    "why", ["messages", "close_deferred", State.CLOSING, State.CLOSED]
)
def test_expect_of_what_only_recv_can_do_changes_nothing(make: Make, why: Any) -> None:
    session = make()
    if why == "messages":
        session.messages.append("a")
    elif why == "close_deferred":
        session.protocol.close_deferred = session.reader.stopped = True
    else:
        session.protocol.state = why
        session.clear_to_send = False
    assert not session.begin_wait(object())
    assert session.recv_blockers == 0


def test_slow_sets_how_many_messages_may_not_simply_be_taken(make: Make) -> None:
    session = make(queue_low=2)
    assert session.messages.take_threshold == 0
    session.recv_blockers = PAUSED
    assert session.messages.take_threshold == 3
    for slow in (RECEIVING, FRAGMENTS, PAUSED | FRAGMENTS):
        session.recv_blockers = slow
        assert session.messages.take_threshold == sys.maxsize
    session.recv_blockers = 0
    assert session.messages.take_threshold == 0


def test_queue_takes_plain_messages_while_it_is_clear(make: Make) -> None:
    session = make()
    assert session.queue("a")
    assert session.queue(b"b")
    assert not session.queue(bytearray(b"c"))
    session.clear_to_send = False
    assert not session.queue("d")
    assert session.writer.take() == b"\x81\x01a\x82\x01b"


def test_queue_of_a_lone_surrogate_raises_and_queues_nothing(make: Make) -> None:
    session = make()
    with pytest.raises(UnicodeEncodeError):
        session.queue("\ud800")
    assert session.writer.pending == 0
