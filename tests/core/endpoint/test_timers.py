"""Keepalive in a session: time is a number, output and input are reported."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.keepalive import Verdict
from fullduplex.core.endpoint.message_sender import FragmentSender
from fullduplex.core.endpoint.tcp_close import TCPStep
from fullduplex.core.endpoint.tcp_info import TCPInfo
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.close import ConnectionClosedError, State

from ...kit.bytes import CLOSE, CONT, PING, PONG, TEXT, Received, frame
from ...kit.pair import Sink, deliver, finish, lose, make_session, sent, start, step


def live(**limits: Any) -> Endpoint:
    """Make a session with keepalive: a ping every 20 s, given up after 30 s."""
    limits = {"ping_interval": 20, "ping_timeout": 30, "close_timeout": 10, **limits}
    return make_session(**limits)


def ticks(session: Endpoint, until: float, *, left: int = 0, start: float = 0) -> float:
    """Be a driver whose output does not move: keep to the deadlines until `until`."""
    now = start
    for _ in range(10_000):
        deadline = session.deadline()
        if deadline is None or deadline > until:
            return now
        now = max(now, deadline)
        session.output_left(left, now)
        session.timer_expired(now)
        if session.must_abort:
            return now
    raise AssertionError("the deadline does not move")


def test_ping_is_sent_after_one_interval() -> None:
    session = live()
    assert session.deadline() == 20

    ticks(session, 20)

    (seen,) = sent(session)
    assert seen.opcode == PING
    assert len(seen.payload) == 4


def test_pong_lets_the_next_ping_come_and_gives_the_latency() -> None:
    session = live()
    for i in range(1, 5):
        ticks(session, 20 * i)
        (seen,) = sent(session)
        deliver(session, frame(PONG, seen.payload), 20 * i + 0.5)
        assert session.pings.latency == 0.5
        assert session.deadline() == 20 * (i + 1)


def test_timer_that_expires_early_does_nothing() -> None:
    session = live()
    for now in (0, 10, 19.99):
        session.timer_expired(now)
    assert sent(session) == []
    assert session.deadline() == 20


def test_silent_peer_is_closed_and_then_aborted_on_time() -> None:
    session = live()
    receiving = operations.recv(session)
    start(receiving)
    ticks(session, 20)
    sent(session)

    ticks(session, 49.9)
    assert sent(session) == []
    ticks(session, 50)

    assert [seen.close for seen in sent(session)] == [(1011, "keepalive ping timeout")]
    assert session.deadline() == 60
    assert ticks(session, 1000) == 60
    assert session.must_abort
    lose(session, now=60)
    with pytest.raises(ConnectionClosedError) as info:
        step(receiving)
    assert str(info.value) == (
        "sent 1011 (internal error) keepalive ping timeout; no close frame received"
    )
    assert type(info.value.__cause__) is TimeoutError
    assert str(info.value.__cause__) == (
        "dead link: no pong within 30 s (ping_timeout); "
        "the peer last sent data 50.0 s ago"
    )
    assert session.protocol.close_code == 1006


def test_peer_that_takes_the_ping_but_answers_nothing_is_closed_on_time() -> None:
    session = live()
    ticks(session, 20)
    sent(session)  # the system takes the ping at once

    ticks(session, 50)

    assert [seen.opcode for seen in sent(session)] == [CLOSE]


@pytest.mark.parametrize("stalled_at", [1, 19, 25])
def test_peer_that_stops_reading_is_closed_and_the_sender_released_in_time(
    stalled_at: float,
) -> None:
    session = live()
    now = ticks(session, stalled_at)
    finish(operations.send(session, b"x" * 10**6, False))
    left = len(session.writer.take())
    session.pause_writing()
    sending = operations.send(session, "more", True)
    waiter = start(sending, now)

    now = ticks(session, 1000, left=left, start=now)

    assert session.must_abort
    assert now <= stalled_at + 20 + 30 + 10
    lose(session, now=now)
    assert waiter.fired
    with pytest.raises(ConnectionClosedError):
        step(sending)


def test_peer_that_takes_output_slowly_is_never_closed() -> None:
    session = live()
    finish(operations.send(session, b"x" * 10**6, False))
    left = len(session.writer.take())
    session.pause_writing()
    now = 0.0
    while left > 500_000:
        deadline = session.deadline()
        assert deadline is not None
        now = max(deadline, now)
        left -= 1000
        session.output_left(left, now)
        session.timer_expired(now)
        left += session.writer.pending
        session.writer.take()
        assert session.protocol.state is State.OPEN

    assert now > 1000


def test_output_that_moved_gives_another_timeout_and_no_more() -> None:
    session = live()
    finish(operations.send(session, b"x" * 10**6, False))
    left = len(session.writer.take())
    session.pause_writing()
    ticks(session, 45, left=left)
    left += len(session.writer.take())
    session.output_left(left - 1, 46)

    ticks(session, 75.9, left=left - 1, start=46)
    assert sent(session) == []
    ticks(session, 76, left=left - 1, start=46)
    assert [seen.opcode for seen in sent(session)] == [CLOSE]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, "a"),
        frame(PING),
        frame(PONG, b"unsolicited"),
        frame(TEXT, "x" * 100)[:1],
        frame(CONT, b"x" * 100)[1:50],
    ],
)
def test_any_byte_proves_life(data: bytes) -> None:
    session = live()
    # The last case needs a message in progress.
    if data[0] != frame(CONT)[0] and len(data) == 49:
        deliver(session, frame(TEXT, "", fin=False) + frame(CONT, b"x" * 100)[:1])
    ticks(session, 20)
    sent(session)

    deliver(session, data, 49)
    ticks(session, 60, start=49)

    assert session.protocol.state is State.OPEN
    assert [seen.opcode for seen in sent(session) if seen.opcode != PONG] == [PING]


def test_life_that_came_before_the_ping_does_not_count() -> None:
    session = live()
    deliver(session, frame(TEXT, "a"), 19.9)
    ticks(session, 50)
    assert session.protocol.state is State.CLOSING
    assert "last sent data 30.1 s ago" in str(session.protocol.fault)


def test_answer_after_the_next_ping_was_due_asks_for_attention() -> None:
    session = live(ping_interval=20, ping_timeout=100)
    ticks(session, 20)
    (seen,) = sent(session)
    ticks(session, 45)
    session.needs_sync = False

    deliver(session, frame(PONG, seen.payload), 45)

    assert session.needs_sync
    deadline = session.deadline()
    assert deadline is not None
    assert deadline <= 45
    ticks(session, 45, start=45)
    assert [seen.opcode for seen in sent(session)] == [PING]


def test_without_ping_timeout_pings_are_sent_but_nobody_is_closed() -> None:
    session = live(ping_timeout=None)
    ticks(session, 100)
    assert [seen.opcode for seen in sent(session)] == [PING] * 5
    assert session.protocol.state is State.OPEN


def test_without_ping_interval_there_is_no_deadline() -> None:
    session = live(ping_interval=None)
    assert session.deadline() is None
    session.timer_expired(1e6)
    assert sent(session) == []


def test_user_ping_is_not_keepalive() -> None:
    session = live()
    sink = Sink()
    finish(operations.ping(session, b"mine", sink, 5))
    assert session.deadline() == 20
    ticks(session, 20)
    frames = sent(session)
    assert [seen.opcode for seen in frames] == [PING, PING]
    deliver(session, frame(PONG, frames[1].payload), 21)
    assert sink.rtt == 16


def test_keepalive_ping_never_has_the_data_of_one_that_waits() -> None:
    payloads = iter([b"aaaa", b"bbbb"])
    session = make_session(
        ping_interval=20, ping_timeout=30, random=lambda size: next(payloads)
    )
    finish(operations.ping(session, b"aaaa", None, 0))
    ticks(session, 20)
    assert [seen.payload for seen in sent(session)] == [b"aaaa", b"bbbb"]


# Our side does not read


def paused(**limits: Any) -> Endpoint:
    """Make a session whose queue is full: reading is paused."""
    session = live(queue_high=4, queue_low=1, **limits)
    deliver(session, frame(TEXT, "a") * 6, 1)
    assert session.reading_paused
    return session


def test_while_reading_is_paused_our_keepalive_closes_nothing() -> None:
    session = paused()

    ticks(session, 10_000)
    session.timer_expired(1e6)

    assert session.protocol.state is State.OPEN
    # They go on: without them, nothing would tell that the peer has gone.
    assert [seen.opcode for seen in sent(session)] == [PING] * 2000


# The peer leaves while reading is paused


def left(session: Endpoint, gone: bool, at: float) -> None:
    """Let the peer end TCP, as a driver sees it that watches."""
    ticks(session, at)
    assert session.watching
    session.peer_left(gone, at)


def test_after_a_moment_of_pause_the_end_is_watched_for() -> None:
    session = paused(ping_interval=None)
    assert not session.watching
    assert session.deadline() == 1.25

    ticks(session, 1.25)

    assert session.watching
    assert session.needs_sync
    assert session.deadline() is None
    finish(operations.recv(session))
    while session.reading_paused:
        finish(operations.recv(session))
    assert not session.watching


@pytest.mark.parametrize("gone", [False, True])
def test_peer_that_left_is_given_up_when_nothing_is_taken(gone: bool) -> None:
    session = paused()
    left(session, gone, 5)
    assert session.deadline() == 15

    assert ticks(session, 20, start=5) == 15

    assert session.must_abort
    # What has arrived is read first, up to what may be kept.
    assert session.next_tcp_step(False) is TCPStep.DRAIN_INPUT
    session.tcp_close.drain_started()
    session.tcp_close.drain_ended()
    assert session.next_tcp_step(False) is TCPStep.END
    session.transport_lost(None, 15)
    error = session.protocol.close_exc
    assert isinstance(error.__cause__, ConnectionAbortedError)
    assert "not taken for 10 s (close_timeout)" in str(error.__cause__)


def test_peer_that_left_waits_for_an_application_that_takes_messages() -> None:
    session = paused()
    left(session, True, 5)
    finish(operations.recv(session))

    assert ticks(session, 20, start=5) == 15
    assert not session.must_abort
    assert session.deadline() == 25

    while session.reading_paused:
        finish(operations.recv(session))
    # From here on reading finds the end.
    assert session.deadline() != 25


def test_without_close_timeout_only_a_peer_that_is_gone_is_given_up() -> None:
    session = paused(close_timeout=None, ping_interval=None)
    left(session, False, 5)
    assert session.deadline() is None
    session.peer_left(True, 100)

    assert ticks(session, 200, start=100) == 110

    assert session.must_abort


def test_end_that_is_seen_too_late_changes_nothing() -> None:
    session = paused()
    while session.reading_paused:
        finish(operations.recv(session))
    session.peer_left(True, 5)
    assert session.deadline() != 15


def test_dead_link_is_noticed_while_reading_is_paused() -> None:
    session = paused()
    ticks(session, 20)

    for now in (40, 60, 80, 81):
        session.output_left(6, now, TCPInfo(0, 0, False))
        session.timer_expired(now)
        if session.closing_tcp:
            break

    assert session.keepalive.verdict is Verdict.DEAD_LINK


def test_blocked_sender_is_released_while_reading_is_paused() -> None:
    session = paused()
    finish(operations.recv(session))
    session.pause_writing()
    sending = operations.send(session, "waits", True)
    start(sending)

    ended_at = ticks(session, 200, left=100_000)

    assert session.keepalive.verdict is Verdict.STALLED_PEER
    assert ended_at <= 20 + 30 + 10 + 30 / 4


def test_when_reading_resumes_the_peer_has_a_whole_timeout() -> None:
    session = paused()
    ticks(session, 20)
    *_, ping = sent(session)
    session.needs_sync = False

    # Minutes later the application reads; nobody tells it what time it is.
    for _ in range(5):
        finish(operations.recv(session))
    assert not session.reading_paused
    assert session.needs_sync
    ticks(session, 500, start=500)

    assert session.protocol.state is State.OPEN
    assert session.deadline() == 530
    deliver(session, frame(PONG, ping.payload), 501)
    ticks(session, 530, start=501)
    assert session.protocol.state is State.OPEN


def test_peer_that_died_meanwhile_is_closed_after_reading_resumed() -> None:
    session = paused()
    ticks(session, 20)
    sent(session)
    for _ in range(5):
        finish(operations.recv(session))
    ticks(session, 500, start=500)

    ticks(session, 530, start=500)

    assert sent(session) == [
        Received(CLOSE, b"\x03\xf3keepalive ping timeout", masked=True)
    ]


def test_keepalive_pings_that_are_never_answered_are_not_kept() -> None:
    session = make_session(ping_interval=1, ping_timeout=None)
    for second in range(1, 50):
        session.timer_expired(float(second))
        session.feed(frame(0x1, b"alive"), second + 0.5)

    assert len(session.pings) < 10


def test_connection_that_sends_nothing_between_two_pings_releases_its_stream() -> None:
    deflate = PerMessageDeflate(False, False, 15, 15)
    session = make_session(extensions=[deflate], ping_interval=20, ping_timeout=None)
    finish(operations.send(session, "hello " * 9, True))
    assert deflate._compressor is not None
    for now in (20, 40):
        assert deflate._compressor is not None
        session.timer_expired(now)
    assert deflate._compressor is None

    finish(operations.send(session, "hello " * 9, True))
    session.timer_expired(60)
    finish(operations.send(session, "hello " * 9, True))
    session.timer_expired(80)
    assert deflate._compressor is not None
    *_, last = [seen for seen in sent(session) if seen.opcode == TEXT]
    assert len(last.payload) < 10  # it refers to the one before


def test_message_in_fragments_keeps_its_stream() -> None:
    deflate = PerMessageDeflate(False, False, 15, 15)
    session = make_session(extensions=[deflate], ping_interval=20, ping_timeout=None)
    fragments = FragmentSender(session, None)
    finish(fragments.add("hello " * 9))
    for now in (20, 40, 60):
        session.timer_expired(now)
    assert deflate._compressor is not None
