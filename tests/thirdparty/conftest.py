"""Runs ``async def`` tests."""

from __future__ import annotations

import asyncio
import inspect

import pytest

TEST_TIMEOUT = 50  # seconds; below pytest-timeout's, so that tasks are cancelled


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> None:
        async with asyncio.timeout(TEST_TIMEOUT):
            await test(**arguments)

    asyncio.run(run())
    return True
