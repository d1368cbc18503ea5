"""Starts ``wstest`` and the testees, and joins them over loopback."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from .environment import ROOT
from .relay import Certificates, relay

START_TIMEOUT = 60  # seconds; Twisted starts slowly on a busy machine


class Broken(Exception):
    """A process of the run did not do its part; the text says which and how."""


def implementation(agent: str) -> str:
    """Return the value of ``FULLDUPLEX_IMPL`` for an agent's name."""
    return agent.split("-")[1]


def face(agent: str) -> str:
    """Return the face for an agent's name: the third part, by default asyncio."""
    return [*agent.split("-"), "asyncio"][2]


def test_client(
    wstest: Path,
    agent: str,
    cases: list[str],
    outdir: Path,
    tls: Certificates | None,
) -> int:
    """
    Drive our client through a fuzzing server; return the number of cases.

    Each agent has a fuzzing server of its own: it is the slower side, and two of
    them use two processors.
    """
    with _fuzzing_server(wstest, cases, outdir) as port:
        if tls is None:
            return drive_client(f"ws://127.0.0.1:{port}", agent)
        with relay(port, accepting=tls.server_context()) as secure:
            # The fuzzing server wants to see its own port in ``Host``.
            url = f"wss://localhost:{port}"
            return drive_client(url, agent, tls.authority, secure)


def drive_client(
    url: str, agent: str, authority: Path | None = None, port: int | None = None
) -> int:
    """
    Drive our client through the fuzzing server that listens at ``url``.

    Args:
        authority: certificates to trust, with TLS.
        port: where to connect to instead.
    """
    given = {} if authority is None else {"SSL_CERT_FILE": str(authority)}
    more = () if port is None else ("--port", str(port))
    with _testee(agent, "client", url, agent, *more, **given) as testee:
        output, _ = testee.communicate()
    if testee.returncode:
        raise Broken(f"{agent}: the testee ended with status {testee.returncode}")
    return int(output)


def test_server(
    wstest: Path,
    agent: str,
    cases: list[str],
    outdir: Path,
    tls: Certificates | None,
) -> int:
    """Let a fuzzing client loose on our server; return the number of cases."""
    more = () if tls is None else ("--certificate", str(tls.server))
    with _testee(agent, "server", "0", *more) as testee, ExitStack() as stack:
        assert testee.stdout is not None
        port = int(testee.stdout.readline() or 0)
        if not port:
            raise Broken(f"{agent}: the server did not start")
        if tls is not None:
            port = stack.enter_context(relay(port, connecting=tls.client_context()))
        config = {
            "outdir": str(outdir),
            "servers": [{"agent": agent, "url": f"ws://127.0.0.1:{port}"}],
            "cases": cases,
        }
        log = _prepare(outdir, config)
        with log.open("w") as output:
            subprocess.run(
                [wstest, "-m", "fuzzingclient", "-s", outdir / "config.json"],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if testee.poll() is not None:
            raise Broken(f"{agent}: the server ended with status {testee.returncode}")
    for line in log.read_text().splitlines():
        if line.startswith("Ok, will run "):
            return int(line.split()[3])
    raise Broken(f"{agent}: the fuzzing client did not start, see {log}")


@contextlib.contextmanager
def _fuzzing_server(wstest: Path, cases: list[str], outdir: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    log = _prepare(outdir, {"outdir": str(outdir), "url": url, "cases": cases})
    with (
        log.open("w") as output,
        subprocess.Popen(
            [wstest, "-m", "fuzzingserver", "-s", outdir / "config.json", "-u", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, port, log)
            yield port
        finally:
            process.terminate()


def _wait_until_it_listens(
    process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    give_up_at = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise Broken(f"the fuzzing server did not start, see {log}")


def _prepare(outdir: Path, config: Mapping[str, object]) -> Path:
    """Write the configuration, drop old results, return the path of the log."""
    outdir.mkdir(parents=True, exist_ok=True)
    for old in (*outdir.glob("*.json"), *outdir.glob("*.html")):
        old.unlink()
    (outdir / "config.json").write_text(json.dumps(config))
    return outdir / "wstest.log"


@contextlib.contextmanager
def _testee(
    agent: str, *arguments: str, **environ: str
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "conformance.testee"),
            *(*arguments, "--face", face(agent)),
        ],
        cwd=ROOT,
        env=os.environ | {"FULLDUPLEX_IMPL": implementation(agent)} | environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
