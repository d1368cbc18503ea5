"""Programs of other people, run with ``python -m fullduplex.as_websockets``."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import fullduplex
from fullduplex.as_websockets import COMPATIBLE

__all__ = ["OURS", "PROGRAMS", "Program", "free_port", "needs", "program", "run"]

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 30.0  # seconds
# What a program prints that asks where websockets is, and which version.
OURS = f"{fullduplex.__file__} {COMPATIBLE}"


def needs(*names: str) -> None:
    """Skip the test where a module is missing."""
    for name in names:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            where = "" if name.startswith("fullduplex") else "; try `make thirdparty`"
            pytest.skip(f"{name} is missing{where}")


def free_port() -> int:
    """Return a port that nobody listens on, for programs that want a number."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Program:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def line(self, text: str) -> str:
        """Read its output up to a line that has this text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.process.stdout.readline()).decode()
                self.output += line
                assert line, f"the program ended:\n{self.output}"
                if text in line:
                    return line

    async def rest(self) -> str:
        """Read its output to the end; the program must end well."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.output += (await self.process.stdout.read()).decode()
            assert await self.process.wait() == 0, self.output
        return self.output


@asynccontextmanager
async def program(*arguments: str | Path) -> AsyncIterator[Program]:
    """Run ``python -m fullduplex.as_websockets ARGUMENTS``; output and errors."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-m", "fullduplex.as_websockets"),
        *map(str, arguments),
        cwd=PROGRAMS,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(name: str, *arguments: str) -> list[str]:
    """Run a program to its end; returns the lines after the one that tells whose."""
    async with program(PROGRAMS / name, *arguments) as running:
        output = await running.rest()
    first, *lines = output.splitlines()
    assert first == OURS, output
    return lines
