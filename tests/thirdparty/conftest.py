"""Runs ``async def`` tests."""

from __future__ import annotations

import pytest

from ..kit.runners import run_in_asyncio

TEST_TIMEOUT = 50  # seconds; below pytest-timeout's, so that tasks are cancelled


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_in_asyncio(pyfuncitem, TEST_TIMEOUT)
