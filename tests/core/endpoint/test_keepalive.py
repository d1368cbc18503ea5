"""When to ping, and when a silent peer counts as dead."""

from __future__ import annotations

import pytest

from fullduplex.core.endpoint.keepalive import Keepalive, TimerResult, Verdict
from fullduplex.core.endpoint.tcp_info import TCPInfo


def pinged(interval: float = 20, timeout: float | None = 30) -> Keepalive:
    """Return keepalive that was started at 0 and has pinged after `interval`."""
    keepalive = Keepalive(interval, timeout, 0)
    assert keepalive.expired(interval) is TimerResult.PING
    return keepalive


def test_first_ping_is_due_one_interval_after_the_start() -> None:
    keepalive = Keepalive(20, 30, 100)

    assert keepalive.deadline(100) == 120
    assert keepalive.expired(119.9) is TimerResult.NOTHING
    assert keepalive.expired(120) is TimerResult.PING


def test_without_interval_nothing_is_ever_due() -> None:
    keepalive = Keepalive(None, 30, 0)

    assert keepalive.deadline(0) is None
    assert keepalive.expired(1e9) is TimerResult.NOTHING


def test_stop_ends_everything() -> None:
    for keepalive in (Keepalive(20, 30, 0), pinged()):
        keepalive.stop()

        assert keepalive.deadline(50) is None
        assert keepalive.expired(1000) is TimerResult.NOTHING


def test_answered_ping_is_followed_by_the_next_after_one_interval() -> None:
    keepalive = pinged()
    keepalive.activity_since_ping = True

    assert keepalive.deadline(21) == 40
    assert keepalive.expired(39) is TimerResult.NOTHING
    assert keepalive.expired(40) is TimerResult.PING


def test_interval_is_counted_from_ping_to_ping_and_not_from_the_pong() -> None:
    keepalive = pinged(interval=20)
    keepalive.activity_since_ping = True

    keepalive.expired(35)

    assert keepalive.deadline(35) == 40


def test_silent_peer_is_dead_one_timeout_after_the_ping() -> None:
    keepalive = pinged()

    assert keepalive.expired(49.9) is TimerResult.NOTHING
    assert keepalive.deadline(49.9) == 50
    assert keepalive.expired(50) is TimerResult.DEAD


def test_timeout_shorter_than_the_interval_is_the_deadline() -> None:
    keepalive = pinged(interval=20, timeout=5)

    assert keepalive.deadline(20) == 25
    assert keepalive.expired(25) is TimerResult.DEAD


def test_no_second_ping_is_sent_while_one_waits() -> None:
    keepalive = pinged(interval=20, timeout=100)
    assert keepalive.expired(40) is TimerResult.NOTHING
    assert keepalive.expired(60) is TimerResult.NOTHING


def test_answer_after_the_next_ping_was_due_makes_it_due_at_once() -> None:
    keepalive = pinged(interval=20, timeout=100)
    assert not keepalive.overdue(39)
    assert keepalive.overdue(45)
    keepalive.activity_since_ping = True

    deadline = keepalive.deadline(45)

    assert deadline is not None
    assert deadline <= 45
    assert keepalive.expired(45) is TimerResult.PING


def test_without_timeout_pings_go_on_though_nobody_answers() -> None:
    keepalive = pinged(timeout=None)

    for now in range(40, 1000, 20):
        assert keepalive.deadline(now - 20) == now
        assert keepalive.expired(now - 1) is TimerResult.NOTHING
        assert keepalive.expired(now) is TimerResult.PING


def test_pings_do_not_pile_up_in_a_system_that_cannot_send_them() -> None:
    keepalive = pinged(timeout=None)

    for now in range(40, 1000, 20):
        keepalive.output(0, 6, now)
        assert keepalive.expired(now) is TimerResult.NOTHING
        assert keepalive.deadline(now) == now + 20

    keepalive.output(6, 0, 1000)
    assert keepalive.expired(1000) is TimerResult.PING


def test_interval_of_zero_without_timeout_waits_between_unanswered_pings() -> None:
    keepalive = pinged(interval=0, timeout=None)

    assert keepalive.deadline(0) == 1
    assert keepalive.expired(0.5) is TimerResult.NOTHING
    assert keepalive.expired(1) is TimerResult.PING


