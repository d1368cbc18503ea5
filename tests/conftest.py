"""What holds for all tests: which body of the core runs, and how hard to search."""

from __future__ import annotations

import os
import platform
import signal

import hypothesis
import pytest

import fullduplex

# Whoever starts the tests in the background has Ctrl-C ignored, and programs that are
# started from here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `make properties` searches long; other runs must not fail by chance or for being slow.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=20_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header(config: pytest.Config) -> str:
    return (
        f"fullduplex {fullduplex.__version__}: {fullduplex.IMPLEMENTATION}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
