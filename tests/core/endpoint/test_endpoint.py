"""Receiving: messages, streams of fragments, what a cut leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import DEFERRED_CLOSE_MAX
from fullduplex.core.endpoint.hot import RECEIVING
from fullduplex.core.endpoint.receive_queue import FRAGMENTS
from fullduplex.core.errors import ConcurrencyError
from fullduplex.core.frames.close import (
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
)
from fullduplex.core.frames.messages import Fragment

from ...kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame
from ...kit.pair import (
    CLIENT,
    SERVER,
    SessionPair,
    Waiter,
    deliver,
    finish,
    lose,
    make_session,
    read,
    received,
    sent,
    start,
    step,
)

# Input from elsewhere


def test_feed_parses_what_arrived_behind_the_handshake() -> None:
    session = make_session()
    receiving = operations.recv(session)
    waiter = start(receiving)
    data = frame(TEXT, "a") + frame(PING, b"p") + frame(BINARY, bytes(9000))

    assert session.feed(data[:5000], 1) is waiter
    session.after_delivery()
    assert session.feed(memoryview(data)[5000:], 2) is None
    session.after_delivery()

    assert finish(receiving) == "a"
    assert received(session) == [bytes(9000)]
    assert [seen.opcode for seen in sent(session)] == [PONG]


def test_feed_of_a_fault_fails_the_connection() -> None:
    session = make_session()
    session.feed(frame(TEXT, "a") + frame(3) + frame(TEXT, "b"), 1)
    session.after_delivery()
    assert received(session) == ["a"]
    assert [seen.close[0] for seen in sent(session)] == [1002]


# recv


def test_recv_with_a_message_queued_does_not_wait() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + frame(BINARY, b"b"))

    assert finish(operations.recv(session)) == "a"
    assert finish(operations.recv(session)) == b"b"


def test_recv_without_a_message_waits_for_one() -> None:
    session = make_session()
    receiving = operations.recv(session)
    waiter = start(receiving)

    assert deliver(session, frame(PING)) is None
    assert not waiter.fired
    assert deliver(session, frame(TEXT, "a")) is waiter

    assert finish(receiving) == "a"


def test_recv_is_woken_once_for_many_messages_of_one_read() -> None:
    session = make_session()
    receiving = operations.recv(session)
    waiter = start(receiving)

    assert read(session, frame(TEXT, "a") * 5) is waiter
    assert read(session, frame(TEXT, "b")) is None

    assert finish(receiving) == "a"
    assert received(session) == ["a"] * 4 + ["b"]


def test_recv_that_was_woken_in_vain_waits_again() -> None:
    session = make_session()
    receiving = operations.recv(session)
    first = start(receiving)
    deliver(session, frame(TEXT, "a"))
    session.messages.clear()

    second = start(receiving)

    assert second is not first
    deliver(session, frame(TEXT, "b"))
    assert second.fired
    assert finish(receiving) == "b"


def test_recv_cut_before_the_message_leaves_it_to_the_next() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    receiving.close()

    assert deliver(session, frame(TEXT, "a")) is None
    assert finish(operations.recv(session)) == "a"


def test_recv_cut_after_it_was_woken_leaves_the_message_to_the_next() -> None:
    session = make_session()
    receiving = operations.recv(session)
    waiter = start(receiving)
    deliver(session, frame(TEXT, "a") + frame(TEXT, "b"))
    assert waiter.fired
    receiving.close()

    assert received(session) == ["a", "b"]


def test_recv_cut_between_fragments_keeps_those_that_it_took() -> None:
    session = make_session()
    parts = ["smør", "re", "brød"]
    for i, part in enumerate(parts):
        receiving = operations.recv(session)
        start(receiving)
        opcode = CONT if i else TEXT
        deliver(session, frame(opcode, part, fin=i == 2))
        if i < 2:
            start(receiving)
            receiving.close()

    assert finish(receiving) == "smørrebrød"


def test_recv_cut_at_every_yield_loses_nothing() -> None:
    session = make_session()
    data = b"".join(
        [
            frame(TEXT, "1"),
            frame(TEXT, "2", fin=False),
            frame(PING),
            frame(CONT, "2", fin=False),
            frame(CONT, "2"),
            frame(BINARY, b"3"),
        ]
    )
    messages = []
    for i in range(len(data)):
        receiving = operations.recv(session)
        message, waiter = step(receiving)
        if waiter is not None:
            receiving.close()
        else:
            messages.append(message)
        deliver(session, data[i : i + 1])

    assert messages + received(session) == ["1", "222", b"3"]


def test_second_recv_is_refused_and_the_first_goes_on() -> None:
    session = make_session()
    first = operations.recv(session)
    start(first)

    with pytest.raises(ConcurrencyError, match="already waiting elsewhere"):
        step(operations.recv(session))
    assert not session.begin_wait(Waiter())

    deliver(session, frame(TEXT, "a"))
    assert finish(first) == "a"
    assert session.recv_blockers == 0


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fragmented", [False, True])
@pytest.mark.parametrize("decode", [None, True, False])
def test_recv_gives_the_type_that_was_asked_for(
    opcode: int, fragmented: bool, decode: bool | None
) -> None:
    session = make_session()
    data = "é€".encode()
    if fragmented:
        deliver(session, frame(opcode, data[:1], fin=False) + frame(CONT, data[1:]))
    else:
        deliver(session, frame(opcode, data))

    message = finish(operations.recv(session, decode))

    is_text = opcode == TEXT if decode is None else decode
    assert message == ("é€" if is_text else data)


def test_recv_of_binary_that_cannot_be_decoded_fails_the_connection() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"\xff") + frame(TEXT, "next"), 5)
    receiving = operations.recv(session, decode=True)

    waiter = start(receiving)  # the next message is not what was asked for

    session.timer_expired(5)
    assert sent(session)[-1].close[0] == 1007
    lose(session)
    assert waiter.fired
    with pytest.raises(ConnectionClosedError) as info:
        step(receiving)
    assert isinstance(info.value.__cause__, UnicodeDecodeError)
    # What arrived intact is still there.
    assert finish(operations.recv(session)) == "next"


def test_recv_of_binary_that_cannot_be_decoded_gives_the_peer_time_to_close() -> None:
    session = make_session(close_timeout=10)
    deliver(session, frame(BINARY, b"\xff"), 5)

    # The clock has moved on unnoticed; nothing happened in between.
    start(operations.recv(session, decode=True))
    session.timer_expired(1000)

    assert [seen.opcode for seen in sent(session)] == [CLOSE]
    assert not session.must_abort
    assert session.deadline() == 1010


def test_recv_of_what_cannot_be_decoded_after_the_end_raises_with_its_cause() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"\xff") + close_frame(1000))
    session.send_deferred_close(0)
    lose(session)

    with pytest.raises(ConnectionClosedOK) as info:
        step(operations.recv(session, decode=True))

    assert isinstance(info.value.__cause__, UnicodeDecodeError)


def test_messages_are_received_before_the_end_is_told() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + frame(TEXT, "b") + close_frame(1000))
    lose(session)

    assert finish(operations.recv(session)) == "a"
    assert finish(operations.recv(session)) == "b"
    for _ in range(2):
        with pytest.raises(ConnectionClosedError, match="no close frame sent"):
            finish(operations.recv(session))


def test_recv_raises_only_after_tcp_has_ended() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    deliver(session, close_frame(1000))
    session.send_deferred_close(0)
    waiter = start(receiving)

    lose(session)

    assert waiter.fired
    with pytest.raises(ConnectionClosedOK):
        step(receiving)


def test_message_that_never_ended_is_lost_with_the_connection() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    deliver(session, frame(TEXT, "half", fin=False))
    start(receiving)
    lose(session)
    with pytest.raises(ConnectionClosedError):
        step(receiving)
    with pytest.raises(ConnectionClosedError):
        step(operations.recv(session))


# Waiting without an operation


def test_expected_message_fires_the_waiter_as_that_of_recv() -> None:
    session = make_session()
    waiter = Waiter()
    assert session.begin_wait(waiter)
    assert session.recv_blockers == RECEIVING

    assert deliver(session, frame(TEXT, "a")) is waiter
    session.end_wait()

    assert session.recv_blockers == 0
    assert session.messages.take() == "a"


def test_expected_message_that_cannot_come_any_more_leaves_no_mark() -> None:
    session = make_session()
    lose(session)

    assert not session.begin_wait(Waiter())
    assert session.recv_blockers == 0


def test_expected_message_of_which_half_was_taken_is_left_to_recv() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    deliver(session, frame(TEXT, "half", fin=False))
    start(receiving)
    receiving.close()

    assert not session.begin_wait(Waiter())
    assert session.recv_blockers == FRAGMENTS


def test_end_fires_the_waiter_of_an_expected_message() -> None:
    session = make_session()
    waiter = Waiter()
    assert session.begin_wait(waiter)
    lose(session)
    assert waiter.fired


# Streams


def parts(session: Any, decode: bool | None = None) -> list[Fragment]:
    """Take one message fragment by fragment."""
    taken: list[Fragment] = []
    while not taken or not taken[-1].fin:
        taken.append(finish(operations.recv_fragment(session, decode, first=not taken)))
    return taken


def test_stream_gives_the_fragments_as_they_came() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a", fin=False) + frame(CONT, "b") + frame(TEXT, "c"))

    assert parts(session) == [Fragment("a", False), Fragment("b", True)]
    assert parts(session) == [Fragment("c", True)]
    assert session.recv_blockers == 0


def test_stream_waits_for_the_next_fragment() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a", fin=False))
    finish(operations.recv_fragment(session, first=True))
    streaming = operations.recv_fragment(session, first=False)
    waiter = start(streaming)

    assert deliver(session, frame(CONT, b"b")) is waiter

    assert finish(streaming) == Fragment(b"b", True)


def test_stream_that_is_cut_may_be_continued() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a", fin=False))
    finish(operations.recv_fragment(session, first=True))
    streaming = operations.recv_fragment(session, first=False)
    start(streaming)
    deliver(session, frame(CONT, b"b"))
    streaming.close()

    assert finish(operations.recv_fragment(session, first=False)) == Fragment(
        b"b", True
    )


def test_while_a_message_is_streamed_no_other_receiver_is_let_in() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a", fin=False))
    finish(operations.recv_fragment(session, first=True))

    for operation in (
        operations.recv(session),
        operations.recv_fragment(session, first=True),
    ):
        with pytest.raises(ConcurrencyError):
            step(operation)
    assert not session.begin_wait(Waiter())

    deliver(session, frame(CONT, b"b") + frame(TEXT, "c"))
    assert finish(operations.recv_fragment(session, first=False)) == Fragment(
        b"b", True
    )
    assert finish(operations.recv(session)) == "c"


def test_stream_after_a_recv_that_was_cut_begins_with_what_that_took() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    deliver(session, frame(TEXT, "a", fin=False) + frame(CONT, "b", fin=False))
    start(receiving)
    receiving.close()
    deliver(session, frame(CONT, "c"))

    assert parts(session) == [Fragment("ab", False), Fragment("c", True)]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_stream_decodes_a_character_that_is_split_between_fragments(
    opcode: int,
) -> None:
    session = make_session()
    euro = "€".encode()
    data = b"".join(
        [
            frame(opcode, b"a" + euro[:1], fin=False),
            frame(CONT, euro[1:2], fin=False),
            frame(CONT, euro[2:] + b"b"),
        ]
    )
    deliver(session, data)

    taken = parts(session, decode=True)

    assert [part.data for part in taken] == ["a", "", "€b"]
    assert session.protocol.fault is None


def test_stream_of_text_as_bytes_has_all_of_it() -> None:
    session = make_session()
    euro = "€".encode()
    deliver(session, frame(TEXT, euro[:1], fin=False) + frame(CONT, euro[1:]))
    taken = parts(session, decode=False)
    assert b"".join(part.data for part in taken) == euro  # type: ignore[misc]


def test_stream_that_cannot_be_decoded_fails_the_connection() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"\xff", fin=False) + frame(CONT, b"ok"))
    streaming = operations.recv_fragment(session, decode=True, first=True)

    start(streaming)  # the rest of that message is not given out

    session.timer_expired(0)
    assert sent(session)[-1].close[0] == 1007
    lose(session)
    with pytest.raises(ConnectionClosedError):
        step(streaming)


def test_stream_that_ends_within_a_character_fails_the_connection() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a\xe2", fin=False) + frame(CONT, b"\x82"))
    assert (
        finish(operations.recv_fragment(session, decode=True, first=True)).data == "a"
    )
    start(operations.recv_fragment(session, decode=True, first=False))
    session.timer_expired(0)
    assert sent(session)[-1].close[0] == 1007


def test_stream_of_a_message_that_never_ends_raises_with_the_connection() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a", fin=False) + close_frame(1000))
    session.send_deferred_close(0)
    lose(session)
    assert finish(operations.recv_fragment(session, first=True)) == Fragment(
        b"a", False
    )
    with pytest.raises(ConnectionClosedError):
        finish(operations.recv_fragment(session, first=False))


@pytest.mark.parametrize("queued", [0, 1, 2, 3])
def test_abandoned_stream_discards_the_rest_and_frees_the_receiver(queued: int) -> None:
    session = make_session()
    rest = [frame(CONT, b"b", fin=False), frame(CONT, b"c"), frame(TEXT, "next")]
    deliver(session, frame(BINARY, b"a", fin=False) + b"".join(rest[:queued]))
    finish(operations.recv_fragment(session, first=True))

    session.abandon_stream()
    receiving = operations.recv(session)
    message, waiter = step(receiving)
    if waiter is not None:
        for data in rest[queued:]:
            deliver(session, data)
        assert waiter.fired
        message = finish(receiving)

    assert message == "next"
    assert session.recv_blockers == 0


def test_abandoned_stream_wakes_nobody_with_what_is_discarded() -> None:
    session = make_session()
    deliver(session, frame(BINARY, b"a", fin=False))
    finish(operations.recv_fragment(session, first=True))
    session.abandon_stream()
    receiving = operations.recv(session)
    waiter = start(receiving)

    deliver(session, frame(CONT, b"b", fin=False))
    deliver(session, frame(CONT, b"c"))
    assert not waiter.fired
    deliver(session, frame(TEXT, "d"))
    assert waiter.fired


def test_abandoned_stream_lets_paused_reading_go_on() -> None:
    session = make_session(queue_high=2, queue_low=0)
    deliver(session, frame(BINARY, b"a", fin=False) + frame(CONT, b"b", fin=False) * 9)
    finish(operations.recv_fragment(session, first=True))
    assert session.reading_paused

    session.abandon_stream()

    assert not session.reading_paused
    assert session.needs_sync


def test_abandoning_what_is_not_streamed_does_nothing() -> None:
    session = make_session()
    session.abandon_stream()
    deliver(session, frame(TEXT, "a"))
    assert finish(operations.recv(session)) == "a"


def test_fast_path_is_closed_while_fragments_are_about() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "1"))
    assert session.recv_blockers == 0
    deliver(session, frame(TEXT, "a", fin=False))
    assert session.recv_blockers & FRAGMENTS
    assert finish(operations.recv(session)) == "1"
    receiving = operations.recv(session)
    start(receiving)
    receiving.close()
    assert session.recv_blockers & FRAGMENTS
    deliver(session, frame(CONT, "b"))
    assert finish(operations.recv(session)) == "ab"
    assert session.recv_blockers == 0


# Intact messages before a fault


def test_reply_to_a_message_before_a_fault_goes_out_before_the_close_frame() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)

    waiter = read(session, frame(TEXT, "intact") + frame(3))
    assert waiter is not None
    assert finish(receiving) == "intact"
    finish(operations.send(session, "reply", True))
    session.after_delivery()

    assert [seen.opcode for seen in sent(session)] == [TEXT, CLOSE]


def test_reply_to_a_message_before_a_close_frame_goes_out_before_its_echo() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)

    read(session, frame(TEXT, "intact") + close_frame(1000))
    assert finish(receiving) == "intact"
    finish(operations.send(session, "reply", True))
    session.after_delivery()

    frames = sent(session)
    assert [seen.opcode for seen in frames] == [TEXT, CLOSE]
    assert frames[1].close == (1000, "")


def test_close_frame_waits_while_messages_before_it_are_unread_but_not_long() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + frame(TEXT, "b") + frame(3), 5)
    assert sent(session) == []
    session.timer_expired(5 + DEFERRED_CLOSE_MAX / 2)
    assert sent(session) == []
    assert session.deadline() == 5 + DEFERRED_CLOSE_MAX

    session.timer_expired(5 + DEFERRED_CLOSE_MAX)

    assert [seen.opcode for seen in sent(session)] == [CLOSE]
    assert received(session) == ["a", "b"]


def test_close_frame_waits_for_the_reader_when_the_process_stood_still() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + frame(3), 5)

    session.timer_expired(9)
    assert sent(session) == []
    assert finish(operations.recv(session)) == "a"
    finish(operations.send(session, "reply", True))
    start(operations.recv(session))

    assert [seen.opcode for seen in sent(session)] == [TEXT, CLOSE]


def test_close_frame_goes_out_as_soon_as_the_reader_asks_for_more() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + frame(3))
    assert finish(operations.recv(session)) == "a"
    assert sent(session) == []

    start(operations.recv(session))

    assert [seen.opcode for seen in sent(session)] == [CLOSE]


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_pings_before_a_fault_are_answered_before_the_close_frame(side: Any) -> None:
    session = make_session(side)
    mask = b"abcd" if side is SERVER else None
    deliver(session, frame(PING, b"p", mask=mask) + frame(3, mask=mask))
    assert [seen.opcode for seen in sent(session)] == [PONG, CLOSE]


# Two of them


def test_pair_exchanges_messages_whatever_the_cuts() -> None:
    pair = SessionPair()
    messages: list[str | bytes] = ["", "é" * 70000, b"\xff" * 5000, "x", b""]
    for message in messages:
        finish(operations.send(pair.client, message, isinstance(message, str)))
        finish(operations.send(pair.server, message, isinstance(message, str)))

    pair.pump([1, 2, 3, 5, 7, 4096, 16384])

    assert received(pair.server) == messages
    assert received(pair.client) == messages


def test_pair_closes_in_good_order() -> None:
    pair = SessionPair()
    closing = operations.close(pair.client, 1001, "leaving", 0)
    start(closing)

    pair.pump()

    assert pair.server.must_half_close
    assert not pair.client.must_half_close
    pair.end()
    finish(closing)
    for session in (pair.client, pair.server):
        assert session.protocol.state is State.CLOSED
        assert session.protocol.close_code == 1001
        with pytest.raises(ConnectionClosedOK):
            finish(operations.recv(session))