def test_interval_of_zero_pings_as_fast_as_it_is_answered() -> None:
    keepalive = Keepalive(0, 30, 0)

    for now in (0, 1, 2):
        assert keepalive.expired(now) is TimerResult.PING
        assert keepalive.expired(now) is TimerResult.NOTHING
        keepalive.activity_since_ping = True
        deadline = keepalive.deadline(now)
        assert deadline is not None
        assert deadline <= now


# Our side does not read


def test_while_our_side_does_not_read_nobody_is_dead() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)

    assert keepalive.expired(52) is TimerResult.STALLED
    # Pings come sooner: a peer that has closed TCP may be unable to say so.
    for now in range(52, 10_000, 5):
        assert keepalive.expired(now) is TimerResult.PING
        assert keepalive.deadline(now) == now + 5


def test_while_our_side_does_not_read_tcp_is_asked_for_signs_of_life() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)
    keepalive.output(6, 6, 22, TCPInfo(0, 0, True))
    keepalive.output(6, 6, 40, TCPInfo(0, 0, False))

    # The peer's system has not acknowledged the ping.
    assert keepalive.deadline(40) == 47.5
    assert keepalive.expired(49) is TimerResult.NOTHING
    assert keepalive.expired(52) is TimerResult.STALLED
    assert keepalive.expired(52) is TimerResult.NOTHING
    assert keepalive.expired(69.9) is TimerResult.NOTHING
    assert keepalive.expired(70) is TimerResult.DEAD
    assert keepalive.verdict is Verdict.DEAD_LINK


def test_while_our_side_does_not_read_a_blocked_sender_is_not_kept_waiting() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)
    for now in (30, 40):
        keepalive.output(0, 70_000, now, TCPInfo(0, 0, True), blocked=True)
        assert keepalive.expired(now) is TimerResult.NOTHING
    assert keepalive.expired(52) is TimerResult.STALLED

    keepalive.output(0, 70_000, 60, TCPInfo(0, 0, True), blocked=True)
    assert keepalive.expired(60) is TimerResult.DEAD
    assert keepalive.verdict is Verdict.STALLED_PEER


def test_what_left_a_moment_ago_is_no_reason_to_end_a_paused_connection() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)
    keepalive.output(0, 0, 22, TCPInfo(0, 0, True))
    assert keepalive.expired(52) is TimerResult.STALLED
    assert keepalive.expired(52) is TimerResult.PING

    # A message, which is on its way when the timer fires.
    keepalive.output(0, 500, 82.5, TCPInfo(0, 0, False))
    assert keepalive.expired(82.5) is TimerResult.NOTHING
    keepalive.output(500, 0, 90, TCPInfo(500, 0, True))
    assert keepalive.expired(200) is TimerResult.PING


def test_application_that_does_not_read_for_a_timeout_stalls_once() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.reading(False, 5)

    assert keepalive.expired(10) is TimerResult.PING
    for now in (15, 20, 25, 30):
        assert keepalive.expired(now) is TimerResult.PING
    assert keepalive.deadline(30) == 35
    assert keepalive.expired(34) is TimerResult.NOTHING
    assert str(keepalive.verdict) == "alive"
    assert keepalive.expired(35) is TimerResult.STALLED

    assert str(keepalive.verdict) == "stalled application"
    assert keepalive.stalls == 1
    assert keepalive.deadline(35) == 35  # a ping is due too
    keepalive.reading(True, 5)
    assert str(keepalive.verdict) == "alive"


def test_application_that_reads_in_time_has_not_stalled() -> None:
    keepalive = Keepalive(20, 30, 0)
    for now in range(0, 200, 20):
        keepalive.reading(False, now)
        assert keepalive.expired(now + 19) is not TimerResult.STALLED
        keepalive.reading(True, now + 19)
        keepalive.expired(now + 19)
        keepalive.activity_since_ping = True

    assert keepalive.stalls == 0


def test_each_stall_is_counted() -> None:
    keepalive = Keepalive(20, 30, 0)
    for now in (0, 100, 200):
        keepalive.reading(False, now)
        keepalive.expired(now + 30)
        keepalive.expired(now + 90)
        keepalive.reading(True, now)

    assert keepalive.stalls == 3


def test_without_timeout_no_application_stalls() -> None:
    keepalive = Keepalive(20, None, 0)
    keepalive.reading(False, 5)

    assert keepalive.expired(20) is TimerResult.PING
    assert keepalive.expired(1e9) is TimerResult.PING


