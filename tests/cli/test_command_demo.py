"""The demonstration, and what the command says about itself."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import Any

import pytest

import fullduplex
from fullduplex.cli._demo_messages import mixed_messages, size_of


def test_demo_verifies_every_echo_and_prints_figures(run: Any) -> None:
    result = run("demo", "--messages", "1200")

    assert (result.returncode, result.stderr) == (0, "")
    assert "1,200 verified" in result.stdout
    assert fullduplex.IMPLEMENTATION in result.stdout
    for wanted in ("p50", "p90", "p99", "max", "messages/s", "MiB/s", "next"):
        assert wanted in result.stdout


def test_demo_draws_nothing_when_output_is_no_terminal(run: Any) -> None:
    result = run("demo", "--messages", "50")

    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout


def test_demo_of_one_message_has_no_throughput(run: Any) -> None:
    result = run("demo", "--messages", "1")

    assert result.returncode == 0
    assert "1 verified" in result.stdout
    assert "messages/s" not in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_demo_in_a_terminal_has_a_progress_bar(terminal: Any) -> None:
    session = terminal("demo", "--messages", "1200")
    session.expect("/1200")
    session.expect("1,200 verified")

    assert session.finish() == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_demo_interrupted_exits_130_without_traceback(
    environment: dict[str, str],
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fullduplex", "demo", "--messages", "100000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("fullduplex ")
        assert "ws://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 130
        assert re.fullmatch(r"stopped after [\d,]+ messages\n", process.stderr.read())


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_demo_interrupted_in_a_terminal_gives_the_cursor_back(terminal: Any) -> None:
    session = terminal("demo", "--messages", "100000000")
    session.expect("/100000000")
    session.process.send_signal(signal.SIGINT)
    status, errors = session.finish()

    assert status == 130
    assert "Traceback" not in errors
    assert session.raw.rfind("\x1b[?25h") > session.raw.rfind("\x1b[?25l")


def test_payloads_are_mixed_and_the_same_every_time() -> None:
    messages = list(mixed_messages(3_000))

    assert messages == list(mixed_messages(3_000))
    assert {type(message) for message in messages} == {str, bytes}
    filled = [message for message in messages if message]
    assert len(set(filled)) == len(filled) == 2_997
    sizes = [size_of(message) for message in messages]
    for low, high in [(0, 0), (16, 125), (126, 65_535), (65_536, 262_144)]:
        assert any(low <= size <= high for size in sizes)
    assert max(sizes) <= 262_144


@pytest.mark.parametrize("arguments", [["--version"], ["ws://x/", "--version"]])
def test_version_names_the_implementation(run: Any, arguments: list[str]) -> None:
    result = run(*arguments)

    start = f"fullduplex {fullduplex.__version__} ({fullduplex.IMPLEMENTATION}, "
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(start)


def test_help_names_options_and_demo(run: Any) -> None:
    result = run("--help")

    assert result.returncode == 0
    for wanted in (
        "--header",
        "--subprotocol",
        "--origin",
        "--insecure",
        "--ping-interval",
        "--no-compression",
        "--wait",
        "--version",
        "fullduplex demo",
    ):
        assert wanted in result.stdout


def run_without(
    module: str, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.modules[{module!r}] = None;"
        " from fullduplex.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )


@pytest.mark.parametrize("module", ["click", "rich", "prompt_toolkit"])
@pytest.mark.parametrize("arguments", [["ws://127.0.0.1/"], ["demo"], []])
def test_missing_package_is_one_line_that_names_the_extra(
    environment: dict[str, str], module: str, arguments: list[str]
) -> None:
    result = run_without(module, environment, *arguments)

    assert (result.returncode, result.stdout) == (1, "")
    assert 'pip install "fullduplex[cli]"' in result.stderr
    assert result.stderr.count("\n") == 1


def test_version_works_without_the_extra(environment: dict[str, str]) -> None:
    result = run_without("click", environment, "--version")

    assert result.returncode == 0
    assert result.stdout.startswith(f"fullduplex {fullduplex.__version__} ")
