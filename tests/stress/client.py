"""A client that meets bad servers: one face, and what it is told to do there.

    python -m tests.stress.client FACE

Each line of its input is JSON: what to do, and the URI.  It answers with a line of
JSON: how that ended, and what is left behind.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import json
import logging
import signal
import ssl
import sys
from typing import Any

from .subject import BLOCK, RECORDS, TIMES, report, write

OPEN_TIMEOUT = 4


def options(uri: str) -> dict[str, Any]:
    """The keywords that each connection is opened with."""
    given: dict[str, Any] = {"open_timeout": OPEN_TIMEOUT, "proxy": None, **TIMES}
    if uri.startswith("wss:"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        given["ssl"] = context
    return given


async def act(ws: Any, what: str) -> None:
    """Use an open connection until it ends."""
    if what == "send":
        while True:
            await ws.send(BLOCK)
    elif what == "ping":
        while True:
            await ws.ping()
    elif what == "fragments":
        while True:
            await ws.send([BLOCK, BLOCK])
    elif what == "recv":
        while True:
            await ws.recv()
    elif what == "wait":
        await ws.wait_closed()


def act_blocking(ws: Any, what: str) -> None:
    """The same in a thread."""
    if what == "send":
        while True:
            ws.send(BLOCK)
    elif what == "ping":
        while True:
            ws.ping()
    elif what == "fragments":
        while True:
            ws.send([BLOCK, BLOCK])
    elif what == "recv":
        while True:
            ws.recv()
    elif what == "wait":
        ws.wait_closed()


def outcome(error: BaseException | None, **more: int) -> None:
    """Answer one command."""
    text = None if error is None else f"{type(error).__name__}: {error}"
    kinds = [] if error is None else [kind.__name__ for kind in type(error).__mro__]
    write({"error": text, "kinds": kinds, **report(**more)})


async def on_asyncio() -> None:
    from fullduplex import connect

    async def once(what: str, uri: str) -> Exception | None:
        try:
            async with connect(uri, **options(uri)) as ws:
                await act(ws, what)
        except Exception as exc:
            return exc.with_traceback(None)
        return None

    # The first thread stays, so it is there when what is left is counted.
    while line := await asyncio.to_thread(sys.stdin.readline):
        error = await once(*json.loads(line))
        outcome(error, tasks=len(asyncio.all_tasks()))


async def on_trio() -> None:
    import trio

    from fullduplex.trio import connect

    async def once(what: str, uri: str) -> Exception | None:
        try:
            async with connect(uri, **options(uri)) as ws:
                await act(ws, what)
        except ExceptionGroup as group:
            first = group.exceptions[0]
            return first.with_traceback(None)
        except Exception as exc:
            return exc.with_traceback(None)
        return None

    while line := await trio.to_thread.run_sync(sys.stdin.readline):
        error = await once(*json.loads(line))
        outcome(error, tasks=trio.lowlevel.current_statistics().tasks_living)


def on_sync() -> None:
    from fullduplex.sync import connect

    def once(what: str, uri: str) -> Exception | None:
        try:
            with connect(uri, **options(uri)) as ws:
                act_blocking(ws, what)
        except Exception as exc:
            return exc.with_traceback(None)
        return None

    while line := sys.stdin.readline():
        outcome(once(*json.loads(line)), tasks=0)


def main() -> None:
    face = sys.argv[1]
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    logging.getLogger().addHandler(RECORDS)
    if face == "sync":
        on_sync()
    elif face == "trio":
        importlib.import_module("trio").run(on_trio)
    else:
        factory = None
        if face == "uvloop":
            factory = importlib.import_module("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(on_asyncio())


if __name__ == "__main__":
    main()
