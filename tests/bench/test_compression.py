"""The tables about compression: a message of every size, and a server's memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench import compression


@pytest.mark.parametrize("size", compression.SIZES)
def test_pieces_when_cut_then_all_have_the_size_and_they_differ(size: int) -> None:
    found = compression.pieces(size)
    assert {len(each) for each in found} == {size}
    assert len(found) == compression.MESSAGES
    assert len(set(found)) > compression.MESSAGES / 4


def test_compress_when_the_window_is_kept_then_less_is_sent() -> None:
    kept, _ = compression.compress(256, kept=True)
    alone, _ = compression.compress(256, kept=False)
    assert kept < alone < 256


@pytest.mark.parametrize("kept", [True, False])
def test_serving_when_messages_are_compressed_then_kept_windows_take_memory(
    kept: bool,
) -> None:
    name = next(
        name
        for name, (library, deflated, keeps) in compression.SETTINGS.items()
        if library == "zlib" and deflated and keeps is kept
    )
    # A process of its own: the memory that other tests have left would serve first.
    command = [sys.executable, "-m", "bench.compression", "serve", name, "100"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    before, first, last = json.loads(done.stdout)
    assert before < 40
    assert (first > before + 20) is kept
    assert last < 200
