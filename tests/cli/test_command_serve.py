"""``fullduplex serve``: echo, chat, TLS, Unix sockets, signals and workers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fullduplex import ConnectionClosed, connect, unix_connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

DEADLINE = 20  # seconds
LINE = re.compile(r"(echo|chat) server at (\S+)( with \d+ workers)?\n")


class Served:
    """A running ``fullduplex serve``."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fullduplex", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()

    @property
    def uri(self) -> str:
        found = LINE.fullmatch(self.line)
        assert found is not None, (self.line, self.finish())
        return found[2]

    @property
    def port(self) -> int:
        return int(self.uri.rpartition(":")[2].strip("/"))

    def finish(self, number: int | None = None) -> tuple[int, str]:
        """Send a signal, wait; the exit status and standard error."""
        if number is not None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Serve = Callable[..., Served]


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[Serve]:
    """Start the command; a free port unless told otherwise."""
    started = []

    def start(*arguments: str) -> Served:
        if not {"--port", "--unix"} & set(arguments):
            arguments = ("--port", "0", *arguments)
        started.append(Served(arguments, environment))
        return started[-1]

    yield start
    for item in started:
        item.kill()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def echoes(uri: str, **options: Any) -> bool:
    async with connect(uri, **options) as ws:
        for message in ("héllo", b"\x00\xff", "", "x" * 100_000):
            await ws.send(message)
            if await ws.recv() != message:
                return False
    return True


def test_serve_echoes_and_names_its_address(served: Serve) -> None:
    server = served()

    assert server.line.startswith("echo server at ws://127.0.0.1:")
    assert asyncio.run(echoes(server.uri))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_an_idle_server_with_status_0(served: Serve, number: int) -> None:
    server = served()

    assert server.finish(number) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_signal_closes_connections_with_1001(
    served: Serve, number: int, workers: str
) -> None:
    server = served("--workers", workers)

    async def stay() -> list[int]:
        sockets = [await connect(server.uri).connect() for _ in range(6)]
        server.process.send_signal(number)
        codes = []
        for ws in sockets:
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            codes.append(caught.value.rcvd.code)
        return codes

    assert asyncio.run(stay()) == [1001] * 6
    assert server.finish() == (0, "")


def test_drain_ends_with_a_client_that_never_answers(served: Serve) -> None:
    server = served("--drain", "0.3")
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert silent.recv(4096).startswith(b"HTTP/1.1 101")
        began = time.monotonic()

        assert server.finish(signal.SIGTERM)[0] == 0
        assert time.monotonic() - began < 8


def test_second_signal_ends_at_once(served: Serve) -> None:
    server = served("--drain", "60")
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert silent.recv(4096).startswith(b"HTTP/1.1 101")
        server.process.send_signal(signal.SIGINT)
        assert silent.recv(4096)[:2] == b"\x88\x02"  # it has begun to drain

        status, errors = server.finish(signal.SIGINT)

    assert status == 130
    assert "Traceback" not in errors


def test_broadcast_sends_to_everybody(served: Serve) -> None:
    server = served("--broadcast")

    async def talk() -> list[str | bytes]:
        async with connect(server.uri) as ann, connect(server.uri) as bob:
            await ann.send("hi")
            return [await ann.recv(), await bob.recv()]

    assert server.line.startswith("chat server at ")
    assert asyncio.run(talk()) == ["hi", "hi"]


def test_unix_socket_is_served(served: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = served("--unix", path)

    async def talk() -> str | bytes:
        async with unix_connect(path) as ws:
            await ws.send("hi")
            return await ws.recv()

    assert server.line == f"echo server at unix:{path}\n"
    assert asyncio.run(talk()) == "hi"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("together", [True, False])
def test_tls_is_served(
    served: Serve, tmp_path: Path, together: bool, workers: str
) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    both, chain, key = (tmp_path / name for name in ("both", "chain", "key"))
    issued.private_key_and_cert_chain_pem.write_to_path(both)
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    given = ["--tls-cert", str(chain), "--tls-key", str(key)]
    if together:
        given = ["--tls-cert", str(both)]
    context = ssl.create_default_context()
    authority.configure_trust(context)

    server = served(*given, "--workers", workers)

    assert server.uri.startswith("wss://")
    assert asyncio.run(echoes(server.uri, ssl=context))


def test_workers_share_one_port(served: Serve) -> None:
    server = served("--workers", "3")

    assert server.line.endswith(" with 3 workers\n")
    for _ in range(5):
        assert asyncio.run(echoes(server.uri))


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("needs /proc")
    return [int(child) for child in listed.read_text().split()]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_worker_that_died_is_replaced(served: Serve) -> None:
    server = served("--workers", "2")
    first = children(server.process.pid)
    os.kill(first[0], signal.SIGKILL)

    wait_for(lambda: len(set(children(server.process.pid)) - set(first)) == 1)
    status, errors = server.finish(signal.SIGTERM)
    assert status == 0
    assert "a worker died" in errors


def test_workers_end_with_a_parent_that_was_killed(served: Serve) -> None:
    server = served("--workers", "2")
    workers = children(server.process.pid)
    assert len(workers) == 2

    server.process.kill()

    wait_for(lambda: all(gone(pid) for pid in workers))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_address_in_use_is_one_line_and_status_1(run: Any, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port), "--workers", workers)

    assert result.returncode == 1
    assert result.stderr.startswith(
        f"fullduplex: cannot listen at ws://127.0.0.1:{port}/: "
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_certificate_that_cannot_be_read_is_status_1(run: Any, workers: str) -> None:
    result = run(
        "serve", "--port", "0", "--tls-cert", "/no/such.pem", "--workers", workers
    )

    assert result.returncode == 1
    assert "cannot use the certificate /no/such.pem" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--tls-key", "a"], "--tls-key needs --tls-cert"),
        (["--broadcast", "--workers", "2"], "leave out --workers"),
        (["--unix", "a", "--workers", "2"], "leave out --workers"),
        (["--workers", "0"], "--workers"),
        (["--port", "65536"], "--port"),
        (["--drain", "nan"], "--drain"),
        (["--drain", "-1"], "--drain"),
        (["ws://127.0.0.1/"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_status_2(run: Any, arguments: list[str], reason: str) -> None:
    result = run("serve", *arguments)

    assert result.returncode == 2
    assert reason in result.stderr


def test_help_names_every_option(run: Any) -> None:
    result = run("serve", "--help")

    assert result.returncode == 0
    for wanted in (
        "--host",
        "--port",
        "--unix",
        "--tls-cert",
        "--tls-key",
        "--broadcast",
        "--workers",
        "--drain",
    ):
        assert wanted in result.stdout
