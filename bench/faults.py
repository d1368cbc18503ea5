"""``python -m bench.faults``: the same faults for each client, and what was observed.

Each case of each client runs in a process of its own, against a raw peer in a thread
of it.  Timeouts are scaled down, see `SETTINGS`; everything else is the default.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import multiprocessing
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .peers import fault_peers as peers
from .peers.fault_peers import Peer
from .peers.peers import Stream
from .report.markdown import line

CLIENTS = ("fullduplex", "websockets", "picows.websockets")
SETTINGS: dict[str, Any] = {
    "open_timeout": 1,
    "ping_interval": 0.5,
    "ping_timeout": 0.5,
    "close_timeout": 0.5,
    "max_queue": 16,
    "max_size": None,
    "compression": None,
    "proxy": None,
}
BIG = 16 * 2**20  # bytes in a message that no socket buffer holds
HALF = BIG // 2
RECONNECTING = 10.0  # seconds
SLOW_READS = 8  # messages, 2 a second: with a full queue for more than 1.5 s
LINGER = 0.7  # seconds after which something that is still there counts as left
PATIENCE = 15.0  # seconds until it hangs
ATTEMPTS_TARGET, TLS_TARGET = 8, 0.15

# -- What the clients do -------------------------------------------------------


@dataclass
class Run:
    """One client in one case."""

    library: Any
    peer: Peer
    connects: int
    begun: float = field(default_factory=time.perf_counter)
    step: str = "connect"
    figure: float | None = None
    kept: list[Any] = field(default_factory=list)  # nothing is collected too early

    def begin(self, step: str) -> None:
        self.step, self.begun = step, time.perf_counter()

    def elapsed(self) -> str:
        return f"{time.perf_counter() - self.begun:.2f} s"

    def connect(self, host: str = "127.0.0.1", **kwds: Any) -> Any:
        uri = f"ws://{host}:{self.peer.port}/"
        return self.library.connect(uri, **{**SETTINGS, **kwds})

    async def open(self, **kwds: Any) -> Any:
        connection = await self.connect(**kwds)
        self.kept.append(connection)
        return connection


async def opening(run: Run) -> str:
    await run.open()
    return f"connected after {run.elapsed()}"


async def receiving(run: Run) -> str:
    connection = await run.open()
    run.begin("recv")
    return f"received {len(await connection.recv())} bytes"


async def sending(run: Run) -> str:
    connection = await run.open()
    run.begin("send")
    await connection.send(bytes(BIG))
    run.step = f"send returned after {run.elapsed()}, recv"
    return f"received {len(await connection.recv())} bytes"


async def sending_slowly(run: Run) -> str:
    connection = await run.open()
    run.begin("send")
    await connection.send(bytes(HALF))
    run.step = f"send returned after {run.elapsed()}, recv"
    reply = await connection.recv()
    text = f"stays open; the peer {reply} bytes, its answer came after {run.elapsed()}"
    await connection.close()
    return text


async def reconnecting(run: Run) -> str:
    try:
        async with asyncio.timeout(RECONNECTING):
            async for connection in run.connect():
                try:
                    await connection.recv()
                except run.library.ConnectionClosed:
                    continue
    except TimeoutError:
        pass
    run.figure = run.peer.accepted
    return f"{run.peer.accepted} attempts in {RECONNECTING:g} s"


def resident() -> int:
    """KiB of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


async def consuming(run: Run) -> str:
    connection = await run.open()
    run.begin("recv")
    await asyncio.sleep(0.5)  # the queue is full by now
    before = resident()
    lost = ""
    for number in range(SLOW_READS):
        run.step = f"recv {number + 1} of {SLOW_READS}"
        await connection.recv()
        for _ in range(10):
            await asyncio.sleep(0.05)
            if connection.close_code is not None and not lost:
                lost = f"closed with {connection.close_code} after {run.elapsed()}"
    growth = resident() - before
    if lost:
        return f"{lost}, memory {growth:+} KiB after {run.elapsed()}"
    run.figure = growth
    text = f"stays open for {run.elapsed()}, memory {growth:+} KiB"
    run.begin("close")
    await connection.close()
    return f"{text}; close() took {run.elapsed()}, code {connection.close_code}"


