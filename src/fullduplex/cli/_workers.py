"""Several processes on one port, which the system shares out, and that drain together.

The parent only watches.  Each worker holds the end of a pipe: when it is closed,
because the parent wants to stop or because it is gone, the worker drains.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from ..asyncio.server import Server
from ._server import (
    FAILED,
    INTERRUPTED,
    Options,
    Stop,
    failure,
    run_server,
    welcome,
)

READY = b"ready\n"
# Seconds from the end of draining until a worker must be gone.
PATIENCE = 15.0
# Seconds before a worker that died is replaced.
REPLACE_AFTER = 1.0

_PROGRAM = "from fullduplex.cli._workers import work; work()"


# The parent


def serve_together(options: Options, count: int) -> int:
    """Serve with `count` processes; returns the exit status."""
    try:
        with reserved(options) as port:
            options = replace(options, port=port, reuse_port=True)
            return asyncio.run(_Parent(options, count).run())
    except OSError as error:
        print(failure(options, error), file=sys.stderr)
        return FAILED


@contextlib.contextmanager
def reserved(options: Options) -> Iterator[int]:
    """
    Hold the port, so that all workers get the same one and it stays ours.

    The socket does not listen: the system gives it no connections.

    Raises:
        OSError: the address cannot be used.
    """
    family, kind, proto, _, where = socket.getaddrinfo(
        options.host,
        options.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    with socket.socket(family, kind, proto) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(where)
        yield holder.getsockname()[1]


class _Parent:
    def __init__(self, options: Options, count: int) -> None:
        self._options = options
        self._count = count
        self._processes: set[Process] = set()
        self._ready = 0
        self._failed = False

    async def run(self) -> int:
        stop = Stop()
        stop.on_signals()
        self._stop = stop
        keepers = [asyncio.ensure_future(self._keep()) for _ in range(self._count)]
        urgent: asyncio.Future[Any] = asyncio.ensure_future(stop.urgent.wait())
        wanted: asyncio.Future[Any] = asyncio.ensure_future(stop.wanted.wait())
        everybody: asyncio.Future[Any] = asyncio.gather(*keepers)
        await asyncio.wait({wanted, everybody}, return_when=asyncio.FIRST_COMPLETED)
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.wait(
            {urgent, everybody},
            return_when=asyncio.FIRST_COMPLETED,
            timeout=self._options.drain + PATIENCE,
        )
        late = bool(self._processes)
        for process in self._processes:
            process.kill()
        await everybody
        for task in (urgent, wanted):
            task.cancel()
        if self._failed:
            return FAILED
        return INTERRUPTED if late else 0

    async def _keep(self) -> None:
        """Keep one worker alive until all of them are to stop."""
        while not self._stop.wanted.is_set():
            served = await self._once()
            if self._stop.wanted.is_set():
                return
            if not served:
                # It has said why.  The others could not do better.
                self._failed = True
                self._stop.ask()
                return
            print("fullduplex: a worker died; replacing it", file=sys.stderr)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPLACE_AFTER):
                    await self._stop.wanted.wait()

    async def _once(self) -> bool:
        """Run one worker to its end; returns whether it had come to serve."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._processes.add(process)
        try:
            process.stdin.write(json.dumps(asdict(self._options)).encode() + b"\n")
            if self._stop.wanted.is_set():
                process.stdin.close()
            served = await process.stdout.readline() == READY
            if served:
                self._ready += 1
                if self._ready == self._count:
                    welcome(self._options, more=f" with {self._count} workers")
            await process.wait()
        finally:
            self._processes.discard(process)
        return served


# A worker


def work() -> None:
    """Be a worker, and exit."""
    sys.exit(asyncio.run(_work()))


async def _work() -> int:
    stop = Stop()
    stop.on_signals()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    line = await reader.readline()
    if not line:
        return 0  # the parent has changed its mind
    options = Options(**json.loads(line))
    watching = asyncio.ensure_future(_watch(reader, stop))
    try:
        return await run_server(options, stop, _tell)
    except OSError as error:
        print(failure(options, error), file=sys.stderr)
        return FAILED
    finally:
        watching.cancel()


async def _watch(reader: asyncio.StreamReader, stop: Stop) -> None:
    await reader.read()
    stop.ask()


def _tell(server: Server) -> None:
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
