"""Runs ``async def`` tests with trio, and looks for leftovers.

A test runs on a socket of our own and on a trio stream, unless it has the mark
``pipe`` with one of both.  When it is over, no task and no socket may be left.
"""

from __future__ import annotations

import inspect
import os
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trustme

from fullduplex.trio import _server_connection, client
from fullduplex.trio._pipe import StreamPipe

TEST_TIMEOUT = 20  # seconds
SETTLING = 2.0  # seconds until what was aborted must be gone


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pipe(name): what the test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not inspect.iscoroutinefunction(metafunc.function):
        return
    mark = metafunc.definition.get_closest_marker("pipe")
    metafunc.fixturenames.append("pipe")
    metafunc.parametrize("pipe", [mark.args[0]] if mark else ["socket", "stream"])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    with pytest.MonkeyPatch.context() as patch:
        if pyfuncitem.callspec.params["pipe"] == "stream":
            patch.setattr(client, "make_pipe", StreamPipe)
            patch.setattr(_server_connection, "make_pipe", StreamPipe)
        trio.run(watched, lambda: test(**arguments))
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


def sockets() -> set[str]:
    """The sockets of this process; empty where the system does not tell."""
    found: set[str] = set()
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server whose certificate is for localhost, 127.0.0.1 and example.com."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1", "example.com").configure_cert(
        context
    )
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A client that trusts that server."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment must not send loopback connections elsewhere."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
