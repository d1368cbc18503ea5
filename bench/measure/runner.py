"""Start the two processes of a measurement, collect the figures, end them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clients import CLIENTS
from ..rows.rows import Row

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds for one measurement
GRACE = 30  # seconds longer that the processes live, should we be killed

# Run on its own, so that nothing is imported yet but what the interpreter needs.
IMPORT = """
import resource, time
def probe():
    begin, total = time.thread_time(), 0
    for number in range(100_000):
        total += number & 7
    return time.thread_time() - begin
def now():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, time.perf_counter()
before = probe()
cpu, wall = now()
{statement}
cpu2, wall2 = now()
figures = cpu2 - cpu, wall2 - wall, before, probe()
print('{{"cpu": %r, "wall": %r, "probe": [%r, %r]}}' % figures)
"""


@dataclass(frozen=True)
class Under:
    """A program that the measured process runs under, as a profiler.

    Args:
        command: command before the interpreter.
        patience: seconds for one measurement.
    """

    command: tuple[str, ...] = ()
    patience: int = PATIENCE


DIRECTLY = Under()


class Failure(Exception):
    """A measurement gave no figures, and not because the client lacks a feature."""


@dataclass(frozen=True)
class Cores:
    """Where the measured process and its peer run; ``None`` where nobody can say."""

    own: int | None
    peer: int | None

    @classmethod
    def choose(cls) -> Cores:
        if not hasattr(os, "sched_setaffinity"):
            return cls(None, None)
        cpus = sorted(os.sched_getaffinity(0))
        return cls(cpus[-1], cpus[0])


@contextmanager
def certificates() -> Iterator[dict[str, str]]:
    """Files for the TLS rows; an empty dict if trustme is missing."""
    try:
        import trustme
    except ImportError:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        files = {
            "authority": f"{folder}/authority.pem",
            "certificate": f"{folder}/certificate.pem",
        }
        authority.cert_pem.write_to_path(files["authority"])
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(files["certificate"])
        yield files


@contextmanager
def process(
    arguments: list[str], environment: dict[str, str], under: Under = DIRECTLY
) -> Iterator[subprocess.Popen[str]]:
    """A Python process that does not outlive the ``with`` block."""
    # A session of its own: Ctrl-C reaches us alone, and we end the others.
    child = subprocess.Popen(
        [*under.command, sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def environment(client: str) -> dict[str, str]:
    """Ours without what could change the course of a measurement."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "FULLDUPLEX_"))
        and not name.lower().endswith("_proxy")
    }
    return {**kept, **CLIENTS[client].environment}


def figures(child: subprocess.Popen[str], patience: int = PATIENCE) -> dict[str, Any]:
    try:
        output, errors = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failure(f"no figures within {patience} s") from None
    if child.returncode:
        lines = errors.strip().splitlines() or [f"exit status {child.returncode}"]
        raise Failure(lines[-1])
    found: dict[str, Any] = json.loads(output)
    if "error" in found:
        raise Failure(found["error"])
    return found


def measure_import(row: Row, client: str, cores: Cores) -> dict[str, Any]:
    program = IMPORT.format(statement=CLIENTS[client].imports[row.statement])
    if cores.own is not None:
        program = f"import os; os.sched_setaffinity(0, {{{cores.own}}})\n{program}"
    try:
        with process(["-c", program], environment(client)) as child:
            return figures(child)
    except Failure as exc:
        if str(exc).startswith(("ImportError", "ModuleNotFoundError")):
            return {"skip": str(exc).partition(" (")[0]}
        raise


def measure(
    row: Row,
    client: str,
    *,
    loop: str,
    cores: Cores,
    files: dict[str, str],
    under: Under = DIRECTLY,
) -> dict[str, Any]:
    """Measure once.

    Returns:
        ``cpu``, ``wall`` and ``peer_cpu`` in seconds for ``row.operations``
        operations, or ``skip``: why this client has no such row.

    Raises:
        Failure: something went wrong; both processes have ended.
    """
    if row.scenario == "import":
        return measure_import(row, client, cores)
    if row.tls and not files:
        return {"skip": "trustme is not installed: no certificate"}
    job = {
        "row": row.name,
        "operations": row.operations,
        "warmup": row.warmup,
        "client": client,
        "loop": loop,
        "own_cpu": cores.own,
        "peer_cpu": cores.peer,
        "patience": under.patience + GRACE,
        **files,
    }
    with process(
        ["-m", "bench.peers.peers", json.dumps(job)], environment(client)
    ) as peer:
        assert peer.stdout is not None
        assert peer.stderr is not None
        job["port"] = int(peer.stdout.readline() or 0)
        job["peer_pid"] = peer.pid
        arguments = ["-m", "bench.measure.timing", json.dumps(job)]
        with process(arguments, environment(client), under) as child:
            try:
                return figures(child, under.patience)
            except Failure as exc:
                peer.kill()
                reason = peer.stderr.read().strip().splitlines()
                raise Failure("; peer: ".join([str(exc), *reason[-1:]])) from None
