"""A short run of each fuzzer, the same every time, and inputs that once failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .mutation import Failure, Fuzzer
from .seeds import SEEDS, WORDS
from .targets import TARGETS


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_both_ways_of_reading_agree(name: str) -> None:
    pytest.importorskip("fullduplex.core.wire._wire_c", reason="no compiled parts")
    fuzzer = Fuzzer(TARGETS[name], SEEDS[name], WORDS[name], seed=1)
    fuzzer.run(count=1_500)
    # Inputs that led nowhere new would be a fuzzer that does nothing.
    assert len(fuzzer.corpus) > len(SEEDS[name])


def test_what_once_failed_is_read_alike() -> None:
    pytest.importorskip("fullduplex.core.wire._wire_c", reason="no compiled parts")
    for path in Path(__file__).parent.glob("found/*"):
        TARGETS[path.name.partition("-")[0]](path.read_bytes())


def test_a_difference_is_found_and_shown() -> None:
    def target(data: bytes) -> int:
        assert b"\x7e\x7f" not in data, "both in one place"
        return data.count(b"\x7e") + data.count(b"\x7f")

    with pytest.raises(Failure) as caught:
        Fuzzer(target, [b"hello"], [b"\x7e", b"\x7f"], seed=1).run(count=100_000)
    assert b"\x7e\x7f" in caught.value.data
    assert "both in one place" in str(caught.value.__cause__)
