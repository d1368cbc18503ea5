"""When a ratio has been measured often enough, by numbers."""

from __future__ import annotations

import random
from math import inf
from statistics import pstdev

import pytest
from bench.measure.precision import LEAST, PRECISION, Estimate, unlike


def estimate(*values: float) -> Estimate:
    found = Estimate.of(values)
    assert found is not None
    return found


def test_estimate_when_there_are_no_numbers_then_there_is_none() -> None:
    assert Estimate.of([]) is None
    assert Estimate.of_quotients([]) is None


def test_estimate_when_there_is_one_number_then_nothing_is_known_of_its_error() -> None:
    assert estimate(0.4) == Estimate(0.4, inf, 1, 1)
    assert not estimate(0.4).settled(limit=9.0)
    assert not estimate(0.4).close(limit=0.4)


def test_error_when_one_round_of_eight_was_disturbed_then_it_hardly_grows() -> None:
    quiet = [0.40, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46, 0.47]
    found = estimate(*quiet)
    disturbed = estimate(*quiet[:-1], 4.70)
    assert disturbed == found


def test_error_when_there_are_two_modes_then_the_median_is_not_believed() -> None:
    found = estimate(0.3, 0.5, 0.3, 0.5, 0.3)
    assert found.error > 0.05
    assert not found.settled(limit=0.4)


@pytest.mark.parametrize("count", [3, 5, 8, 20])
def test_error_when_numbers_are_normal_then_it_is_the_spread_of_medians(
    count: int,
) -> None:
    chance = random.Random(1)
    found = [
        estimate(*(chance.gauss(1.0, 0.1) for _ in range(count))) for _ in range(4000)
    ]
    spread = pstdev(each.value for each in found)
    mean = sum(each.error for each in found) / len(found)
    assert mean == pytest.approx(spread, rel=0.2)


def test_settled_when_rounds_are_few_then_not_even_equal_numbers_are_enough() -> None:
    assert not estimate(*[0.1] * (LEAST - 1)).settled(limit=0.9)
    assert estimate(*[0.1] * LEAST).settled(limit=0.9)


def test_settled_when_the_limit_is_far_then_a_large_error_is_enough() -> None:
    found = estimate(0.08, 0.10, 0.12, 0.14, 0.16)
    assert found.error > PRECISION * found.value
    assert found.settled(limit=0.5)
    assert not found.settled(limit=0.13)


def test_settled_when_the_error_is_small_then_the_limit_may_be_near() -> None:
    found = estimate(0.400, 0.401, 0.402, 0.403, 0.404)
    assert found.settled(limit=0.402)
    assert found.close(limit=0.402)
    assert not found.close(limit=0.41)


def test_settled_when_what_was_found_is_zero_then_it_is_settled() -> None:
    assert estimate(*[0.0] * LEAST).settled(limit=0.0)


def test_unlike_when_a_probe_differs_then_it_says_how_many_times() -> None:
    assert unlike([]) == 1.0
    assert unlike([3.0, 3.3, 3.0, 6.0]) == 2.0


def test_quotients_when_enough_had_one_speed_then_the_others_are_left_out() -> None:
    good = [(0.40, 1.0), (0.41, 1.1), (0.42, 1.0), (0.43, 1.05), (0.44, 1.0)]
    bad = [(0.70, 1.4), (0.71, 1.7), (0.72, 1.5)]
    found = Estimate.of_quotients(bad + good)
    assert found is not None
    assert (found.value, found.rounds, found.measured) == (0.42, 5, 8)


def test_quotients_when_few_had_one_speed_then_the_better_half_counts() -> None:
    good = [(0.40, 1.2), (0.41, 1.2), (0.42, 1.2), (0.43, 1.3), (0.44, 1.3)]
    found = Estimate.of_quotients(good + [(0.9, 1.7)] * 3 + [(0.45, 1.0), (0.39, 1.0)])
    assert found is not None
    assert (found.value, found.rounds, found.measured) == (0.41, 5, 10)


def test_quotients_when_there_are_few_then_all_count() -> None:
    found = Estimate.of_quotients([(0.4, 1.0), (0.5, 1.7), (0.6, 1.7)])
    assert found is not None
    assert (found.value, found.rounds, found.measured) == (0.5, 3, 3)
