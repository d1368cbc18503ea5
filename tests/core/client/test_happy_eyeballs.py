"""Which addresses are tried when, and what is said if none answers."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.client.happy_eyeballs import HappyEyeballs, interleave_families
from fullduplex.core.client.os_errors import describe_os_error, set_error_text
from fullduplex.core.diagnostics.connect_trace import ConnectTrace

SIX, FOUR = 10, 2  # families


def address(name: str, family: int = FOUR) -> Any:
    return family, 1, 6, "", (name, 80)


A, B, C = address("192.0.2.1"), address("192.0.2.2"), address("2001:db8::1", SIX)
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('x', 80)")
UNREACHABLE = OSError(errno.ENETUNREACH, "Network is unreachable")


def race(*addresses: Any, **options: Any) -> HappyEyeballs:
    return HappyEyeballs(addresses, "example.com:80", **options)


# The order


def test_families_take_turns() -> None:
    six = [address(f"::{n}", SIX) for n in range(3)]
    four = [address(f"10.0.0.{n}") for n in range(2)]

    assert interleave_families([*six, *four], 1) == [
        six[0],
        four[0],
        six[1],
        four[1],
        six[2],
    ]
    assert interleave_families([*six, *four], 2) == [
        six[0],
        six[1],
        four[0],
        six[2],
        four[1],
    ]
    assert interleave_families([*six, *four], 0) == [*six, *four]
    assert interleave_families([*four, *six], 1)[0] == four[0]
    assert interleave_families(four, 1) == four


@given(st.lists(st.tuples(st.sampled_from([SIX, FOUR]), st.integers())), st.integers())
def test_no_address_is_lost_or_doubled(pairs: list[Any], first: int) -> None:
    addresses = [address(str(number), family) for family, number in pairs]

    ordered = interleave_families(addresses, min(first, 5))

    assert sorted(ordered) == sorted(addresses)
    assert ordered[:1] == addresses[:1]


# The race


def test_next_address_is_tried_after_the_delay() -> None:
    trying = race(A, B, delay=0.25)

    assert trying.start(10) == A
    assert trying.start(10) is None
    assert trying.next_at == 10.25
    assert trying.start(10.2) is None
    assert trying.start(10.25) == B
    assert trying.next_at is None
    assert not trying.lost


def test_next_address_is_tried_at_once_when_one_has_failed() -> None:
    trying = race(A, B, C, delay=0.25)
    trying.start(10)

    trying.failed(A, REFUSED, 10.1)

    assert trying.start(10.1) == B
    assert trying.next_at == pytest.approx(10.35)


def test_without_delay_each_failure_is_waited_for() -> None:
    trying = race(A, B, delay=None)
    trying.start(10)

    assert trying.next_at is None
    assert trying.start(1000) is None
    trying.failed(A, REFUSED, 1000)
    assert trying.start(1000) == B


def test_delay_shrinks_so_that_each_address_has_its_try() -> None:
    addresses = [address(f"10.0.0.{n}") for n in range(9)]
    trying = HappyEyeballs(addresses, "a:80", delay=0.25, timeout=1)
    started, now = [], 0.0
    while now < 1:
        while (item := trying.start(now)) is not None:
            started.append(item)
        now += 0.01

    assert started == addresses


def test_race_is_lost_when_all_have_failed() -> None:
    trying = race(A, B)
    for item in (A, B):
        assert not trying.lost
        trying.start(0)
        trying.failed(item, REFUSED, 0)
    assert trying.lost


def test_race_is_noted_with_what_became_of_each_address() -> None:
    opening = ConnectTrace("ws://example.com/", 0)
    trying = race(A, B, C, delay=0, opening=opening)
    for _ in range(3):
        trying.start(0)

    trying.failed(B, REFUSED, 0)
    trying.won(C)
    trying.stop()

    assert opening.addresses == [
        ("192.0.2.2:80", "connection refused"),
        ("[2001:db8::1]:80", None),
        ("192.0.2.1:80", "another was faster"),
    ]


def test_race_that_is_given_up_says_what_was_being_tried() -> None:
    opening = ConnectTrace("ws://example.com/", 0)
    trying = race(A, B, delay=0, opening=opening)
    trying.start(0)
    trying.start(0)
    trying.failed(A, REFUSED, 0)

    trying.stop()

    assert opening.doing == (
        "connecting to example.com:80 "
        "(192.0.2.1:80: connection refused; 192.0.2.2:80: no answer)"
    )


@given(st.lists(st.sampled_from(["fail", "wait"]), max_size=40), st.integers(1, 8))
def test_each_address_is_tried_once_whatever_happens(
    steps: list[str], count: int
) -> None:
    addresses = [address(f"10.0.0.{n}") for n in range(count)]
    trying = race(*addresses, delay=1)
    started: list[Any] = []
    running: list[Any] = []
    now = 0.0
    for step in [*steps, *(["fail", "wait"] * count)]:
        while (item := trying.start(now)) is not None:
            started.append(item)
            running.append(item)
        assert running or trying.lost
        if step == "fail" and running:
            trying.failed(running.pop(0), REFUSED, now)
        else:
            now += 1
    assert started == addresses
    assert trying.lost


# The error


def failing(*failures: tuple[Any, OSError], target: str = "example.com:80") -> OSError:
    trying = HappyEyeballs([item for item, _ in failures], target)
    for item, exc in failures:
        trying.start(0)
        trying.failed(item, exc, 0)
    return trying.error()


def test_error_names_each_address_and_what_failed() -> None:
    exc = failing((C, UNREACHABLE), (A, REFUSED))

    assert str(exc) == (
        "cannot connect to example.com:80: [2001:db8::1]:80: network is unreachable; "
        "192.0.2.1:80: connection refused"
    )
    assert type(exc) is OSError


def test_error_has_the_class_and_number_of_failures_that_are_equal() -> None:
    exc = failing((A, REFUSED), (B, REFUSED))

    assert type(exc) is ConnectionRefusedError
    assert exc.errno == errno.ECONNREFUSED


def test_error_does_not_repeat_the_only_address() -> None:
    exc = failing((A, REFUSED), target="192.0.2.1:80")

    assert str(exc) == (
        f"[Errno {errno.ECONNREFUSED}] "
        "cannot connect to 192.0.2.1:80: connection refused"
    )


def test_group_of_all_errors_has_each() -> None:
    trying = race(A, B)
    for item, exc in ((A, REFUSED), (B, UNREACHABLE)):
        trying.start(0)
        trying.failed(item, exc, 0)

    assert trying.all_errors().exceptions == (REFUSED, UNREACHABLE)


def test_windows_is_translated() -> None:
    exc = OSError(errno.EINVAL, "The semaphore timeout period has expired")
    exc.winerror = 121  # type: ignore[attr-defined]

    assert describe_os_error(exc) == "no answer"


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (OSError(errno.ECONNRESET, ""), "connection reset by peer"),
        (OSError("text"), "text"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_reason_is_never_empty(exc: OSError, text: str) -> None:
    assert describe_os_error(exc) == text


def test_error_that_is_amended_keeps_its_number() -> None:
    set_error_text(exc := OSError(errno.EPIPE, "old"), "new")

    assert (exc.errno, exc.strerror, str(exc)) == (
        errno.EPIPE,
        "new",
        f"[Errno {errno.EPIPE}] new",
    )
