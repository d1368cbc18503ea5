"""The last round-trip times of a connection: four bytes each, none before a ping."""

from __future__ import annotations

from array import array

#: Round-trip times that are remembered.
HISTORY = 64


class RoundTrips:
    """A history that forgets the oldest."""

    __slots__ = ("_times", "count")

    def __init__(self) -> None:
        self._times = array("f")
        #: number of times that were added
        self.count = 0

    def add(self, seconds: float) -> None:
        """Remember one more, and forget the oldest if there are many."""
        if len(self._times) < HISTORY:
            self._times.append(seconds)
        else:
            self._times[self.count % HISTORY] = seconds
        self.count += 1

    @property
    def times(self) -> list[float]:
        """Stored times in seconds, the latest last."""
        start = self.count % HISTORY if len(self._times) == HISTORY else 0
        ordered = [*self._times[start:], *self._times[:start]]
        # Four bytes keep seven digits: what else they hold is noise.
        return [round(seconds, 7) for seconds in ordered]
