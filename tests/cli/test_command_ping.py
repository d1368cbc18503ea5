"""`fullduplex ping`: what it shows, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from fullduplex.cli._ping import Tally

from .raw import mute


def test_each_pong_is_shown_and_then_the_summary(server: Any, run: Any) -> None:
    result = run("ping", server.uri(), "-c", "3", "-i", "0.01")

    assert result.returncode == 0
    assert result.stderr == ""
    address = server.uri().removeprefix("ws://").rstrip("/")
    first, *pongs, title, counts, times = result.stdout.splitlines()
    assert first == f"PING {server.uri()} ({address})"
    for number, line in enumerate(pongs, 1):
        pattern = rf"pong from {address}: seq={number} time=\d+\.\d{{3}} ms"
        assert re.fullmatch(pattern, line)
    assert len(pongs) == 3
    assert title == f"--- {server.uri()} ping statistics ---"
    assert counts.startswith("3 pings sent, 3 answered, 0% lost, time ")
    pattern = r"rtt min/mean/p50/p99/max = (\d+\.\d{3}/){4}\d+\.\d{3} ms"
    assert re.fullmatch(pattern, times)


def test_quiet_shows_only_the_summary(server: Any, run: Any) -> None:
    result = run("ping", server.uri("/on-request"), "-q", "-c", "2", "-i", "0.01")

    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 4


def test_tls_without_a_known_certificate_needs_insecure(server: Any, run: Any) -> None:
    uri = server.uri(kind="tls")

    assert run("ping", uri, "-c", "1").returncode == 1
    assert run("ping", uri, "-c", "1", "--insecure").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal")
def test_interrupt_shows_the_summary(server: Any, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fullduplex", "ping", server.uri(), "-i", "0.01"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        while "seq=5" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert process.returncode == 0
    assert re.search(r"\n\d+ pings sent, \d+ answered", rest)
    assert "rtt min/mean/p50/p99/max" in rest
    assert server.closings.get(timeout=10) == (1000, "")


def test_server_that_answers_no_ping_is_a_failure(run: Any) -> None:
    with mute() as uri:
        result = run("ping", uri, "-c", "2", "-i", "0.01", "-W", "0.1")

    assert result.returncode == 1
    assert "no pong: seq=1 within 0.1 s\n" in result.stdout
    assert "2 pings sent, 0 answered, 100% lost" in result.stdout
    assert "rtt" not in result.stdout


def test_connection_that_ends_early_is_a_failure_with_a_summary(
    server: Any, run: Any
) -> None:
    result = run("ping", server.uri("/close-1001"), "-i", "0.01")

    assert result.returncode == 1
    assert " ping statistics ---" in result.stdout
    assert result.stderr.endswith(
        "ended: received 1001 (going away) bye; then sent 1001 (going away) bye\n"
    )


def test_nobody_there_is_a_failure_in_one_line(run: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"ws://user:secret@127.0.0.1:{free.getsockname()[1]}/"
        result = run("ping", uri, "-c", "1")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("fullduplex: cannot connect to ws://***@127.0.0.1")
    assert result.stderr.endswith(": connection refused\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["http://localhost/"],
        ["ws://localhost/", "-c", "0"],
        ["ws://localhost/", "-i", "0"],
        ["ws://localhost/", "-i", "nan"],
        ["ws://localhost/", "--insecure"],
    ],
)
def test_wrong_usage_is_status_2(run: Any, arguments: list[str]) -> None:
    result = run("ping", *arguments)

    assert result.returncode == 2
    assert "Usage: fullduplex ping" in result.stderr


def test_summary_counts_what_was_lost() -> None:
    tally = Tally(sent=3, times=[0.001, 0.003])

    assert tally.summary(2) == [
        "3 pings sent, 2 answered, 33.3% lost, time 2.0 s",
        "rtt min/mean/p50/p99/max = 1.000/2.000/2.000/2.980/3.000 ms",
    ]
    assert Tally().summary(0) == ["0 pings sent, 0 answered, 0% lost, time 0.0 s"]
