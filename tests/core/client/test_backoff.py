"""`Backoff`: a value whose delays grow and are random."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex import Backoff

SECONDS = st.floats(0, 1000)


def test_delays_are_random_from_nothing_to_a_growing_bound() -> None:
    most = itertools.islice(Backoff().delays(lambda: 1.0), 9)
    least = itertools.islice(Backoff().delays(lambda: 0.0), 9)
    bounds = [5, 3.1, 5.02, 8.12, 13.13, 21.25, 34.38, 55.62, 90]

    assert list(most) == pytest.approx(bounds, abs=0.01)
    assert list(least) == [0.0] * 9


def test_jitter_of_nothing_gives_the_bounds() -> None:
    delays = Backoff(1, 2, 10, 2, jitter=0)
    assert list(itertools.islice(delays(), 6)) == [1, 2, 4, 8, 10, 10]


@given(
    initial=SECONDS,
    least=SECONDS,
    most=SECONDS,
    factor=st.floats(1, 10),
    jitter=st.floats(0, 1),
    numbers=st.lists(st.floats(0, 1, exclude_max=True), min_size=12, max_size=12),
)
def test_no_delay_is_negative_or_above_all_bounds(
    initial: float,
    least: float,
    most: float,
    factor: float,
    jitter: float,
    numbers: list[float],
) -> None:
    row = Backoff(initial, least, most, factor, jitter).delays(iter(numbers).__next__)
    for delay in itertools.islice(row, 12):
        assert 0 <= delay <= max(initial, most) + 1e-9


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"initial": -1}, "initial"),
        ({"min": math.inf}, "min"),
        ({"max": math.nan}, "max"),
        ({"factor": 0.5}, "factor"),
        ({"jitter": 1.5}, "jitter"),
        ({"reset_after": -1}, "reset_after"),
    ],
)
def test_argument_out_of_range_is_refused(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Backoff(**arguments)


def test_it_is_a_value() -> None:
    assert Backoff(max=10) == replace(Backoff(), max=10)
    assert len({Backoff(), Backoff()}) == 1