def test_ping_is_sent_though_our_side_does_not_read() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.reading(False, 5)

    assert keepalive.deadline(5) == 10
    assert keepalive.expired(9) is TimerResult.NOTHING
    assert keepalive.expired(10) is TimerResult.PING
    keepalive.activity_since_ping = True
    assert keepalive.deadline(10) == 15
    assert keepalive.expired(14) is TimerResult.NOTHING
    assert keepalive.expired(15) is TimerResult.PING


def test_short_pauses_of_our_side_bring_no_ping_forward() -> None:
    keepalive = Keepalive(20, 30, 0)
    for now in range(1, 19, 3):
        keepalive.reading(False, now)
        assert keepalive.expired(now + 2) is TimerResult.NOTHING
        keepalive.reading(True, now + 2)
    assert keepalive.deadline(19) == 20


def test_when_our_side_reads_again_the_peer_has_a_whole_timeout() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)
    keepalive.reading(True, 500)

    assert keepalive.expired(500) is TimerResult.NOTHING
    assert keepalive.deadline(500) == 530
    assert keepalive.expired(529) is TimerResult.NOTHING
    assert keepalive.expired(530) is TimerResult.DEAD


def test_when_our_side_reads_again_the_time_need_not_be_known() -> None:
    keepalive = pinged(interval=20, timeout=30)
    keepalive.reading(False, 22)
    keepalive.reading(True, 22)  # told by somebody without a clock, much later

    deadline = keepalive.deadline(22)
    assert deadline is not None
    assert deadline <= 22
    assert keepalive.expired(500) is TimerResult.NOTHING

    assert keepalive.deadline(500) == 530
    assert keepalive.expired(530) is TimerResult.DEAD


# Our output moves, or not


def test_output_that_moves_gives_the_peer_another_timeout() -> None:
    keepalive = pinged()
    keepalive.output(1000, 500, 45)

    assert keepalive.expired(50) is TimerResult.NOTHING
    assert keepalive.expired(74) is TimerResult.NOTHING
    assert keepalive.expired(75) is TimerResult.DEAD


def test_peer_that_takes_output_slowly_never_dies() -> None:
    keepalive = pinged(timeout=20)
    now = 20.0
    for flushed in range(1, 1000):
        deadline = keepalive.deadline(now)
        assert deadline is not None
        assert deadline > now
        now = deadline
        keepalive.output(flushed, 10**6, now)
        assert keepalive.expired(now) is TimerResult.NOTHING


def test_output_that_waits_but_does_not_move_is_no_sign_of_life() -> None:
    keepalive = Keepalive(20, 30, 0)
    for now in (10, 20):
        keepalive.output(1000, 500, now)
        keepalive.expired(now)
    for now in (30, 40, 49):
        keepalive.output(1000, 500, now)
        assert keepalive.expired(now) is TimerResult.NOTHING

    keepalive.output(1000, 500, 50)
    assert keepalive.expired(50) is TimerResult.DEAD


def test_while_output_waits_it_is_looked_at_several_times_in_a_timeout() -> None:
    keepalive = pinged(timeout=20)
    keepalive.output(0, 500, 20)

    assert keepalive.deadline(20) == 25


def test_ping_that_left_us_is_no_sign_of_life() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.output(0, 0, 20)
    assert keepalive.expired(20) is TimerResult.PING

    keepalive.output(6, 0, 50)  # the system took the ping, and that was all

    assert keepalive.expired(50) is TimerResult.DEAD


def test_output_that_began_to_wait_after_the_ping_is_looked_at_soon() -> None:
    keepalive = pinged(interval=1, timeout=20)
    keepalive.output(0, 0, 1)

    assert keepalive.blocked()

    assert keepalive.deadline(2) == 6
    keepalive.output(1000, 500, 6)
    assert keepalive.expired(6) is TimerResult.NOTHING
    assert keepalive.expired(26) is TimerResult.DEAD


def test_output_that_waits_changes_no_deadline_of_a_peer_that_answered() -> None:
    keepalive = pinged()
    keepalive.activity_since_ping = True

    assert not keepalive.blocked()


# What TCP tells


def test_bytes_that_only_tcp_has_seen_are_a_sign_of_life() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.output(0, 0, 20, TCPInfo(0, 5000, True))
    keepalive.expired(20)
    keepalive.output(6, 0, 50, TCPInfo(6, 5001, True))

    assert keepalive.expired(50) is TimerResult.PING


