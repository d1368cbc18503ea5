"""Compiled classes never end the process, in no state of their objects."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fullduplex.core.implementation import IMPLEMENTATION

pytestmark = pytest.mark.skipif(
    IMPLEMENTATION != "compiled" or not hasattr(sys, "getrefcount"),
    reason="nothing is compiled",
)


def test_method_of_an_object_that_lacks_what_it_needs_raises() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.parity.compiled_classes"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" 0 crashed\n")
