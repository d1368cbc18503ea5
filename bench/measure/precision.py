"""Precision of a median, and the end of a measurement.

Machines change their speed while they are measured.  Two processes that ran one after
the other often had the same speed, and a probe before and after each tells if they had.
A ratio is the median of the quotients within such rounds, and its error is estimated
from their distance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import comb, inf, sqrt
from statistics import NormalDist, median

LEAST = 5  # measurements; fewer do not tell how far apart they are
PRECISION = 0.025  # the standard error that is good enough, relative
DOUBT = 3.0  # standard errors from the limit: beyond doubt
CLOSE = 2.0  # standard errors from the limit: a verdict that may be chance
ALIKE = 1.15  # times longer the same work may take where we speak of one speed


def unlike(probes: Collection[float]) -> float:
    """Factor of the slowest run of the same work; 1.0 is one speed throughout.

    Files of old have no probes, and nothing speaks against what they say.
    """
    return max(probes) / min(probes) if probes else 1.0


def standard_error(values: Collection[float]) -> float:
    """Of the median, whatever the distribution (Price and Bonett, 2001).

    The true median is between the k-th smallest and the k-th largest number unless a
    fair coin falls on one side nearly always.  A normal distribution with the same
    chance has its limits as far apart.  A disturbed round does not touch it once there
    are eight.
    """
    count, ordered = len(values), sorted(values)
    if count < 2:
        return inf
    rank = max(1, round((count + 1) / 2 - sqrt(count)))
    outside = sum(comb(count, heads) for heads in range(rank)) / 2**count
    deviations = NormalDist().inv_cdf(1 - outside)
    return (ordered[-rank] - ordered[rank - 1]) / (2 * deviations)


@dataclass(frozen=True)
class Estimate:
    """A median of several rounds.

    Args:
        value: the median.
        error: its standard error, in the same unit; infinite of a single number.
        rounds: number of values behind the median.
        measured: number of values, with those that were left out.
    """

    value: float
    error: float
    rounds: int
    measured: int

    @classmethod
    def of(cls, values: Collection[float], measured: int = 0) -> Estimate | None:
        """The estimate from one number a round, or ``None`` if there are none."""
        count = len(values)
        measured = measured or count
        if not count:
            return None
        return cls(median(values), standard_error(values), count, measured)

    @classmethod
    def of_quotients(cls, found: Collection[tuple[float, float]]) -> Estimate | None:
        """The estimate from a quotient a round, and how ``unlike`` the speeds were.

        Of those with one speed, if they are many, and otherwise of the better half.
        """
        ordered = sorted(found, key=lambda each: each[1])
        enough = max(LEAST, (len(ordered) + 1) // 2)
        chosen = [
            quotient
            for place, (quotient, unlikeness) in enumerate(ordered)
            if place < enough or unlikeness <= ALIKE
        ]
        return cls.of(chosen, len(ordered))

    def settled(self, limit: float) -> bool:
        """More rounds would change neither the verdict nor much of the number."""
        if self.rounds < LEAST:
            return False
        distance = abs(self.value - limit)
        return self.error <= PRECISION * self.value or distance > DOUBT * self.error

    def close(self, limit: float) -> bool:
        """It is so near the limit that the verdict may be chance, as far as we know."""
        return abs(self.value - limit) < CLOSE * self.error < inf
