"""One measurement: the process whose CPU time is counted.

``python -m bench.measure JOB`` connects to the raw peer, warms up, measures and prints
one JSON object: the figures or, under ``"skip"`` or ``"error"``, why there are none.

What runs between ``meter.start()`` and ``meter.stop()`` is the same for every client
but for the methods of its ``Connection`` (see ``clients/__init__.py``).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import resource
import signal
import ssl
import sys
import time
from types import ModuleType
from typing import Any

from . import rows
from .clients import CLIENTS, Skip, Target
from .messages import LAST, message
from .peers import PATIENCE, allow_descriptors
from .rows import Row


def resident_size() -> int:
    """Bytes of memory this process has; elsewhere than on Linux, the most it had."""
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Meter:
    """CPU time of this process and of the peer, wall time, and growth of memory."""

    def __init__(self, peer_pid: int) -> None:
        # The CPU clock of another process, as clock_getcpuclockid(3) builds it.
        self.peer_clock = (~peer_pid << 3) | 2

    def now(self) -> tuple[float, float, float | None]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peer = None
        if sys.platform == "linux":
            peer = time.clock_gettime(self.peer_clock)
        return usage.ru_utime + usage.ru_stime, time.perf_counter(), peer

    def start(self) -> None:
        gc.collect()
        self.memory = resident_size()
        self.begin = self.now()

    def stop(self) -> None:
        self.end = self.now()
        gc.collect()
        self.memory = resident_size() - self.memory

    def figures(self) -> dict[str, float | None]:
        (cpu, wall, peer), (cpu2, wall2, peer2) = self.begin, self.end
        return {
            "cpu": cpu2 - cpu,
            "wall": wall2 - wall,
            "memory": self.memory,
            "peer_cpu": None if peer is None or peer2 is None else peer2 - peer,
        }


def same(got: object, wanted: object, what: str) -> None:
    """Nobody may skip work: what arrived is compared, and is a ``str`` or ``bytes``."""
    if type(got) is not type(wanted) or got != wanted:
        raise AssertionError(f"{what}: got {got!r:.80}, expected {wanted!r:.80}")


async def receive(client: ModuleType, target: Target, meter: Meter) -> None:
    row = target.row
    connection = await client.open(target)
    wanted = [message(row, index) for index in range(row.warmup)]
    same(await connection.collect(row.warmup), wanted, "warm-up")
    meter.start()
    await connection.send("go", 1, 1)
    last = await connection.receive(row.operations)
    meter.stop()
    same(last, message(row, LAST), "last message")
    await connection.close()


async def send(client: ModuleType, target: Target, meter: Meter) -> None:
    row = target.row
    connection = await client.open(target)
    for index in range(row.warmup):
        await connection.send(message(row, index), 1, 1)
    same(await connection.collect(1), ["ready"], "answer to the warm-up")
    last = message(row, LAST)
    meter.start()
    await connection.send(last, row.operations, row.burst)
    answer = await connection.collect(1)
    meter.stop()
    same(answer, ["ok"], "answer to the last message")
    await connection.close()


async def echo(client: ModuleType, target: Target, meter: Meter) -> None:
    row = target.row
    connection = await client.open(target)
    for index in range(row.warmup):
        wanted = message(row, index)
        same(await connection.echo(wanted, 1), wanted, f"echo {index}")
    wanted = message(row, LAST)
    meter.start()
    last = await connection.echo(wanted, row.operations)
    meter.stop()
    same(last, wanted, "last echo")
    await connection.close()


async def connect(client: ModuleType, target: Target, meter: Meter) -> None:
    async def repeat(count: int) -> None:
        for _ in range(count):
            connection = await client.open(target)
            await connection.close()

    await repeat(target.row.warmup)
    meter.start()
    await repeat(target.row.operations)
    meter.stop()


async def idle(client: ModuleType, target: Target, meter: Meter) -> None:
    opened = [await client.open(target) for _ in range(target.row.warmup)]
    meter.start()
    opened += [await client.open(target) for _ in range(target.row.operations)]
    meter.stop()
    for connection in opened:
        await connection.close()


async def serve(client: ModuleType, target: Target, meter: Meter) -> None:
    """The peer connects to us; it says over a socket of its own when to count."""
    port, stop = await client.serve(target)
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(f"{port}\n".encode())
    same(await reader.readline(), b"warm\n", "word of the peer")
    meter.start()
    writer.write(b"go\n")
    same(await reader.readline(), b"done\n", "word of the peer")
    meter.stop()
    same(await reader.read(), b"", "word of the peer, once it has closed all")
    writer.close()
    await stop()


async def broadcast(client: ModuleType, target: Target, meter: Meter) -> None:
    """Each broadcast, or burst of them, is read by everybody before the next one."""
    row = target.row
    if not hasattr(client, "broadcaster"):
        raise Skip("no way to send to many connections")
    port, send, stop = await client.broadcaster(target)
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(f"{port}\n".encode())
    same(await reader.readline(), b"open\n", "word of the peer")
    for index in range(row.warmup // row.connections):
        await send(message(row, index), 1)
        same(await reader.readline(), b"got\n", "word of the peer")
    common, last = message(row, 0), message(row, LAST)
    meter.start()
    for _ in range(row.operations // row.connections // row.burst - 1):
        await send(common, row.burst)
        await reader.readline()
    await send(last, row.burst)
    same(await reader.readline(), b"got\n", "word of the peer")
    meter.stop()
    same(await reader.read(), b"", "word of the peer, once it has closed all")
    writer.close()
    await stop()


async def crowd(client: ModuleType, target: Target, meter: Meter) -> None:
    """The peer opens connections and leaves them open."""
    needed = target.row.warmup + target.row.operations + 64
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < needed:
        raise Skip(f"the system does not allow {needed:,} open files")
    port, stop = await client.serve(target)
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(f"{port}\n".encode())
    same(await reader.readline(), b"warm\n", "word of the peer")
    meter.start()
    writer.write(b"go\n")
    same(await reader.readline(), b"done\n", "word of the peer")
    meter.stop()
    writer.write(b"go\n")
    same(await reader.read(), b"", "word of the peer, once it has closed all")
    writer.close()
    await stop()


SCENARIOS = {
    "receive": receive,
    "send": send,
    "echo": echo,
    "connect": connect,
    "idle": idle,
    "serve": serve,
    "broadcast": broadcast,
    "crowd": crowd,
    "handshake": serve,
}


async def measure(client: ModuleType, row: Row, job: dict[str, Any]) -> Meter:
    context = None
    if row.tls:
        context = ssl.create_default_context(cafile=job["authority"])
    scheme = "wss" if row.tls else "ws"
    target = Target(row, f"{scheme}://127.0.0.1:{job['port']}/", job["port"], context)
    meter = Meter(job["peer_pid"])
    await SCENARIOS[row.scenario](client, target, meter)
    if hasattr(client, "finish"):
        await client.finish()
    return meter


def run(job: dict[str, Any]) -> dict[str, Any]:
    try:
        client = importlib.import_module(CLIENTS[job["client"]].module)
        new_loop = None
        if job["loop"] == "uvloop":
            new_loop = importlib.import_module("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=new_loop) as runner:
            meter = runner.run(measure(client, rows.from_job(job), job))
    except ImportError as exc:
        return {"skip": str(exc).partition(" (")[0]}
    except Skip as exc:
        return {"skip": str(exc)}
    except Exception as exc:  # the parent reports it, with what the peer says
        return {"error": f"{type(exc).__name__}: {exc}"}
    return {**meter.figures(), "version": client.version()}


def main() -> None:
    job = json.loads(sys.argv[1])
    signal.alarm(PATIENCE)
    if job["own_cpu"] is not None:
        os.sched_setaffinity(0, {job["own_cpu"]})
    allow_descriptors()
    print(json.dumps(run(job)))


if __name__ == "__main__":
    main()
