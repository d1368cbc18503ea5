"""Standard streams that nobody reads, that are full, or that are closed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullduplex.cli import _program

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
]

COMMAND = f"{shlex.quote(sys.executable)} -m fullduplex"
Shell = Callable[[str], "subprocess.CompletedProcess[str]"]

# Each with what makes it write something.
COMMANDS = {
    "piped": "echo hi | {} URI",
    "explain": "{} explain URI",
    "explain-failure": "{} explain ws://127.0.0.1:1/",
    "ping": "{} ping -c 3 -i 0.05 URI",
    "ping-quiet": "{} ping -c 2 -i 0.01 -q URI",
    "demo": "{} demo --messages 20",
    "serve": "{} serve --port 0",
    "version": "{} --version",
    "version-and-uri": "{} URI --version",
    "help": "{} --help",
    "help-of-one": "{} explain --help",
}
# They fail for another reason too, and say so; status 0 would be wrong.
FAILING = {"explain-failure"}


@pytest.fixture
def shell(server: Any, environment: dict[str, str]) -> Shell:
    """Run a line of a shell in which {} is the command and URI a server."""

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line.replace("URI", server.uri())],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment,
        )

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_full_disk_is_one_line_and_status_1(shell: Shell, name: str) -> None:
    result = shell(COMMANDS[name].format(COMMAND) + " >/dev/full")

    assert result.returncode == 1
    lines = result.stderr.splitlines()
    if name in FAILING:
        lines = [line for line in lines if "cannot connect to" not in line]
    assert lines in (
        ["fullduplex: cannot write to standard output: No space left on device"],
        [] if name in FAILING else None,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_reader_that_has_gone_is_silence(shell: Shell, name: str) -> None:
    line = COMMANDS[name].format(COMMAND)
    # The pipe has no reader before the command begins to write.
    result = shell(f"exec 3> >(exec <&-); sleep 0.2; {line} >&3")

    lines = result.stderr.splitlines()
    if name in FAILING:
        lines = [line for line in lines if "cannot connect to" not in line]
    assert lines == []
    assert result.returncode in ((0, 1) if name in FAILING else (0,))


@pytest.mark.parametrize("name", ["explain", "ping", "demo", "help"])
def test_reader_that_wants_one_line_gets_it(shell: Shell, name: str) -> None:
    line = COMMANDS[name].format(COMMAND)
    result = shell(f"{line} | head -1")

    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        *((name, ">&-") for name in COMMANDS if name != "serve"),
        *(
            ("explain-failure", closed)
            for closed in ("2>&-", ">&- 2>&-", "2>/dev/full")
        ),
    ],
)
def test_closed_streams_swallow_what_is_written(
    shell: Shell, name: str, closed: str
) -> None:
    result = shell(COMMANDS[name].format(COMMAND) + f" {closed}")

    assert result.returncode == (1 if name in FAILING else 0)
    if ">&-" in closed.split():
        assert result.stdout == ""
    if name not in FAILING:
        assert result.stderr == ""


def test_closed_input_ends_a_session(server: Any, shell: Shell) -> None:
    result = shell(f"{COMMAND} URI --wait 0.1 <&-")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert server.closings.get(timeout=10) == (1000, "")


def test_ping_without_a_count_ends_with_its_reader(server: Any, shell: Shell) -> None:
    result = shell(f"{COMMAND} ping -i 0.02 URI | head -3")

    assert result.stdout.count("pong from") == 2
    assert result.stderr == ""
    assert server.closings.get(timeout=10) == (1000, "")


def test_server_without_output_serves(environment: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"exec {COMMAND} serve --port {port} <&- >&- 2>&-"
    with subprocess.Popen(["bash", "-c", line], env=environment) as process:
        try:
            for _ in range(200):
                done = subprocess.run(
                    ["bash", "-c", f"{COMMAND} ping -c 1 ws://127.0.0.1:{port}/"],
                    capture_output=True,
                    text=True,
                    env=environment,
                )
                if done.returncode == 0:
                    break
            assert done.returncode == 0, done.stderr
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


# What the demonstration tells users to run


def test_commands_that_the_demonstration_shows_run_as_printed(
    environment: dict[str, str],
) -> None:
    for start in (
        [sys.executable, "-m", "fullduplex"],
        [str(Path(sys.executable).parent / "fullduplex")],
    ):
        if not os.path.exists(start[0]):
            continue
        result = subprocess.run(
            [*start, "demo", "--messages", "5"],
            capture_output=True,
            text=True,
            env=environment,
        )
        shown = result.stdout.partition("Where to go next\n")[2]
        commands = [re.split(r" {3,}", line.strip())[0] for line in shown.splitlines()]
        assert len(commands) == 5
        runnable = [line for line in commands if "serve" not in line.split()[-1:]]
        runnable = [line for line in runnable if "ws://" not in line]
        assert len(runnable) == 3
        for line in runnable:
            done = subprocess.run(
                line, shell=True, capture_output=True, text=True, env=environment
            )
            assert done.returncode == 0, line
            assert "No Python documentation found" not in done.stdout, line
            assert len(done.stdout.splitlines()) > 10, line


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("bin/tool", "bin/tool"),
        ("a b/tool", "'a b/tool'"),
        ("../tool", None),
    ],
)
def test_programs_are_named_as_a_shell_here_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, shown: str | None
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = os.path.abspath(where)
    assert _program._typed(path, "tool") == (shown or path)

    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text("#!/bin/sh\n")
    os.chmod(path, 0o755)
    monkeypatch.setenv("PATH", os.path.dirname(path))
    assert _program._typed(path, "tool") == "tool"
