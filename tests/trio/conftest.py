"""Runs ``async def`` tests with trio, and looks for leftovers.

A test runs on a socket of our own and on a trio stream, unless it has the mark
``pipe`` with one of both.  When it is over, no task and no socket may be left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from fullduplex.trio import _server_connection, client
from fullduplex.trio._byte_stream import StreamPipe

from ..kit.fixtures import authority, client_tls, no_proxies, server_tls
from ..kit.leaks import sockets
from ..kit.runners import coroutine_test, parametrize

__all__ = ["authority", "client_tls", "no_proxies", "server_tls"]

TEST_TIMEOUT = 20  # seconds
SETTLING = 2.0  # seconds until what was aborted must be gone


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pipe(name): what the test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("pipe")
    parametrize(metafunc, "pipe", [mark.args[0]] if mark else ["socket", "stream"])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = coroutine_test(pyfuncitem)
    if test is None:
        return None
    with pytest.MonkeyPatch.context() as patch:
        if pyfuncitem.callspec.params["pipe"] == "stream":
            patch.setattr(client, "make_pipe", StreamPipe)
            patch.setattr(_server_connection, "make_pipe", StreamPipe)
        trio.run(watched, test)
    return True


async def watched(test: Callable[[], Any]) -> None:
    before = sockets()
    system = system_tasks()
    with trio.fail_after(TEST_TIMEOUT):
        await test()
    with trio.move_on_after(SETTLING):
        while system_tasks() > system or sockets() - before:
            await trio.sleep(0.001)
    assert system_tasks() <= system
    assert not sockets() - before


def system_tasks() -> int:
    """How many tasks there are besides the one of the test."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return sum(len(nursery.child_tasks) for nursery in root.child_nurseries)


@pytest.fixture(autouse=True)
def without_proxies(no_proxies: None) -> None:
    """No test of this package uses the proxies of the environment."""
