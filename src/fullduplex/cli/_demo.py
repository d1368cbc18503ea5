"""The demonstration: an echo server and a client in one process, timed.

First one message at a time, for the time of a round trip; then in batches as
fast as they go, for the throughput.  Every echo is compared with what was sent,
and the clock runs neither while messages are made nor while they are compared.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from .. import connect, serve
from ..exceptions import ConnectionClosed, WebSocketException
from ._demo_messages import mixed_messages, size_of
from ._errors import one_line
from ._program import program, python, version_line
from ._render import keep_printing

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection
    from ..asyncio.server import ServerConnection


_FAILED = 1
_INTERRUPTED = 130

# Messages that are in flight together while throughput is measured.
_BATCH = 500


class _WrongEcho(Exception):
    """A message came back changed."""


@dataclass
class _Results:
    """Measurements so far; times in seconds, sizes in bytes and one way."""

    verified: int = 0
    texts: int = 0
    size: int = 0
    largest: int = 0
    round_trips: list[float] = field(default_factory=list)
    streamed: int = 0
    streamed_size: int = 0
    streaming_time: float = 0.0

    def verify(self, sent: str | bytes, echo: str | bytes) -> None:
        if type(echo) is not type(sent) or echo != sent:
            raise _WrongEcho(
                f"message {self.verified + 1} of {size_of(sent):,} bytes came back"
                f" changed, as {type(echo).__name__} of {size_of(echo):,} bytes"
            )
        self.verified += 1
        self.texts += isinstance(sent, str)
        size = size_of(sent)
        self.size += size
        self.largest = max(self.largest, size)


def run_demo(count: int) -> int:
    """Exchange ``count`` messages, print the figures, return the exit status."""
    keep_printing()
    print(version_line(), flush=True)
    results = _Results()
    try:
        asyncio.run(_exchange(count, results))
    except KeyboardInterrupt:
        print(f"stopped after {results.verified:,} messages", file=sys.stderr)
        return _INTERRUPTED
    except (_WrongEcho, OSError, WebSocketException) as error:
        print(f"fullduplex: demo failed: {one_line(str(error))}", file=sys.stderr)
        return _FAILED
    print(_report(results))
    return 0


async def _exchange(count: int, results: _Results) -> None:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        auto_refresh=False,  # a thread that draws would disturb the clock
        transient=True,
        disable=not sys.stdout.isatty(),
    )
    # Nothing on loopback is slow enough for compression to pay.
    async with serve(_echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        uri = f"ws://127.0.0.1:{port}/"
        print(f"echo server and client in this process, at {uri}", flush=True)
        async with connect(uri, compression=None, proxy=None) as ws:
            with progress:
                await _run_phases(ws, count, results, progress)


async def _run_phases(
    ws: ClientConnection, count: int, results: _Results, progress: Progress
) -> None:
    sources = mixed_messages(count)
    singles = (count + 1) // 2
    bar = progress.add_task("one at a time", total=count)
    step = max(1, count // 100)  # messages between two drawings
    for message in islice(sources, singles):
        await _round_trip(ws, message, results)
        if results.verified % step == 0:
            progress.update(bar, completed=results.verified, refresh=True)
    progress.update(bar, description="streaming    ")
    for batch in _batches(sources):
        await _stream(ws, batch, results)
        progress.update(bar, completed=results.verified, refresh=True)


def _batches(messages: Iterator[str | bytes]) -> Iterator[list[str | bytes]]:
    while batch := list(islice(messages, _BATCH)):
        yield batch


async def _echo(ws: ServerConnection) -> None:
    try:
        async for message in ws:
            await ws.send(message)
    except ConnectionClosed:
        pass  # interrupted; the client's side reports it


async def _round_trip(
    ws: ClientConnection, message: str | bytes, results: _Results
) -> None:
    start = time.perf_counter()
    await ws.send(message)
    echo = await ws.recv()
    results.round_trips.append(time.perf_counter() - start)
    results.verify(message, echo)


async def _stream(
    ws: ClientConnection, batch: Sequence[str | bytes], results: _Results
) -> None:
    async def send() -> None:
        for message in batch:
            await ws.send(message)

    async def receive() -> list[str | bytes]:
        return [await ws.recv() for _ in batch]

    start = time.perf_counter()
    _, echoes = await asyncio.gather(send(), receive())
    results.streaming_time += time.perf_counter() - start
    for message, echo in zip(batch, echoes, strict=True):
        results.verify(message, echo)
        results.streamed += 1
        results.streamed_size += size_of(message)


def _report(results: _Results) -> str:
    times = sorted(results.round_trips)
    lines = [
        "",
        f"{results.verified:,} messages echoed, {results.verified:,} verified equal"
        " to what was sent",
        f"  {results.texts:,} text, {results.verified - results.texts:,} binary,"
        f" up to {results.largest:,} bytes, {_mebibytes(results.size)} each way,"
        " no compression",
        "",
        f"Round trip, one message at a time ({len(times):,} messages)",
        "  "
        + "   ".join(
            f"{name} {_duration(_percentile(times, part))}"
            for name, part in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)]
        ),
    ]
    if results.streamed:
        rate = results.streamed / results.streaming_time
        size_rate = results.streamed_size / results.streaming_time
        lines += [
            "",
            f"Throughput, {_BATCH} messages in flight ({results.streamed:,} messages)",
            f"  {rate:,.0f} messages/s, {_mebibytes(size_rate)}/s each way",
        ]
    lines += [
        "",
        "Where to go next",
        *_table(
            (f"{program()} --help", "talk to a server from this terminal"),
            (f"{program()} serve", "a server to talk to, at ws://127.0.0.1:8765/"),
            (
                f"echo hi | {program()} ws://127.0.0.1:8765/",
                "the same in a script",
            ),
            (
                f"{python()} -m pydoc fullduplex.connect",
                "every option of the library's client",
            ),
            (f"{python()} -m pydoc fullduplex.serve", "and of its server"),
        ),
    ]
    return "\n".join(lines)


def _table(*rows: tuple[str, str]) -> Iterator[str]:
    width = max(len(command) for command, _ in rows)
    for command, meaning in rows:
        yield f"  {command:{width}}   {meaning}"


def _percentile(ordered: Sequence[float], part: float) -> float:
    """Return the smallest value that ``part`` of all values do not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _duration(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms"


def _mebibytes(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"
