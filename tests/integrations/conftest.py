"""Runs ``async def`` tests with uvicorn's parsers, loops, and ways to wake readers.

A test runs on `EACH`, or on what its mark ``variants`` names.  The rest is that of
the driver's own tests: at the end no task and no socket may be left.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import uvloop

from ..asyncio.conftest import Variant, run
from ..kit.fixtures import authority, client_tls, server_tls
from ..kit.runners import coroutine_test, parametrize
from . import kit

__all__ = ["authority", "client_tls", "server_tls"]


@dataclass(frozen=True)
class Ground(Variant):
    """What uvicorn runs on."""

    http: str = "h11"


EACH = (
    Ground("asyncio-h11"),
    Ground("uvloop-httptools", uvloop.new_event_loop, http="httptools"),
    Ground("uvloop-lazy", uvloop.new_event_loop, eager=False),
    Ground("asyncio-debug", debug=True, http="httptools"),
)
SETS = {"each": EACH, "plain": EACH[:1], "loops": EACH[:2]}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "variants(name): what the test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("variants")
    name = mark.args[0] if mark else "each"
    parametrize(metafunc, "variant", SETS[name], ids=lambda item: item.name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = coroutine_test(pyfuncitem)
    if test is None:
        return None
    chosen = pyfuncitem.callspec.params["variant"]
    assert isinstance(chosen, Ground)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit, "HTTP", chosen.http)
        patch.setenv("FULLDUPLEX_EAGER", "1" if chosen.eager else "0")
        run(chosen, test)
    return True
