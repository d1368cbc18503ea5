"""Run ``async def`` tests, for the ``pytest_pyfunc_call`` of a conftest."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Test = Callable[[], Coroutine[Any, Any, None]]


def parametrize(
    metafunc: pytest.Metafunc, name: str, values: Any, *, ids: Any = None
) -> None:
    """Run an ``async def`` test on each of `values`; it need not have the argument."""
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append(name)
        metafunc.parametrize(name, values, ids=ids)


def coroutine_test(pyfuncitem: pytest.Function) -> Test | None:
    """Return a test with its fixtures as arguments; None if it is no coroutine."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    return lambda: test(**arguments)


def run_in_asyncio(pyfuncitem: pytest.Function, timeout: float) -> bool | None:
    """Run a test in asyncio's event loop, for so many seconds at most."""
    test = coroutine_test(pyfuncitem)
    if test is None:
        return None

    async def limited() -> None:
        async with asyncio.timeout(timeout):
            await test()

    asyncio.run(limited())
    return True
