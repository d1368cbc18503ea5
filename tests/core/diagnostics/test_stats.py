"""What a session counts, and what its numbers say."""

from __future__ import annotations

import pytest

from fullduplex.core.diagnostics.stats import Stats, percentile
from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.keepalive import Verdict
from fullduplex.core.extensions.deflate import PerMessageDeflate

from ...kit.bytes import PING, PONG, TEXT, frame
from ...kit.pair import SessionPair, Sink, deliver, finish, lose, make_session, sent


def test_session_that_carried_nothing_has_no_ages() -> None:
    stats = Stats.of(make_session(now=100), 150)

    assert stats == Stats()
    assert stats.received_age is None
    assert stats.sent_age is None
    assert stats.rtt.count == 0
    assert stats.rtt.p50 is None


def test_bytes_and_messages_are_counted_each_way() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "abc") + frame(PING), 10)
    finish(operations.send(session, bytes(1000), False))
    data = session.writer.take()
    session.sent_at = 12

    stats = Stats.of(session, 15)

    assert stats.bytes_received == 7
    assert (stats.messages_received, stats.payload_received) == (1, 3)
    assert stats.bytes_sent == len(data) == 8 + 1000 + 6
    assert (stats.messages_sent, stats.payload_sent) == (1, 1000)
    assert (stats.received_age, stats.sent_age) == (5, 3)


def test_compressed_messages_are_counted_as_they_travel() -> None:
    pair = SessionPair(
        client={"extensions": [PerMessageDeflate(False, False, 15, 15)]},
        server={"extensions": [PerMessageDeflate(False, False, 15, 15)]},
    )
    finish(operations.send(pair.client, "x" * 10_000, True))
    pair.pump()

    ours, theirs = Stats.of(pair.client, 0), Stats.of(pair.server, 0)

    assert ours.messages_sent == theirs.messages_received == 1
    assert 0 < ours.payload_sent == theirs.payload_received < 1000
    assert ours.bytes_sent == theirs.bytes_received


def test_what_waits_is_shown_on_both_sides() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "abc") * 3)
    finish(operations.send(session, "12345", True))

    stats = Stats.of(session, 0, 500)

    assert (stats.queue_messages, stats.queue_bytes) == (3, 9)
    assert stats.write_buffer == 11 + 500
    assert stats.sent_age is None


def test_pings_and_their_times_are_kept() -> None:
    session = make_session(ping_interval=20, ping_timeout=20)
    finish(operations.ping(session, b"1", Sink(), 1))
    finish(operations.ping(session, b"2", Sink(), 2))
    deliver(session, frame(PONG, b"2"), 2.5)
    session.timer_expired(20)
    payload = [seen.payload for seen in sent(session)][-1]
    deliver(session, frame(PONG, payload), 20.25)
    finish(operations.ping(session, b"3", Sink(), 21))

    stats = Stats.of(session, 30)

    assert (stats.pings_sent, stats.pings_answered) == (4, 3)
    # The first one was answered by the pong of the second: its time is not known.
    assert stats.rtt.count == 2
    assert (stats.rtt.min, stats.rtt.mean, stats.rtt.last) == (0.25, 0.375, 0.25)
    assert session.pings.latency == stats.rtt.last


def test_after_the_end_the_numbers_stand_still() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "abc"), 10)
    lose(session, None, 12)

    assert Stats.of(session, 12) == Stats.of(session, 1000)
    assert Stats.of(session, 1000).received_age == 2


def test_stalls_of_the_application_are_counted_and_told_once() -> None:
    told: list[str] = []
    session = make_session(ping_interval=20, ping_timeout=30, queue_high=4, queue_low=1)
    session.log = lambda level, text, *arguments: told.append(text % arguments)
    deliver(session, frame(TEXT, "a") * 6, 1)
    for now in (20, 31, 40, 500):
        session.timer_expired(now)

    stats = Stats.of(session, 500)
    assert stats.verdict is Verdict.STALLED_APPLICATION
    assert stats.stalls == 1
    assert told == [
        "stalled application: reading has been paused for 30 s (ping_timeout), "
        "because received messages are not taken; messages waiting: 5; "
        "the peer: an unknown address"
    ]

    for _ in range(6):
        finish(operations.recv(session))
    assert Stats.of(session, 501).verdict is Verdict.ALIVE
    assert Stats.of(session, 501).stalls == 1


def test_times_of_pings_are_summed_up() -> None:
    session = make_session()
    for number in range(1, 101):
        finish(operations.ping(session, b"1", None, 0))
        deliver(session, frame(PONG, b"1"), number / 1000)

    rtt = Stats.of(session, 1).rtt

    assert rtt.count == 100
    assert (rtt.min, rtt.last) == (0.037, 0.1)
    assert rtt.mean == pytest.approx(0.0685)
    assert rtt.p50 == pytest.approx(0.0685)
    assert rtt.p99 == pytest.approx(0.09937)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1.0), (50, 2.5), (100, 4.0), (99, 3.97)]
)
def test_percentile_lies_between_neighbours(percent: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == pytest.approx(value)
    assert percentile([7.0], percent) == 7.0
