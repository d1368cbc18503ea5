"""Runs ``async def`` tests on every loop and transport, and looks for leftovers.

A test runs on the loops and transports that the mark ``variants`` of it or of its
module names, see ``SETS``; by default on all of these pairs.  When it is over, no task,
no socket and no unnoticed exception may be left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from fullduplex.asyncio import _transports as _transport

from ..kit.fixtures import authority, client_tls, no_proxies, server_tls
from ..kit.leaks import sockets
from ..kit.runners import coroutine_test, parametrize

__all__ = ["authority", "client_tls", "no_proxies", "server_tls"]

TEST_TIMEOUT = 20  # seconds
SETTLING = 2.0  # seconds until what was aborted must be gone


@dataclass(frozen=True)
class Variant:
    """What the library runs on."""

    name: str
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    own: bool = True
    eager: bool = True
    debug: bool = False


COMPILED = (Variant("asyncio-own"), Variant("uvloop-own", uvloop.new_event_loop))
OTHERS = (
    Variant("asyncio-loop", own=False),
    Variant("uvloop-loop", uvloop.new_event_loop, own=False),
)
# The pure body has no transports of its own.
TRANSPORTS = (*(COMPILED if _transport.TcpTransport is not None else ()), *OTHERS)
PLAIN = TRANSPORTS[0]
ALL = (
    *TRANSPORTS,
    Variant("lazy", eager=False),
    Variant("debug", debug=True),
)
# As different as they can be.
TWO = (TRANSPORTS[0], TRANSPORTS[-1])
SETS = {"plain": (PLAIN,), "two": TWO, "transports": TRANSPORTS, "all": ALL}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "variants(name): what the test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("variants")
    name = mark.args[0] if mark else "transports"
    parametrize(metafunc, "variant", SETS[name], ids=lambda item: item.name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = coroutine_test(pyfuncitem)
    if test is None:
        return None
    chosen = pyfuncitem.callspec.params["variant"]
    assert isinstance(chosen, Variant)
    with pytest.MonkeyPatch.context() as patch:
        if not chosen.own:
            patch.setattr(_transport, "TcpTransport", None)
        patch.setenv("FULLDUPLEX_EAGER", "1" if chosen.eager else "0")
        run(chosen, test)
    return True


def run(variant: Variant, test: Callable[[], Any]) -> None:
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        before = sockets()
        async with asyncio.timeout(TEST_TIMEOUT):
            await test()
        deadline = loop.time() + SETTLING
        while tasks() or sockets() - before:
            assert not tasks() or loop.time() < deadline, f"tasks left: {tasks()}"
            assert loop.time() < deadline, f"sockets left: {sockets() - before}"
            await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=variant.loop, debug=variant.debug) as runner:
        runner.run(watched())
    assert not complaints, complaints


def tasks() -> set[asyncio.Task[Any]]:
    """All tasks but this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}
