"""Limits and timeouts are checked before a socket opens."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from fullduplex.core.endpoint.options import Options

SECONDS = ["ping_interval", "ping_timeout", "close_timeout"]


def test_defaults_are_those_of_the_documentation() -> None:
    options = Options.check()

    assert dataclasses.asdict(options) == {
        "ping_interval": 20,
        "ping_timeout": 20,
        "close_timeout": 10,
        "max_size": 2**20,
        "max_fragment": None,
        "queue_high": 32,
        "queue_low": 8,
        "unread_high": 2**20,
        "write_high": 2**16,
        "write_low": 2**14,
    }
    assert options == Options()


def test_options_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().max_size = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [None, 0, 1, 0.5, 10**9, math.inf])
def test_seconds_may_be_none_zero_or_more(name: str, value: Any) -> None:
    assert getattr(Options.check(**{name: value}), name) == value


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [-1, -0.001, -math.inf, math.nan])
def test_seconds_below_zero_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it must be 0 or more"):
        Options.check(**{name: value})


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", ["20", b"1", (1, 2), [1], True, False, object(), 1j])
def test_seconds_of_another_type_are_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number of seconds or None"):
        Options.check(**{name: value})


# Sizes


@pytest.mark.parametrize(
    ("value", "message", "fragment"),
    [
        (None, None, None),
        (0, 0, None),
        (1, 1, None),
        (2**64, 2**64, None),
        ((10, 5), 10, 5),
        ((None, 5), None, 5),
        ((10, None), 10, None),
        ((None, None), None, None),
        ((5, 10), 5, 10),
    ],
)
def test_max_size_is_of_the_message_or_of_both(
    value: Any, message: int | None, fragment: int | None
) -> None:
    options = Options.check(max_size=value)
    assert (options.max_size, options.max_fragment) == (message, fragment)


@pytest.mark.parametrize(
    ("value", "high", "low"),
    [
        (None, None, 0),
        (0, 0, 0),
        (1, 1, 0),
        (4, 4, 1),
        (32, 32, 8),
        ((10, 3), 10, 3),
        ((10, 0), 10, 0),
        ((10, 10), 10, 10),
        ((10, None), 10, 2),
        ((None, 3), 12, 3),
        ((None, 0), 0, 0),
        ((None, None), None, 0),
    ],
)
def test_max_queue_is_a_high_mark_or_a_pair(
    value: Any, high: int | None, low: int
) -> None:
    options = Options.check(max_queue=value)
    assert (options.queue_high, options.queue_low) == (high, low)


def test_max_queue_of_none_lifts_the_mark_in_bytes_too() -> None:
    assert Options.check(max_queue=None).unread_high is None


@pytest.mark.parametrize("value", [1, 100, 2**16])
def test_read_limit_bounds_the_bytes_that_wait_unread(value: int) -> None:
    assert Options.check(read_limit=value).unread_high == 16 * value


@pytest.mark.parametrize(
    ("value", "high", "low"),
    [
        (0, 0, 0),
        (1000, 1000, 250),
        ((1000, 10), 1000, 10),
        ((1000, None), 1000, 250),
        ((None, 10), 40, 10),
    ],
)
def test_write_limit_is_a_high_mark_or_a_pair(value: Any, high: int, low: int) -> None:
    options = Options.check(write_limit=value)
    assert (options.write_high, options.write_low) == (high, low)


@pytest.mark.parametrize("value", [None, (None, None)])
def test_write_limit_of_none_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="write_limit is None; it must be an int"):
        Options.check(write_limit=value)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("max_size", "bytes"),
        ("max_queue", "messages"),
        ("write_limit", "bytes"),
        ("read_limit", "bytes"),
    ],
)
@pytest.mark.parametrize("value", ["10", b"1", 1.5, 10.0, True, [1, 2], object()])
def test_size_of_another_type_is_refused(name: str, unit: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be an int \({unit}\)"):
        Options.check(**{name: value})


@pytest.mark.parametrize("name", ["max_size", "max_queue", "write_limit"])
@pytest.mark.parametrize("value", [-1, -(2**40), (-1, 0), (5, -1), (None, -1)])
def test_size_below_zero_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} is -\d+; it must be at least 0"):
        Options.check(**{name: value})


@pytest.mark.parametrize("name", ["max_size", "max_queue", "write_limit"])
@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3)])
def test_tuple_that_is_no_pair_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; it must be an int, None or a"):
        Options.check(**{name: value})


@pytest.mark.parametrize("name", ["max_size", "max_queue", "write_limit"])
@pytest.mark.parametrize("value", [("a", 1), (1, "a"), (1.5, 1), (True, 1)])
def test_pair_of_other_types_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an int"):
        Options.check(**{name: value})


@pytest.mark.parametrize("name", ["max_queue", "write_limit"])
def test_low_mark_above_the_high_mark_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is \(3, 4\); the low mark is above"):
        Options.check(**{name: (3, 4)})


@pytest.mark.parametrize("value", [0, -1])
def test_read_limit_below_one_is_refused(value: int) -> None:
    with pytest.raises(
        ValueError, match=r"read_limit is -?\d; it must be at least 1 bytes"
    ):
        Options.check(read_limit=value)


def test_read_limit_of_none_is_refused() -> None:
    with pytest.raises(TypeError, match="read_limit must be an int"):
        Options.check(read_limit=None)


def test_check_when_equal_values_differ_in_type_then_each_is_judged() -> None:
    assert Options.check(max_size=1).max_size == 1
    for wrong in (True, 1.0, (1.0, 1)):
        with pytest.raises(TypeError, match="max_size must be an int"):
            Options.check(max_size=wrong)


def test_check_when_a_value_has_no_hash_then_the_parameter_is_named() -> None:
    with pytest.raises(TypeError, match="max_size must be an int"):
        Options.check(max_size=[1])
