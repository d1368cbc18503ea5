"""When to ping, and when a silent peer counts as dead."""

from __future__ import annotations

import pytest

from fullduplex.core.keepalive import Due, Keepalive


def pinged(interval: float = 20, timeout: float | None = 30) -> Keepalive:
    """Return keepalive that was started at 0 and has pinged after `interval`."""
    keepalive = Keepalive(interval, timeout, 0)
    assert keepalive.expired(interval) is Due.PING
    return keepalive


def test_first_ping_is_due_one_interval_after_the_start() -> None:
    keepalive = Keepalive(20, 30, 100)

    assert keepalive.deadline(100) == 120
    assert keepalive.expired(119.9) is Due.NOTHING
    assert keepalive.expired(120) is Due.PING


def test_without_interval_nothing_is_ever_due() -> None:
    keepalive = Keepalive(None, 30, 0)

    assert keepalive.deadline(0) is None
    assert keepalive.expired(1e9) is Due.NOTHING


def test_stop_ends_everything() -> None:
    for keepalive in (Keepalive(20, 30, 0), pinged()):
        keepalive.stop()

        assert keepalive.deadline(50) is None
        assert keepalive.expired(1000) is Due.NOTHING


def test_answered_ping_is_followed_by_the_next_after_one_interval() -> None:
    keepalive = pinged()
    keepalive.heard = True

    assert keepalive.deadline(21) == 40
    assert keepalive.expired(39) is Due.NOTHING
    assert keepalive.expired(40) is Due.PING


def test_interval_is_counted_from_ping_to_ping_and_not_from_the_pong() -> None:
    keepalive = pinged(interval=20)
    keepalive.heard = True

    keepalive.expired(35)

    assert keepalive.deadline(35) == 40


def test_silent_peer_is_dead_one_timeout_after_the_ping() -> None:
    keepalive = pinged()

    assert keepalive.expired(49.9) is Due.NOTHING
    assert keepalive.deadline(49.9) == 50
    assert keepalive.expired(50) is Due.DEAD


def test_timeout_shorter_than_the_interval_is_the_deadline() -> None:
    keepalive = pinged(interval=20, timeout=5)

    assert keepalive.deadline(20) == 25
    assert keepalive.expired(25) is Due.DEAD


def test_no_second_ping_is_sent_while_one_waits() -> None:
    keepalive = pinged(interval=20, timeout=100)
    assert keepalive.expired(40) is Due.NOTHING
    assert keepalive.expired(60) is Due.NOTHING


def test_answer_after_the_next_ping_was_due_makes_it_due_at_once() -> None:
    keepalive = pinged(interval=20, timeout=100)
    assert not keepalive.overdue(39)
    assert keepalive.overdue(45)
    keepalive.heard = True

    deadline = keepalive.deadline(45)

    assert deadline is not None
    assert deadline <= 45
    assert keepalive.expired(45) is Due.PING


def test_without_timeout_an_unanswered_ping_waits_for_ever() -> None:
    keepalive = pinged(timeout=None)

    assert keepalive.expired(1e9) is Due.NOTHING
    assert keepalive.deadline(1e9) is None


def test_interval_of_zero_pings_as_fast_as_it_is_answered() -> None:
    keepalive = Keepalive(0, 30, 0)

    for now in (0, 1, 2):
        assert keepalive.expired(now) is Due.PING
        assert keepalive.expired(now) is Due.NOTHING
        keepalive.heard = True
        deadline = keepalive.deadline(now)
        assert deadline is not None
        assert deadline <= now


# Our side does not read


def test_while_our_side_does_not_read_nobody_is_dead() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)

    assert keepalive.deadline(22) is None
    assert keepalive.expired(10_000) is Due.NOTHING


def test_ping_is_sent_though_our_side_does_not_read() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.reading(False, 5)

    assert keepalive.deadline(5) == 20
    assert keepalive.expired(20) is Due.PING


def test_when_our_side_reads_again_the_peer_has_a_whole_timeout() -> None:
    keepalive = pinged()
    keepalive.reading(False, 22)
    keepalive.reading(True, 500)

    assert keepalive.expired(500) is Due.NOTHING
    assert keepalive.deadline(500) == 530
    assert keepalive.expired(529) is Due.NOTHING
    assert keepalive.expired(530) is Due.DEAD


def test_when_our_side_reads_again_the_time_need_not_be_known() -> None:
    keepalive = pinged(interval=20, timeout=30)
    keepalive.reading(False, 22)
    keepalive.reading(True, 22)  # told by somebody without a clock, much later

    deadline = keepalive.deadline(22)
    assert deadline is not None
    assert deadline <= 22
    assert keepalive.expired(500) is Due.NOTHING

    assert keepalive.deadline(500) == 530
    assert keepalive.expired(530) is Due.DEAD


# Our output moves, or not


def test_output_that_moves_gives_the_peer_another_timeout() -> None:
    keepalive = pinged()
    keepalive.output(1000, 500, 45)

    assert keepalive.expired(50) is Due.NOTHING
    assert keepalive.expired(74) is Due.NOTHING
    assert keepalive.expired(75) is Due.DEAD


def test_peer_that_takes_output_slowly_never_dies() -> None:
    keepalive = pinged(timeout=20)
    now = 20.0
    for flushed in range(1, 1000):
        deadline = keepalive.deadline(now)
        assert deadline is not None
        assert deadline > now
        now = deadline
        keepalive.output(flushed, 10**6, now)
        assert keepalive.expired(now) is Due.NOTHING


def test_output_that_waits_but_does_not_move_is_no_sign_of_life() -> None:
    keepalive = Keepalive(20, 30, 0)
    for now in (10, 20):
        keepalive.output(1000, 500, now)
        keepalive.expired(now)
    for now in (30, 40, 49):
        keepalive.output(1000, 500, now)
        assert keepalive.expired(now) is Due.NOTHING

    keepalive.output(1000, 500, 50)
    assert keepalive.expired(50) is Due.DEAD


def test_while_output_waits_it_is_looked_at_several_times_in_a_timeout() -> None:
    keepalive = pinged(timeout=20)
    keepalive.output(0, 500, 20)

    assert keepalive.deadline(20) == 25


def test_ping_that_left_us_is_no_sign_of_life() -> None:
    keepalive = Keepalive(20, 30, 0)
    keepalive.output(0, 0, 20)
    assert keepalive.expired(20) is Due.PING

    keepalive.output(6, 0, 50)  # the system took the ping, and that was all

    assert keepalive.expired(50) is Due.DEAD


def test_diagnosis_names_the_parameter_and_the_silence() -> None:
    assert pinged(timeout=20).diagnosis(9, 50) == (
        "no pong within 20 s (ping_timeout); the peer last sent data 41.0 s ago"
    )
    assert "within 0.5 s" in pinged(timeout=0.5).diagnosis(9, 50)


@pytest.mark.parametrize("now", [0, 5, 19.99])
def test_expired_too_early_does_nothing(now: float) -> None:
    keepalive = Keepalive(20, 30, 0)
    assert keepalive.expired(now) is Due.NOTHING
    assert keepalive.deadline(now) == 20
