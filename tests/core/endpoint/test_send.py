"""Sending, pings and pongs: what waits, what a cut leaves behind."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.errors import ConcurrencyError, ProtocolError
from fullduplex.core.frames.close import (
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
)

from ...kit.bytes import BINARY, PING, PONG, TEXT, Received, close_frame, frame
from ...kit.pair import (
    Sink,
    deliver,
    finish,
    lose,
    make_session,
    received,
    sent,
    start,
    step,
)

# send


def test_send_below_the_mark_does_not_wait() -> None:
    session = make_session()
    finish(operations.send(session, "a", True))
    assert sent(session) == [Received(TEXT, b"a", masked=True)]


def test_send_above_the_mark_queues_nothing_and_waits() -> None:
    session = make_session()
    session.pause_writing()
    assert not session.clear_to_send
    sending = operations.send(session, "a", True)
    waiter = start(sending)
    assert session.writer.pending == 0

    assert session.resume_writing() == [waiter]

    finish(sending)
    assert sent(session) == [Received(TEXT, b"a", masked=True)]
    assert session.clear_to_send


def test_send_that_is_woken_in_vain_waits_again() -> None:
    session = make_session()
    session.pause_writing()
    sending = operations.send(session, "a", True)
    start(sending)
    session.resume_writing()
    session.pause_writing()

    waiter = start(sending)

    assert session.writer.pending == 0
    assert session.resume_writing() == [waiter]
    finish(sending)


def test_send_cut_before_its_turn_sends_nothing() -> None:
    session = make_session()
    session.pause_writing()
    sending = operations.send(session, "a", True)
    start(sending)
    sending.close()

    assert session.resume_writing() == []
    assert sent(session) == []


def test_drain_below_the_mark_does_not_wait() -> None:
    finish(operations.drain(make_session()))


def test_drain_cut_leaves_the_whole_frame_queued() -> None:
    session = make_session()
    finish(operations.send(session, b"x" * 100_000, False))
    session.pause_writing()
    draining = operations.drain(session)
    start(draining)

    draining.close()

    assert sent(session) == [Received(BINARY, b"x" * 100_000, masked=True)]
    assert session.resume_writing() == []


def test_send_in_closing_waits_for_the_end_and_raises() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))
    sending = operations.send(session, "a", True)
    waiter = start(sending)
    deliver(session, close_frame(1000))

    lose(session)

    assert waiter.fired
    with pytest.raises(ConnectionClosedOK):
        step(sending)


def test_send_after_the_end_raises_at_once() -> None:
    session = make_session()
    lose(session, OSError())
    with pytest.raises(ConnectionClosedError):
        step(operations.send(session, "a", True))
    assert not session.clear_to_send


def test_send_that_waits_is_released_by_the_end() -> None:
    session = make_session()
    session.pause_writing()
    both = [operations.send(session, "a", True), operations.drain(session)]
    waiters = [start(operation) for operation in both]

    lose(session, OSError("gone"))

    for operation, waiter in zip(both, waiters, strict=True):
        assert waiter.fired
        with pytest.raises(ConnectionClosedError) as info:
            step(operation)
        assert isinstance(info.value.__cause__, OSError)


def test_send_is_possible_until_the_peers_close_frame_is_echoed() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "a") + close_frame())
    finish(operations.send(session, "reply", True))
    session.send_deferred_close(0)
    assert [seen.payload for seen in sent(session)] == [b"reply", b"\x03\xe8"]
    start(operations.send(session, "too late", True))
    assert sent(session) == []


def test_waiting_sends_go_out_in_order() -> None:
    session = make_session()
    session.pause_writing()
    waiting = [operations.send(session, str(i), True) for i in range(5)]
    waiters = [start(operation) for operation in waiting]

    assert session.resume_writing() == waiters
    for operation in waiting:
        finish(operation)

    assert [seen.text for seen in sent(session)] == list("01234")


def test_clear_to_send_is_given_only_to_open_plain_connections() -> None:
    session = make_session()
    assert session.clear_to_send
    session.pause_writing()
    assert not session.clear_to_send
    session.resume_writing()
    assert session.clear_to_send
    finish(operations.begin_fragments(session))
    session.resume_writing()
    assert not session.clear_to_send
    session.end_fragments()
    assert session.clear_to_send
    start(operations.close(session, 1000, "", 0))
    session.resume_writing()
    assert not session.clear_to_send


# ping


def numbered() -> Callable[[int], bytes]:
    """Return a source of payloads that can be foreseen."""
    count = itertools.count()
    return lambda size: next(count).to_bytes(size, "big")


def test_ping_is_sent_and_its_pong_gives_the_round_trip_time() -> None:
    session = make_session()
    sink = Sink()
    finish(operations.ping(session, b"p", sink, 10))
    assert sent(session) == [Received(PING, b"p", masked=True)]
    assert session.pings.latency == 0

    deliver(session, frame(PONG, b"p"), 10.25)

    assert sink.rtt == 0.25
    assert session.pings.latency == 0.25


def test_ping_without_data_has_four_random_bytes_that_no_other_ping_has() -> None:
    payloads = iter([b"aaaa", b"aaaa", b"bbbb"])
    session = make_session(random=lambda size: next(payloads))
    finish(operations.ping(session, None, None, 0))
    finish(operations.ping(session, None, None, 0))
    assert [seen.payload for seen in sent(session)] == [b"aaaa", b"bbbb"]


def test_ping_of_125_bytes_passes_and_one_more_is_refused_before_anything_changes() -> (
    None
):
    session = make_session()
    finish(operations.ping(session, bytes(125), None, 0))
    sent(session)
    for _ in range(2):  # the refused one leaves nothing behind
        with pytest.raises(
            ProtocolError, match="ping data has 126 bytes; allowed are 125"
        ):
            step(operations.ping(session, bytes(126), None, 0))
    with pytest.raises(ProtocolError, match="pong data has 126 bytes"):
        step(operations.pong(session, bytes(126), 0))
    assert sent(session) == []


def test_ping_with_the_data_of_one_that_waits_is_refused() -> None:
    session = make_session()
    sink = Sink()
    finish(operations.ping(session, b"p", sink, 0))

    with pytest.raises(ConcurrencyError, match="waits for its pong"):
        step(operations.ping(session, b"p", Sink(), 0))

    deliver(session, frame(PONG, b"p"), 1)
    assert sink.rtt == 1
    finish(operations.ping(session, b"p", None, 2))  # it may be used again


def test_pong_acknowledges_its_ping_and_all_earlier_ones() -> None:
    session = make_session()
    sinks = [Sink() for _ in range(4)]
    for i, sink in enumerate(sinks):
        finish(operations.ping(session, b"%d" % i, sink, i))

    deliver(session, frame(PONG, b"2"), 10)

    assert [sink.rtt for sink in sinks] == [10, 9, 8, None]
    assert session.pings.latency == 8
    deliver(session, frame(PONG, b"0") + frame(PONG, b"3"), 11)
    assert sinks[3].rtt == 8


def test_unsolicited_pong_is_ignored() -> None:
    session = make_session()
    sink = Sink()
    finish(operations.ping(session, b"p", sink, 0))

    deliver(session, frame(PONG, b"") + frame(PONG, b"q"), 1)

    assert sink.rtt is None
    assert session.pings.latency == 0
    assert session.protocol.state is State.OPEN


def test_ping_that_was_not_answered_learns_of_the_end() -> None:
    session = make_session()
    sinks = [Sink(), Sink()]
    for i, sink in enumerate(sinks):
        finish(operations.ping(session, b"%d" % i, sink, 0))
    deliver(session, frame(PONG, b"0"))

    lose(session, OSError("gone"))

    assert sinks[0].exc is None
    assert isinstance(sinks[1].exc, ConnectionClosedError)
    assert isinstance(sinks[1].exc.__cause__, OSError)


def test_ping_and_pong_in_closing_wait_for_the_end_and_raise() -> None:
    for ask in ("ping", "pong"):
        session = make_session()
        start(operations.close(session, 1000, "", 0))
        sent(session)
        operation = (
            operations.ping(session, b"p", None, 0)
            if ask == "ping"
            else operations.pong(session, b"p", 0)
        )
        start(operation)
        assert sent(session) == []
        lose(session)
        with pytest.raises(ConnectionClosedError):
            step(operation)


def test_ping_waits_while_output_is_above_the_mark_but_is_queued() -> None:
    session = make_session()
    session.pause_writing()
    for operation in (
        operations.ping(session, b"p", None, 0),
        operations.pong(session, b"q", 0),
    ):
        start(operation)
        operation.close()
    assert [seen.payload for seen in sent(session)] == [b"p", b"q"]


def test_pong_is_sent_unasked() -> None:
    session = make_session()
    finish(operations.pong(session, b"beat", 0))
    assert sent(session) == [Received(PONG, b"beat", masked=True)]


def test_pings_do_not_disturb_messages() -> None:
    session = make_session(random=numbered())
    deliver(session, frame(TEXT, "a") + frame(PING, b"x") + frame(TEXT, "b"))
    finish(operations.ping(session, None, None, 0))
    assert received(session) == ["a", "b"]
    assert [seen.opcode for seen in sent(session)] == [PONG, PING]
