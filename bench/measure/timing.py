"""One measurement: the process whose CPU time is counted.

``python -m bench.measure.timing JOB`` connects to the raw peer, warms up, measures and
prints one JSON object: the figures or, under ``"skip"`` or ``"error"``, the reason.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from ..clients import CLIENTS, Skip, Target
from ..growth import from_job
from ..peers.peers import allow_descriptors
from ..rows import scenarios, servers
from ..rows.rows import Row
from .counters import Meter

SCENARIOS = scenarios.SCENARIOS | servers.SCENARIOS

# Methods that a scenario needs from a client's module, and the text where they are
# missing.
NEEDED = {
    "serve": "serve",
    "crowd": "serve",
    "handshake": "serve",
    "broadcast": "broadcaster",
}
LACKING = {
    "open": "no client",
    "serve": "no server",
    "broadcaster": "no way to send to many connections",
}

Measured = Coroutine[Any, Any, Meter]


def run_asyncio(start: Callable[[], Measured], job: dict[str, Any]) -> Meter:
    new_loop = None
    if job["loop"] == "uvloop":
        new_loop = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(start())


def run_blocking(start: Callable[[], Measured], job: dict[str, Any]) -> Meter:
    """No event loop: the coroutines of a blocking client never wait."""
    try:
        start().send(None)
    except StopIteration as stop:
        meter: Meter = stop.value
        return meter
    raise AssertionError("a blocking client has waited")


def run_trio(start: Callable[[], Measured], job: dict[str, Any]) -> Meter:
    meter: Meter = importlib.import_module("trio").run(start)
    return meter


RUNNERS = {"asyncio": run_asyncio, "sync": run_blocking, "trio": run_trio}


async def measure(client: Any, row: Row, job: dict[str, Any]) -> Meter:
    name = NEEDED.get(row.scenario, "open")
    if not hasattr(client, name):
        raise Skip(LACKING[name])
    context = None
    if row.tls:
        context = ssl.create_default_context(cafile=job["authority"])
    scheme = "wss" if row.tls else "ws"
    target = Target(row, f"{scheme}://127.0.0.1:{job['port']}/", job["port"], context)
    meter = Meter(job["peer_pid"], getattr(client, "pid", os.getpid))
    await SCENARIOS[row.scenario](client, target, meter)
    if hasattr(client, "finish"):
        await client.finish()
    return meter


def run(job: dict[str, Any]) -> dict[str, Any]:
    row = from_job(job)
    try:
        module = CLIENTS[job["client"]].modules[row.face]
        client = importlib.import_module(f"bench.clients.{module}")
        meter = RUNNERS[row.face](lambda: measure(client, row, job), job)
    except ImportError as exc:
        return {"skip": str(exc).partition(" (")[0]}
    except Skip as exc:
        return {"skip": str(exc)}
    except Exception as exc:  # the parent reports it, with what the peer says
        return {"error": f"{type(exc).__name__}: {exc}"}
    return {**meter.figures(), "version": client.version()}


def main() -> None:
    job = json.loads(sys.argv[1])
    signal.alarm(job["patience"])
    if job["own_cpu"] is not None:
        os.sched_setaffinity(0, {job["own_cpu"]})
    allow_descriptors()
    print(json.dumps(run(job)))


if __name__ == "__main__":
    main()
