"""Which body runs is chosen once, by ``FULLDUPLEX_IMPL``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Makes the compiled bodies look as if they had not been built.
WITHOUT = """
import sys
sys.modules["fullduplex.core._wire_c"] = None
sys.modules["fullduplex.core._kernels_c"] = None
"""
SHOW = """
from fullduplex.core import _select, kernels, wire
bodies = wire.FrameReader.__module__, kernels.apply_mask.__module__
print(_select.IMPLEMENTATION, *bodies)
"""


def run(code: str, wanted: str | None) -> tuple[str, str]:
    """Run `code` in a fresh interpreter; return its output and its last error."""
    environ = {k: v for k, v in os.environ.items() if k != "FULLDUPLEX_IMPL"}
    if wanted is not None:
        environ["FULLDUPLEX_IMPL"] = wanted
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


def test_pure_is_pure_throughout() -> None:
    output, _ = run(SHOW, "pure")
    assert output == "pure fullduplex.core._wire fullduplex.core._kernels"


@pytest.mark.parametrize("wanted", ["compiled", "auto", None])
def test_compiled_is_compiled_throughout(wanted: str | None) -> None:
    pytest.importorskip("fullduplex.core._wire_c", reason="no compiled parts")
    output, _ = run(SHOW, wanted)
    assert output == "compiled fullduplex.core._wire_c fullduplex.core._kernels_c"


@pytest.mark.parametrize("wanted", ["auto", None])
def test_without_compiled_parts_the_default_is_pure(wanted: str | None) -> None:
    output, _ = run(WITHOUT + SHOW, wanted)
    assert output.startswith("pure ")


def test_without_compiled_parts_asking_for_them_fails_loudly() -> None:
    output, error = run(WITHOUT + SHOW, "compiled")
    assert output == ""
    assert error.startswith("ImportError: FULLDUPLEX_IMPL is 'compiled' but")


def test_any_other_value_is_refused() -> None:
    output, error = run(SHOW, "fast")
    assert output == ""
    assert error == (
        "ImportError: FULLDUPLEX_IMPL is 'fast'; "
        "it must be 'auto', 'compiled' or 'pure'"
    )
