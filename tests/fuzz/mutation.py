"""A fuzzer that needs nothing: inputs are changed at random, and kept if they are new.

New is an input whose summary was not seen before: another error, other kinds of
events, other sizes.  That finds less than coverage does, and runs on any interpreter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from time import monotonic

from .targets import Target

__all__ = ["Failure", "Fuzzer"]

INTERESTING = (0, 1, 2, 8, 16, 64, 125, 126, 127, 128, 129, 254, 255)
MAX_SIZE = 16_384


class Failure(Exception):
    """An input on which a target failed; the cause tells how."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"failed on {len(data)} bytes")
        self.data = data


class Fuzzer:
    """
    One target with its corpus.

    Args:
        seeds: inputs to begin with.
        words: bytes that mean something to the target.
        seed: equal ones lead to equal inputs.
    """

    def __init__(
        self, target: Target, seeds: list[bytes], words: list[bytes], seed: int
    ) -> None:
        self.executions = 0
        self.corpus: list[bytes] = []
        self._seen: set[Hashable] = set()
        self._target = target
        self._words = words
        self._random = random.Random(seed)
        for data in seeds:
            self.execute(data)
            if data not in self.corpus:
                self.corpus.append(data)

    def execute(self, data: bytes) -> None:
        """
        Run the target once.

        Raises:
            Failure: the target failed.
        """
        self.executions += 1
        try:
            summary = self._target(data)
        except Exception as exc:
            raise Failure(data) from exc
        if summary not in self._seen:
            self._seen.add(summary)
            self.corpus.append(data)

    def run(self, *, seconds: float = float("inf"), count: int | None = None) -> None:
        """Run for a time, or so many inputs."""
        end = monotonic() + seconds
        while self.executions != count:
            if not self.executions & 63 and monotonic() >= end:
                return
            self.execute(self._changed(self._random.choice(self.corpus)))

    def _changed(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 5, 8))):
            self._random.choice(CHANGES)(self, changed)
        return bytes(changed[:MAX_SIZE])

    # Changes

    def _place(self, data: bytearray) -> int:
        return self._random.randint(0, len(data))

    def _span(self, data: bytearray) -> slice:
        start = self._place(data)
        return slice(start, start + self._random.choice((1, 1, 2, 4, 8, 32, 128)))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _set(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] = self._random.choice(INTERESTING)

    def _replace(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] = self._random.randrange(256)

    def _delete(self, data: bytearray) -> None:
        del data[self._span(data)]

    def _double(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = data[self._span(data)] * self._random.choice((1, 1, 2, 16))

    def _word(self, data: bytearray) -> None:
        place = self._place(data)
        data[place : place + self._random.choice((0, 1, 4))] = self._random.choice(
            self._words
        )

    def _noise(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._random.randbytes(self._random.choice((1, 2, 4, 9)))

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self.corpus)
        place = self._random.randint(0, len(other))
        data[self._place(data) :] = other[place:]


CHANGES: list[Callable[[Fuzzer, bytearray], None]] = [
    Fuzzer._flip,
    Fuzzer._set,
    Fuzzer._replace,
    Fuzzer._delete,
    Fuzzer._double,
    Fuzzer._word,
    Fuzzer._noise,
    Fuzzer._splice,
]