def test_acknowledged_bytes_are_progress_and_counted_ones_are_not() -> None:
    # The overhead of TLS makes the count of what is left grow with each record.
    keepalive = pinged()
    keepalive.output(1000, 500, 20, TCPInfo(700, 0, False))
    keepalive.output(950, 600, 30, TCPInfo(700, 0, False))
    keepalive.output(900, 700, 40, TCPInfo(700, 0, False))
    assert keepalive.expired(50) is TimerResult.DEAD

    keepalive = pinged()
    keepalive.output(1000, 500, 20, TCPInfo(700, 0, False))
    keepalive.output(1000, 500, 40, TCPInfo(701, 0, False))
    assert keepalive.expired(50) is TimerResult.NOTHING
    assert keepalive.expired(70) is TimerResult.DEAD


@pytest.mark.parametrize(
    ("left", "link", "verdict"),
    [
        (0, None, Verdict.DEAD_LINK),
        (0, TCPInfo(6, 0, True), Verdict.DEAD_LINK),
        (6, TCPInfo(0, 0, False), Verdict.DEAD_LINK),
        (5000, TCPInfo(0, 0, False), Verdict.DEAD_LINK),
        (5000, TCPInfo(0, 0, True), Verdict.STALLED_PEER),
        (5000, None, Verdict.STALLED_PEER),
    ],
)
def test_verdict_says_what_is_dead(
    left: int, link: TCPInfo | None, verdict: Verdict
) -> None:
    keepalive = pinged()
    for now in (20, 45):
        keepalive.output(0, left, now, link)

    assert keepalive.expired(50) is TimerResult.DEAD
    assert keepalive.verdict is verdict
    assert str(verdict) in keepalive.diagnosis(0, 74)


def test_rule_of_tcp_is_lifted_while_a_living_peer_does_not_read() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.output(1000, 500, 10)
    keepalive.output(1000, 500, 20)
    keepalive.expired(20)
    assert keepalive.suspend_user_timeout

    keepalive.output(1000, 500, 25)  # nobody has answered this ping yet
    assert keepalive.suspend_user_timeout

    keepalive.output(1200, 300, 40)
    assert not keepalive.suspend_user_timeout


def test_rule_of_tcp_is_lifted_while_our_application_stalls() -> None:
    keepalive = pinged()
    keepalive.output(1000, 0, 20)
    keepalive.blocked()
    keepalive.reading(False, 21)
    assert not keepalive.suspend_user_timeout

    keepalive.expired(51)
    assert keepalive.suspend_user_timeout

    keepalive.reading(True, 51)
    assert keepalive.suspend_user_timeout
    keepalive.output(1000, 0, 90)
    assert not keepalive.suspend_user_timeout


# A clock that is looked at late


def test_who_looks_late_reads_what_is_there_before_the_verdict() -> None:
    keepalive = pinged()

    assert (
        keepalive.expired(57) is TimerResult.NOTHING
    )  # due at 50: the program was busy
    deadline = keepalive.deadline(57)
    assert deadline is not None
    assert 57 < deadline < 57.1
    keepalive.activity_since_ping = True

    assert keepalive.expired(deadline) is TimerResult.PING


def test_who_looks_late_and_finds_nothing_gives_up_at_once_afterwards() -> None:
    keepalive = pinged()
    assert keepalive.expired(57) is TimerResult.NOTHING
    assert keepalive.expired(57.001) is TimerResult.NOTHING

    assert keepalive.expired(57.01) is TimerResult.DEAD


def test_diagnosis_names_the_verdict_the_parameter_and_the_silence() -> None:
    keepalive = pinged(timeout=20)
    keepalive.expired(40)
    assert keepalive.diagnosis(9, 50) == (
        "dead link: no pong within 20 s (ping_timeout); "
        "the peer last sent data 41.0 s ago"
    )
    keepalive = pinged(timeout=20)
    keepalive.output(0, 70_000, 20)
    keepalive.expired(40)
    assert keepalive.diagnosis(9, 50) == (
        "stalled peer: 70,000 bytes of output have not moved for 20 s (ping_timeout); "
        "the peer last sent data 41.0 s ago"
    )
    keepalive = pinged(timeout=20)
    keepalive.reading(False, 20)
    keepalive.expired(40)
    assert keepalive.diagnosis(9, 50) == (
        "stalled application: reading has been paused for 20 s (ping_timeout), "
        "because received messages are not taken"
    )


@pytest.mark.parametrize("now", [0, 5, 19.99])
def test_expired_too_early_does_nothing(now: float) -> None:
    keepalive = Keepalive(20, 30, 0)
    assert keepalive.expired(now) is TimerResult.NOTHING
    assert keepalive.deadline(now) == 20