async def closing(run: Run) -> str:
    connection = await run.open()
    run.begin("close")
    await connection.close()
    return f"close() took {run.elapsed()}, code {connection.close_code}"


def resolve_to(first: str) -> None:
    """Let ``localhost`` have two addresses, the second of which is the peer's."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwds: Any) -> Any:
        if host not in ("localhost", b"localhost"):
            return real(host, port, *args, **kwds)
        return [
            found
            for address in (first, "127.0.0.1")
            for found in real(address, port, 0, socket.SOCK_STREAM)
        ]

    socket.getaddrinfo = getaddrinfo


async def dialing(run: Run) -> str:
    connection = await run.open(host="localhost")
    text = f"connected after {run.elapsed()}"
    await connection.close()
    return text


async def dead_address(run: Run) -> str:
    resolve_to("::1")
    return await dialing(run)


async def black_hole(run: Run) -> str:
    """An address whose queue of connections is full answers nothing at all."""
    listener = socket.socket(socket.AF_INET6)
    listener.bind(("::1", run.peer.port))
    listener.listen(0)
    for _ in range(3):
        filler = socket.socket(socket.AF_INET6)
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        run.kept.append(filler)
    run.kept.append(listener)
    resolve_to("::1")
    await asyncio.sleep(0.1)
    run.begin("connect")
    return await dialing(run)


async def connecting_tls(run: Run) -> str:
    await (await run.open()).close()  # imports everything; no TLS yet
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        certificate = peers.trusted_certificate(folder)
        ours, theirs = spawning.Pipe()
        server = spawning.Process(
            target=peers.serve_tls, args=(certificate, theirs), daemon=True
        )
        server.start()
        uri = f"wss://127.0.0.1:{await asyncio.to_thread(ours.recv)}/"
        run.begin("connect")
        before = time.process_time()
        for _ in range(run.connects):
            connection = await run.library.connect(uri, **SETTINGS)
            await connection.close()
        run.figure = (time.process_time() - before) / run.connects * 1000
        server.terminate()
    return f"{run.figure:.2f} ms CPU per connect and close()"


# -- Cases ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    fault: str
    peer: Callable[[Stream], None]
    client: Callable[[Run], Awaitable[str]]


CASES = {
    "silent-drop": Case("TCP stays open, nothing is answered", peers.mute, receiving),
    "reset-handshake": Case("RST during the handshake", peers.reset_handshake, opening),
    "reset-message": Case("RST after half a message", peers.reset_message, receiving),
    "never-reads": Case("peer never reads, 16 MiB are sent", peers.mute, sending),
    "slow-reader": Case(
        "peer reads 2 MiB/s, 8 MiB are sent", peers.slow_reader, sending_slowly
    ),
    "half-close": Case("FIN without a close frame", peers.half_close, receiving),
    "try-later": Case(
        "server accepts, closes with 1013", peers.try_later, reconnecting
    ),
    "slow-consumer": Case(
        "2 messages/s are read of a flood; peer answers pings",
        peers.firehose,
        consuming,
    ),
    "garbage": Case("handshake answered with an SSH banner", peers.garbage, opening),
    "no-handshake": Case("handshake is never answered", peers.silent, opening),
    "lingering": Case("TCP stays open after close frames", peers.lingering, closing),
    "dead-address": Case("first address refuses", peers.ordinary, dead_address),
    "black-hole": Case("first address never answers", peers.ordinary, black_hole),
    "tls": Case("`wss` connects, default context", peers.ordinary, connecting_tls),
}


def described(run: Run, exc: BaseException) -> str:
    name = type(exc).__name__
    text = " ".join(str(exc).split()).replace("|", "/")
    codes = [
        f", code {kept.close_code}" for kept in run.kept if hasattr(kept, "close_code")
    ]
    return f"{name}{''.join(codes)} ({text[:90]}{'…' if len(text) > 90 else ''})"


async def observe(case: Case, run: Run) -> str:
    before = run.peer.client_sockets()
    timeout = asyncio.timeout(max(PATIENCE, run.connects * 0.1))
    try:
        async with timeout:
            run.begin("connect")
            seen = await case.client(run)
    except Exception as exc:
        if timeout.expired():
            return f"{run.step}: hangs, still after {run.elapsed()}"
        seen = f"{run.step}: after {run.elapsed()} {described(run, exc)}"
    await asyncio.sleep(LINGER)
    tasks = len(asyncio.all_tasks()) - 1
    fillers = {kept.fileno() for kept in run.kept if isinstance(kept, socket.socket)}
    sockets = len(run.peer.client_sockets() - before - fillers)
    left = [f"{n} {what}" for n, what in ((tasks, "task"), (sockets, "socket")) if n]
    return f"{seen}; left: {', '.join(left) or 'nothing'}"


def run_case(name: str, client: str, connects: int) -> None:
    """Run in a process of its own; print what was seen as JSON."""
    logging.getLogger().addHandler(logging.NullHandler())
    case = CASES[name]
    run = Run(importlib.import_module(client), Peer(case.peer), connects)
    seen = asyncio.run(observe(case, run))
    print(json.dumps({"seen": seen, "figure": run.figure}), flush=True)
    peers.over.set()


def spawned(name: str, client: str, connects: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.faults", "--run", name, client]
    limit = 2 * max(PATIENCE, connects * 0.1)
    try:
        done = subprocess.run(
            [*command, "--connects", str(connects)],
            capture_output=True,
            text=True,
            timeout=limit,
        )
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"seen": f"hangs, the process was ended after {limit:.0f} s"}
    except (IndexError, ValueError):
        return {"seen": f"no result: {done.stderr.strip().splitlines()[-1:]}"}
    return result


def verdicts(
    results: dict[str, dict[str, dict[str, Any]]],
) -> Iterator[tuple[bool, str]]:
    """Targets."""

    def figure(name: str, client: str) -> float | None:
        found: float | None = results.get(name, {}).get(client, {}).get("figure")
        return found

    if (attempts := figure("try-later", "fullduplex")) is not None:
        kept = attempts <= ATTEMPTS_TARGET
        yield kept, f"attempts: {attempts:g}, at most {ATTEMPTS_TARGET}"
    ours, theirs = figure("tls", "fullduplex"), figure("tls", "websockets")
    if ours and theirs:
        kept = ours / theirs <= TLS_TARGET
        yield (
            kept,
            f"wss connect: {ours / theirs:.3f} x websockets, at most {TLS_TARGET}",
        )
    if "fullduplex" in results.get("slow-consumer", {}):
        growth = figure("slow-consumer", "fullduplex")
        yield growth is not None, f"slow consumer: open, {growth} KiB more memory"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--connects", type=int, default=100, help="with TLS")
    parser.add_argument("--check", action="store_true", help="fail on a missed target")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        name, client = options.run
        run_case(name, client, options.connects)
        return 0
    packages = [f"{name} {version(name.split('.')[0])}" for name in options.clients]
    print(
        f"{platform.python_implementation()} {platform.python_version()}",
        *packages,
        sep=", ",
    )
    print(
        *(f"{name}={value}" for name, value in SETTINGS.items()), sep=", ", end="\n\n"
    )
    print(line(["fault", *options.clients]))
    print(line(["---"] * (len(options.clients) + 1)))
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in options.only:
        row = results[name] = {
            client: spawned(name, client, options.connects)
            for client in options.clients
        }
        fault = (
            f"{options.connects} {CASES[name].fault}"
            if name == "tls"
            else CASES[name].fault
        )
        print(
            line([fault, *(row[client]["seen"] for client in options.clients)]),
            flush=True,
        )
    found = list(verdicts(results))
    print(
        "",
        *(f"- {'kept' if kept else '**missed**'}: {text}" for kept, text in found),
        sep="\n",
    )
    return 1 if options.check and not all(kept for kept, _ in found) else 0


if __name__ == "__main__":
    sys.exit(main())
