"""The history of round-trip times."""

from __future__ import annotations

import pytest

from fullduplex.core.endpoint.pings import HISTORY, RoundTrips


@pytest.mark.parametrize("count", [0, 1, HISTORY, HISTORY + 1, 3 * HISTORY + 5])
def test_history_is_of_the_last_and_count_is_of_all(count: int) -> None:
    history = RoundTrips()
    for number in range(count):
        history.add(number)

    assert history.count == count
    assert history.times == list(range(max(0, count - HISTORY), count))


def test_times_are_shown_as_they_were_measured() -> None:
    history = RoundTrips()
    history.add(0.0012345)

    assert history.times == [0.0012345]
