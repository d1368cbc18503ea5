"""Examples run as users run them: in a process of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..kit.runners import run_in_asyncio

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
DEADLINE = 20  # seconds


class Example:
    """A running example."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._command = [sys.executable, str(EXAMPLES / name), *arguments]
        self._start("0")

    def _start(self, port: str) -> None:
        self.process = subprocess.Popen(
            [*self._command, "--port", port],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"//([^/]+):(\d+)/", self.line)
        assert found is not None, self.process.communicate(timeout=DEADLINE)
        self.host, self.port = found[1], found[2]

    def uri(self, scheme: str = "ws", user: str = "") -> str:
        return f"{scheme}://{user and user + '@'}{self.host}:{self.port}/"

    def restart(self) -> None:
        """Stop it and start it on the same port."""
        assert self.stop() == (0, "")
        self._start(self.port)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, wait; the exit status and standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Example]]:
    """Start an example by the name of its file."""
    if sys.platform == "win32":
        pytest.skip("the examples use signals of POSIX")
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    started = []

    def start(name: str, *arguments: str) -> Example:
        started.append(Example(name, *arguments))
        return started[-1]

    yield start
    for item in started:
        item.kill()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests."""
    return run_in_asyncio(pyfuncitem, DEADLINE)
