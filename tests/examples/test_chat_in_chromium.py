"""The chat's page in a real browser, two of them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
INSTALL_TIMEOUT = 50  # seconds
DEADLINE = 50  # seconds; it takes about five


def browser() -> str | None:
    """Find Chromium; the variable CHROMIUM may name it."""
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


@functools.cache
def reason_to_skip() -> str:
    """Install what ``package.json`` pins, once; return why that is impossible."""
    if browser() is None:
        return "Chromium is not installed"
    if not shutil.which("node"):
        return "node is not installed"
    package = json.loads((FOLDER / "package.json").read_text())
    wanted = package["dependencies"]["playwright-core"]
    installed = FOLDER / "node_modules" / "playwright-core" / "package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == wanted:
        return ""
    if not shutil.which("npm"):
        return "npm is not installed"
    try:
        done = subprocess.run(
            INSTALL,
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"npm install took longer than {INSTALL_TIMEOUT} s"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return f"npm install failed: {''.join(last)}"
    return ""


@pytest.fixture
def drive() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start the script that drives the browser."""
    started = []

    def start(uri: str) -> subprocess.Popen[str]:
        executable = browser()
        assert executable is not None
        process = subprocess.Popen(
            ["node", "chat.mjs", executable, uri],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate()


@pytest.mark.timeout(2 * DEADLINE)
def test_two_pages_talk_and_come_back_after_a_restart(
    example: Callable[..., Any], drive: Callable[[str], subprocess.Popen[str]]
) -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)
    chat = example("chat/server.py")
    script = drive(chat.uri("http"))
    assert script.stdout is not None

    line = script.stdout.readline()
    assert line == "restart\n", script.communicate(timeout=DEADLINE)
    chat.restart()
    output, errors = script.communicate("go on\n", timeout=DEADLINE)

    assert script.returncode == 0, errors
    result = json.loads(output)
    said = [
        "from ann: ünïcode 🦆 日本語",
        "from bob: <b>no markup</b>",
        "a file of 1,048,576 bytes",
        "back again",
    ]
    assert result == {"lists": [said, said], "intact": True, "problems": []}
    assert chat.stop() == (0, "")
