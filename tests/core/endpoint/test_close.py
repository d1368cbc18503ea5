"""Closing: who waits for what, and the deadline that runs without anybody."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.errors import ProtocolError
from fullduplex.core.frames.close import ConnectionClosedOK, State

from ...kit.bytes import CLOSE, MASK, TEXT, close_frame, frame
from ...kit.pair import (
    CLIENT,
    SERVER,
    SessionPair,
    deliver,
    finish,
    lose,
    make_session,
    received,
    rest_of,
    sent,
    start,
    step,
)

# close


def test_close_sends_its_frame_and_waits_for_the_end() -> None:
    session = make_session()
    closing = operations.close(session, 1001, "bye", 0)
    waiter = start(closing)

    assert [seen.close for seen in sent(session)] == [(1001, "bye")]
    assert session.protocol.state is State.CLOSING
    deliver(session, close_frame(1001, "bye"))
    assert not waiter.fired  # TCP has not ended
    lose(session)

    assert waiter.fired
    finish(closing)


def test_close_without_code_sends_an_empty_frame() -> None:
    session = make_session()
    start(operations.close(session, None, "", 0))
    (seen,) = sent(session)
    assert seen.payload == b""
    deliver(session, close_frame(None))
    lose(session)
    with pytest.raises(ConnectionClosedOK):
        finish(operations.recv(session))


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999]
)
def test_close_with_a_code_that_may_travel_sends_it(code: int) -> None:
    session = make_session()
    start(operations.close(session, code, "", 0))
    assert sent(session)[0].close == (code, "")


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        *((code, "", f"close code is {code}") for code in (-1, 0, 999, 1004, 1005)),
        *(
            (code, "", f"close code is {code}")
            for code in (1006, 1015, 1016, 2999, 5000)
        ),
        (1000, "x" * 124, "close reason has 124 bytes; allowed are 123"),
        (1000, "é" * 62, "close reason has 124 bytes"),
        (1000, "\ud800", "close reason cannot be encoded"),
        (None, "why", "a close frame cannot have a reason without a code"),
    ],
)
def test_close_with_what_must_not_travel_is_refused_and_changes_nothing(
    code: int | None, reason: str, text: str
) -> None:
    session = make_session()

    with pytest.raises(ProtocolError, match=text):
        step(operations.close(session, code, reason, 0))

    assert sent(session) == []
    assert session.protocol.state is State.OPEN
    assert session.clear_to_send
    assert session.deadline() is None
    finish(operations.send(session, "still open", True))


def test_close_with_a_reason_of_123_bytes_passes() -> None:
    session = make_session()
    start(operations.close(session, 1000, "é" * 61 + "x", 0))
    assert len(sent(session)[0].payload) == 125


def test_second_close_waits_too_and_the_first_code_wins() -> None:
    session = make_session()
    waiting = [operations.close(session, 1000 + i, "", i) for i in range(3)]
    waiters = [start(operation) for operation in waiting]

    assert [seen.close for seen in sent(session)] == [(1000, "")]
    lose(session)

    for operation, waiter in zip(waiting, waiters, strict=True):
        assert waiter.fired
        finish(operation)


def test_close_after_the_end_returns_at_once() -> None:
    session = make_session()
    lose(session, OSError())
    finish(operations.close(session, 1000, "", 0))
    finish(operations.close(session, 99999, "", 0))
    assert sent(session) == []


def test_close_when_a_close_frame_was_read_echoes_that() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "unread") + close_frame(1001, "theirs"))
    assert sent(session) == []

    start(operations.close(session, 1000, "ours", 0))

    assert [seen.close for seen in sent(session)] == [(1001, "theirs")]


def test_close_when_a_fault_was_read_sends_its_code() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "unread") + frame(3))

    start(operations.close(session, 1000, "", 0))

    assert sent(session)[0].close[0] == 1002


def test_close_that_is_cut_goes_on_without_the_caller() -> None:
    session = make_session(close_timeout=3)
    closing = operations.close(session, 1000, "", 10)
    start(closing)
    closing.close()

    assert session.deadline() == 13
    session.timer_expired(13)

    assert session.must_abort
    assert session.needs_sync


def test_close_while_output_is_stuck_queues_its_frame_all_the_same() -> None:
    session = make_session(close_timeout=3)
    session.pause_writing()
    start(operations.close(session, 1000, "", 10))
    assert sent(session)[-1].opcode == CLOSE
    assert session.deadline() == 13


def test_recv_that_waits_during_close_gets_messages_and_then_the_end() -> None:
    session = make_session()
    receiving = operations.recv(session)
    start(receiving)
    start(operations.close(session, 1000, "", 0))

    deliver(session, frame(TEXT, "late") + close_frame(1000))
    assert finish(receiving) == "late"

    receiving = operations.recv(session)
    waiter = start(receiving)
    lose(session)
    assert waiter.fired
    with pytest.raises(ConnectionClosedOK):
        step(receiving)


# wait_closed


def test_wait_closed_returns_with_the_end_and_never_raises() -> None:
    session = make_session()
    waiting = operations.wait_closed(session)
    waiter = start(waiting)
    lose(session, OSError())
    assert waiter.fired
    finish(waiting)
    finish(operations.wait_closed(session))


def test_wait_closed_that_is_cut_leaves_nothing_behind() -> None:
    session = make_session()
    waiting = operations.wait_closed(session)
    start(waiting)
    waiting.close()
    assert session.transport_lost(None, 0) == []


def test_everything_that_waits_is_released_by_the_end_exactly_once() -> None:
    session = make_session()
    receiving = operations.recv(session)
    waiters: list[Any] = [start(receiving)]
    session.pause_writing()
    sending = operations.send(session, "a", True)
    waiters.append(start(sending))
    waiting = operations.wait_closed(session)
    waiters.append(start(waiting))

    fired = session.transport_lost(None, 0)

    assert sorted(map(id, fired)) == sorted(map(id, waiters))
    assert session.transport_lost(None, 0) == []


# The deadline


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_peer_that_never_answers_is_aborted_after_one_close_timeout(side: Any) -> None:
    session = make_session(side, close_timeout=3)
    closing = operations.close(session, 1000, "", 10)
    start(closing)
    assert session.deadline() == 13

    session.timer_expired(12.9)
    assert not session.must_abort
    session.timer_expired(13)

    assert session.must_abort
    lose(session, now=13)
    assert not session.must_abort
    finish(closing)
    assert session.protocol.close_code == 1006
    assert session.deadline() is None


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_peer_that_keeps_tcp_open_is_aborted_within_the_same_timeout(side: Any) -> None:
    session = make_session(side, close_timeout=3)
    start(operations.close(session, 1000, "", 10))
    deliver(session, close_frame(mask=MASK if side is SERVER else None), 12)

    assert session.deadline() == 13
    session.timer_expired(13)

    assert session.must_abort


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_after_the_peers_close_frame_the_deadline_runs(side: Any) -> None:
    session = make_session(side, close_timeout=3)
    deliver(session, close_frame(mask=MASK if side is SERVER else None), 10)
    assert session.deadline() == 13
    session.timer_expired(13)
    assert session.must_abort


def test_after_a_failure_the_deadline_runs() -> None:
    session = make_session(close_timeout=3)
    receiving = operations.recv(session)
    start(receiving)
    deliver(session, frame(3), 10)
    assert session.deadline() == 13
    session.timer_expired(13)
    assert session.must_abort


def test_after_the_end_of_input_the_deadline_runs() -> None:
    session = make_session(close_timeout=3)
    session.eof_received(10)
    assert session.deadline() == 13
    assert session.needs_sync
    assert not session.clear_to_send


def test_data_does_not_move_the_deadline() -> None:
    session = make_session(close_timeout=3)
    start(operations.close(session, 1000, "", 10))
    for now in (11, 12, 12.9):
        deliver(session, frame(TEXT, "a"), now)
        session.output_left(0, now)
        session.timer_expired(now)
    assert session.deadline() == 13


def test_close_timeout_of_none_never_aborts() -> None:
    session = make_session(close_timeout=None)
    start(operations.close(session, 1000, "", 10))
    assert session.deadline() is None
    session.timer_expired(1e9)
    assert not session.must_abort


def test_close_timeout_of_zero_aborts_at_once() -> None:
    session = make_session(close_timeout=0)
    start(operations.close(session, 1000, "", 10))
    session.timer_expired(10)
    assert session.must_abort


def test_closing_ends_keepalive() -> None:
    session = make_session(ping_interval=1, ping_timeout=1, close_timeout=100)
    start(operations.close(session, 1000, "", 0.5))
    sent(session)
    for now in (1, 2, 50):
        session.timer_expired(now)
    assert sent(session) == []
    assert session.deadline() == 100.5


# TCP


def test_server_closes_its_half_after_the_exchange_and_the_client_waits() -> None:
    pair = SessionPair()
    start(operations.close(pair.server, 1000, "", 0))
    assert not pair.server.must_half_close

    pair.pump()

    assert pair.server.must_half_close
    assert not pair.client.must_half_close


def test_end_of_input_behind_a_close_frame_lets_the_echo_out() -> None:
    session = make_session()
    read = frame(TEXT, "unread") + close_frame(1000)
    deliver(session, read)
    assert sent(session) == []

    session.eof_received(0)

    assert [seen.close for seen in sent(session)] == [(1000, "")]
    lose(session)
    messages, exc = rest_of(session)
    assert messages == ["unread"]
    assert type(exc) is ConnectionClosedOK


def test_end_of_tcp_twice_does_no_harm() -> None:
    session = make_session()
    first = OSError("first")
    lose(session, first)
    lose(session, OSError("second"))
    session.eof_received(0)
    assert session.protocol.fault is first


def test_end_of_tcp_stops_everything() -> None:
    session = make_session(ping_interval=1, ping_timeout=1)
    lose(session)
    session.timer_expired(100)
    session.resume_writing()
    assert session.deadline() is None
    assert sent(session) == []
    assert not session.clear_to_send
    assert not session.must_abort


def test_settle_without_anything_put_off_is_only_a_start_of_closing() -> None:
    session = make_session()
    session.send_deferred_close(0)
    assert sent(session) == []
    assert received(session) == []


def test_server_ends_tcp_at_once_when_messages_wait_that_nobody_may_answer() -> None:
    session = make_session(SERVER, close_timeout=3)
    step(operations.close(session, 1000, "", 10), 10)

    unread = frame(0x1, b"unread", mask=MASK)
    deliver(session, unread + close_frame(mask=MASK), 11)

    assert session.must_half_close
    assert session.deadline() == 13
