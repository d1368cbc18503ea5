"""Tools that freeze a program find the modules that it needs by its imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import fullduplex
from fullduplex import IMPLEMENTATION

ROOT = Path(fullduplex.__file__).parent

ASYNCIO = """
import asyncio
from fullduplex.asyncio.client import connect
from fullduplex.asyncio.server import serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("hello" * 50)
            assert await ws.recv() == "hello" * 50

asyncio.run(main())
"""
TOP = ASYNCIO.replace(".asyncio.client", "").replace(".asyncio.server", "")
SYNC = """
import threading
from fullduplex.sync import connect, serve

def echo(ws):
    for message in ws:
        ws.send(message)

with serve(echo, "127.0.0.1", 0) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with connect("ws://127.0.0.1:%d/" % server.socket.getsockname()[1]) as ws:
        ws.send("hello" * 50)
        assert ws.recv() == "hello" * 50
"""
TRIO = """
import trio
from fullduplex.trio import connect, serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, echo, "127.0.0.1", 0)
        port = server.listeners[0].socket.getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("hello" * 50)
            assert await ws.recv() == "hello" * 50
        nursery.cancel_scope.cancel()

trio.run(main)
"""
LOADED = """
import sys
print(*(name for name in sys.modules if name.partition(".")[0] == "fullduplex"))
"""


def source(name: str) -> tuple[str, str] | None:
    """Return the text of a module of ours and the package it is in."""
    path = ROOT.joinpath(*name.split(".")[1:])
    if (path / "__init__.py").exists():
        return (path / "__init__.py").read_text(), name
    if path.with_suffix(".py").exists():
        return path.with_suffix(".py").read_text(), name.rpartition(".")[0]
    # A compiled part is a dead end: nothing can be read in it.
    return ("", "") if next(path.parent.glob(f"{path.name}.*.so"), None) else None


def imported(text: str, package: str) -> Iterator[str]:
    """Yield what the import statements name, wherever they stand."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -node.level + 1 or None] if node.level else []
            module = ".".join([*parts, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def reachable(program: str) -> set[str]:
    """Return the modules of ours that reading the imports of a program leads to."""
    found: set[str] = set()
    waiting = [*imported(program, "")]
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] != "fullduplex" or name in found:
            continue
        read = source(name)
        if read is not None:
            found.add(name)
            waiting += [*imported(*read), name.rpartition(".")[0]]
    return found


@pytest.mark.parametrize("implementation", sorted({"pure", IMPLEMENTATION}))
@pytest.mark.parametrize(
    "program", [ASYNCIO, TOP, SYNC, TRIO], ids=["asyncio", "top", "sync", "trio"]
)
def test_what_a_program_loads_is_found_by_its_imports(
    program: str, implementation: str
) -> None:
    if "import trio" in program and find_spec("trio") is None:
        pytest.skip("trio is not installed")
    done = subprocess.run(
        [sys.executable, "-c", program + LOADED],
        capture_output=True,
        text=True,
        env={**os.environ, "FULLDUPLEX_IMPL": implementation},
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert len(loaded) > 40
    assert loaded - reachable(program) == set()


@pytest.mark.parametrize("program", [ASYNCIO, SYNC], ids=["asyncio", "sync"])
def test_both_bodies_are_found_so_that_the_choice_is_made_when_it_runs(
    program: str,
) -> None:
    found = reachable(program)
    assert "fullduplex.core.wire._wire" in found
    built = find_spec("fullduplex.core.wire._wire_c") is not None
    assert ("fullduplex.core.wire._wire_c" in found) is built


def test_pyinstaller_finds_our_hook() -> None:
    from importlib.metadata import entry_points

    (point,) = [
        point
        for point in entry_points(group="pyinstaller40", name="hook-dirs")
        if point.value.startswith("fullduplex.")
    ]
    (folder,) = point.load()()
    assert Path(folder, "hook-fullduplex.py").exists()
