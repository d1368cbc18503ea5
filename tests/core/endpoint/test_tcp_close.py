"""The order in which TCP ends; drivers only carry it out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import TLS_CLOSE_TIMEOUT, Endpoint
from fullduplex.core.endpoint.tcp_close import TCPStep
from fullduplex.core.frames.close import ConnectionClosed, ConnectionClosedError

from ...kit.bytes import CLOSE, MASK, PING, TEXT, close_frame, frame
from ...kit.pair import (
    CLIENT,
    SERVER,
    deliver,
    lose,
    make_session,
    rest_of,
    sent,
    start,
    step,
)


def closing_server(**limits: Any) -> Endpoint:
    """A server that has exchanged close frames, and so closes TCP first."""
    session = make_session(SERVER, **limits)
    start(operations.close(session, 1000, "", 10))
    deliver(session, close_frame(mask=MASK), 11)
    assert session.closing_tcp
    return session


def test_open_connection_asks_for_no_move() -> None:
    session = make_session()
    assert not session.closing_tcp
    assert not session.half_closing
    assert session.next_tcp_step(False) is TCPStep.WAIT
    assert session.next_tcp_step(True) is TCPStep.WAIT


# Our direction


def test_server_closes_its_direction_once_all_is_out() -> None:
    session = closing_server()

    assert session.next_tcp_step(True) is TCPStep.WAIT
    assert session.next_tcp_step(False) is TCPStep.HALF_CLOSE
    assert session.half_closing
    session.half_closed(True)

    assert session.next_tcp_step(False) is TCPStep.WAIT
    assert not session.half_closing
    assert not session.input_over


def test_farewell_of_tls_goes_out_before_the_direction_is_closed() -> None:
    session = closing_server()
    session.tcp_close.close_notify_due = True

    assert session.next_tcp_step(True) is TCPStep.WAIT
    assert session.next_tcp_step(False) is TCPStep.CLOSE_NOTIFY
    session.tcp_close.close_notify_sent()

    assert session.next_tcp_step(True) is TCPStep.WAIT  # the farewell itself
    assert session.next_tcp_step(False) is TCPStep.HALF_CLOSE


def test_direction_that_cannot_be_closed_alone_ends_both() -> None:
    session = closing_server()

    session.half_closed(False)

    assert session.input_over
    assert session.next_tcp_step(True) is TCPStep.WAIT
    assert session.next_tcp_step(False) is TCPStep.END
    assert not session.must_abort


def test_client_waits_for_the_server_to_close_tcp() -> None:
    session = make_session(CLIENT, close_timeout=3)
    start(operations.close(session, 1000, "", 10))
    deliver(session, close_frame(), 11)

    assert session.closing_tcp
    assert session.next_tcp_step(False) is TCPStep.WAIT
    session.eof_received(12)
    assert session.next_tcp_step(False) is TCPStep.END


# The peer's direction


def test_end_of_input_lets_out_what_waits_and_then_ends() -> None:
    session = make_session()
    deliver(session, close_frame(1001))

    session.eof_received(10)

    assert session.closing_tcp
    assert session.input_over
    assert session.tcp_close.eof
    assert [seen.opcode for seen in sent(session)] == [CLOSE]
    assert session.next_tcp_step(True) is TCPStep.WAIT
    assert session.next_tcp_step(False) is TCPStep.END
    assert not session.must_abort


def test_output_that_does_not_move_after_the_end_of_input_has_a_deadline() -> None:
    session = make_session(close_timeout=3)
    session.eof_received(10)
    assert session.next_tcp_step(True) is TCPStep.WAIT

    session.timer_expired(13)

    assert session.next_tcp_step(True) is TCPStep.END
    assert session.must_abort


def test_input_that_fails_ends_at_once_with_its_error() -> None:
    session = make_session()
    failure = OSError("broken")

    session.input_failed(failure)

    assert session.closing_tcp
    assert session.next_tcp_step(True) is TCPStep.END
    lose(session)
    assert session.protocol.fault is failure


# Output that fails


def test_output_that_fails_leaves_what_has_arrived_to_be_read() -> None:
    session = make_session()

    session.output_failed(BrokenPipeError("gone"), 10)

    assert session.closing_tcp
    assert session.next_tcp_step(True) is TCPStep.DRAIN_INPUT
    session.tcp_close.drain_started()
    assert session.next_tcp_step(True) is TCPStep.WAIT
    deliver(session, frame(TEXT, "last") + close_frame(4001, "bye"), 10)
    assert session.next_tcp_step(False) is TCPStep.WAIT
    session.tcp_close.drain_ended()
    assert session.next_tcp_step(False) is TCPStep.END

    lose(session)
    messages, exc = rest_of(session)
    assert messages == ["last"]
    assert (session.protocol.close_code, session.protocol.close_reason) == (4001, "bye")
    assert exc.rcvd is not None


@pytest.mark.parametrize("end", ["eof", "failure"])
def test_end_of_input_ends_the_reading_of_the_rest(end: str) -> None:
    session = make_session()
    first = BrokenPipeError("first")
    session.output_failed(first, 10)
    session.tcp_close.drain_started()

    if end == "eof":
        session.eof_received(10)
    else:
        session.input_failed(ConnectionResetError("second"))

    assert session.next_tcp_step(True) is TCPStep.END
    lose(session)
    assert session.tcp_close.failure is first


def test_output_that_fails_after_the_end_of_input_leaves_nothing_to_read() -> None:
    session = make_session()
    session.eof_received(9)
    session.output_failed(BrokenPipeError(), 10)
    assert session.next_tcp_step(True) is TCPStep.END


def test_output_that_fails_twice_is_read_behind_once() -> None:
    session = make_session()
    first = BrokenPipeError("first")
    session.output_failed(first, 10)
    session.tcp_close.drain_started()

    session.output_failed(BrokenPipeError("of the reply"), 10)

    assert session.tcp_close.failure is first
    assert session.next_tcp_step(True) is TCPStep.WAIT
    session.tcp_close.drain_ended()
    assert session.next_tcp_step(True) is TCPStep.END


def test_output_that_fails_stops_senders_and_lets_them_go_at_the_end() -> None:
    session = make_session()

    session.output_failed(BrokenPipeError(), 10)

    assert not session.clear_to_send
    waiting = operations.send(session, "a", True)
    waiter = start(waiting)
    lose(session)
    assert waiter.fired
    with pytest.raises(ConnectionClosed):
        step(waiting)
    assert sent(session) == []


def test_rest_is_read_past_a_full_queue_but_not_kept() -> None:
    session = make_session(queue_high=2, queue_low=1)
    deliver(session, frame(TEXT, "a") * 3)
    assert session.reading_paused

    session.output_failed(BrokenPipeError(), 10)
    session.tcp_close.drain_started()
    assert not session.reading_paused
    for _ in range(100):
        deliver(session, frame(TEXT, "b") * 10, 10)
    deliver(session, close_frame(4001), 10)

    assert len(session.messages) < 20
    lose(session)
    assert session.protocol.close_code == 4001


def test_ping_within_the_rest_is_not_answered() -> None:
    session = make_session()
    session.output_failed(BrokenPipeError(), 10)
    session.tcp_close.drain_started()
    deliver(session, frame(PING, "x"), 10)
    assert sent(session) == []


def test_deadline_ends_the_reading_of_the_rest() -> None:
    session = make_session(close_timeout=3)
    session.output_failed(BrokenPipeError(), 10)
    session.tcp_close.drain_started()
    assert session.deadline() == 13

    session.timer_expired(13)

    assert session.next_tcp_step(True) is TCPStep.END


def test_output_that_fails_after_the_end_changes_nothing() -> None:
    session = make_session()
    lose(session)
    session.output_failed(BrokenPipeError(), 10)
    assert session.tcp_close.failure is None
    assert session.next_tcp_step(False) is TCPStep.WAIT


# The end


def test_abort_ends_at_once_whatever_waits() -> None:
    session = make_session()
    session.needs_sync = False
    session.abort()
    assert session.needs_sync
    assert session.closing_tcp
    assert session.next_tcp_step(True) is TCPStep.END


def test_abort_does_not_wait_for_the_rest() -> None:
    session = make_session()
    session.output_failed(BrokenPipeError(), 10)
    session.abort()
    assert session.next_tcp_step(True) is TCPStep.END


def test_nothing_is_left_to_do_after_the_end() -> None:
    session = closing_server()
    lose(session)
    assert session.next_tcp_step(False) is TCPStep.WAIT
    session.abort()
    assert session.next_tcp_step(False) is TCPStep.WAIT


def test_failure_that_was_told_before_is_the_cause() -> None:
    session = make_session()
    failure = OSError("told")
    session.output_failed(failure, 10)
    lose(session, None)
    _, exc = rest_of(session)
    assert type(exc) is ConnectionClosedError
    assert exc.__cause__ is failure


def test_orderly_end_may_take_as_long_as_closing_does() -> None:
    session = closing_server(close_timeout=3)
    assert session.tcp_close_deadline(11) == 13


def test_orderly_end_without_a_deadline_takes_a_moment_at_most() -> None:
    session = closing_server(close_timeout=None)
    assert session.tcp_close_deadline(11) == 11 + TLS_CLOSE_TIMEOUT


def test_forced_end_takes_no_time() -> None:
    session = closing_server(close_timeout=3)
    session.abort()
    assert session.tcp_close_deadline(11) == -math.inf


def test_begin_close_does_what_close_does_without_waiting() -> None:
    session = make_session(close_timeout=3)
    session.begin_close(4000, "why", 10)
    assert [seen.close for seen in sent(session)] == [(4000, "why")]
    assert session.deadline() == 13
    session.begin_close(4001, "again", 11)
    assert sent(session) == []
    assert session.deadline() == 13


def test_waiting_for_room_after_the_end_raises() -> None:
    session = make_session()
    session.pause_writing()
    lose(session)
    with pytest.raises(ConnectionClosed):
        step(operations.drain(session))
