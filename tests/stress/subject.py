"""A server that is ill-treated: one face, handlers by path, and a report on demand.

    python -m tests.stress.subject FACE [CERTIFICATE]

It writes its port as the first line.  A line ``report`` on its input is answered with a
line of JSON, given by the event loop itself where there is one: a loop that hangs gives
none.  ``stop`` shuts down, and SIGTERM does too.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import json
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any

# Seconds; generous enough for a machine that is busy with something else.
TIMES: dict[str, Any] = {"ping_interval": 0.5, "ping_timeout": 2, "close_timeout": 1}
OPEN_TIMEOUT = 4
BLOCK = b"0123456789abcdef" * 64
# What one open connection is made of.
CONNECTIONS = ("ServerConnection", "WebSocketProtocol")


class Records(logging.Handler):
    """The records at WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


RECORDS = Records()


def report(**more: int) -> dict[str, Any]:
    """Count what could be left behind."""
    gc.collect()
    connections = sum(
        type(item).__name__ in CONNECTIONS
        and str(type(item).__module__).startswith("fullduplex.")
        for item in gc.get_objects()
    )
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "connections": connections,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "memory": resident,
        "records": RECORDS.lines,
        **more,
    }


def listen_to_commands(commands: dict[str, Callable[[], None]]) -> None:
    """Run a command for each line of standard input, in a thread."""

    def read() -> None:
        for line in sys.stdin:
            commands[line.strip()]()
        commands["stop"]()

    threading.Thread(target=read, name="commands", daemon=True).start()


def write(value: Any) -> None:
    print(json.dumps(value), flush=True)


# Handlers


async def serve_path(ws: Any, path: str, sleep: Any) -> None:
    """Programs that behave well and badly, for asyncio and trio."""
    if path == "/flood":
        while True:
            await ws.send(BLOCK)
    if path == "/pings":
        while True:
            await ws.ping()
    if path == "/fragments":
        while True:
            await ws.send([BLOCK, BLOCK])
    if path == "/never":
        await ws.wait_closed()
    if path == "/raise":
        raise RuntimeError("on purpose")
    if path == "/return":
        return
    async for message in ws:
        if path == "/slow":
            await sleep(0.001)
        else:
            await ws.send(message)


def serve_path_blocking(ws: Any) -> None:
    """The same in a thread."""
    path = ws.request.path
    if path == "/flood":
        while True:
            ws.send(BLOCK)
    if path == "/pings":
        while True:
            ws.ping()
    if path == "/fragments":
        while True:
            ws.send([BLOCK, BLOCK])
    if path == "/never":
        ws.wait_closed()
    if path == "/raise":
        raise RuntimeError("on purpose")
    if path == "/return":
        return
    for message in ws:
        if path == "/slow":
            threading.Event().wait(0.001)
        else:
            ws.send(message)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The same for ASGI."""
    path = scope["path"]
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    if path == "/raise":
        raise RuntimeError("on purpose")
    if path in ("/flood", "/fragments"):
        while True:
            await send({"type": "websocket.send", "bytes": BLOCK})
    if path == "/return":
        await send({"type": "websocket.close"})
        return
    if path == "/never":
        await asyncio.sleep(3)  # an application that sleeps learns of nothing
        return
    while (event := await receive())["type"] == "websocket.receive":
        if path == "/slow":
            await asyncio.sleep(0.001)
        else:
            await send({**event, "type": "websocket.send"})


# Faces


async def on_asyncio(tls: ssl.SSLContext | None) -> None:
    from fullduplex import serve

    async def handler(ws: Any) -> None:
        await serve_path(ws, ws.request.path, asyncio.sleep)

    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    async with serve(
        handler, "127.0.0.1", 0, ssl=tls, open_timeout=OPEN_TIMEOUT, **TIMES
    ) as server:
        control(loop, stopping)
        write(server.sockets[0].getsockname()[1])
        await stopping.wait()


def control(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    def tell() -> None:
        write(report(tasks=len(asyncio.all_tasks(loop))))

    def ask() -> None:
        loop.call_soon_threadsafe(tell)

    def stop() -> None:
        loop.call_soon_threadsafe(stopping.set)

    listen_to_commands({"report": ask, "stop": stop})
    loop.add_signal_handler(signal.SIGTERM, stopping.set)


async def on_uvicorn(certificate: str | None) -> None:
    import uvicorn

    from fullduplex.integrations.uvicorn import WebSocketProtocol

    server = uvicorn.Server(
        uvicorn.Config(
            application,
            port=0,
            ws=WebSocketProtocol,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            log_level="warning",
            ssl_certfile=certificate,
            ws_ping_interval=TIMES["ping_interval"],
            ws_ping_timeout=TIMES["ping_timeout"],
            timeout_keep_alive=OPEN_TIMEOUT,
            timeout_graceful_shutdown=5,
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    control(loop, stopping)
    write(server.servers[0].sockets[0].getsockname()[1])
    await stopping.wait()
    server.should_exit = True
    await serving


def on_sync(tls: ssl.SSLContext | None) -> None:
    from fullduplex.sync import serve

    with serve(
        serve_path_blocking,
        "127.0.0.1",
        0,
        ssl=tls,
        open_timeout=OPEN_TIMEOUT,
        **TIMES,
    ) as server:
        stopping = threading.Event()
        listen_to_commands(
            {"report": lambda: write(report(tasks=0)), "stop": stopping.set}
        )
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        threading.Thread(target=server.serve_forever, name="server").start()
        write(server.socket.getsockname()[1])
        # A signal that another thread gets does not wake a thread that waits for ever.
        while not stopping.wait(0.1):
            pass


async def on_trio(tls: ssl.SSLContext | None) -> None:
    import trio

    from fullduplex.trio import serve

    async def handler(ws: Any) -> None:
        await serve_path(ws, ws.request.path, trio.sleep)

    token = trio.lowlevel.current_trio_token()
    async with trio.open_nursery() as nursery:

        async def watch_signals() -> None:
            with trio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

        nursery.start_soon(watch_signals)
        server = await nursery.start(
            lambda task_status: serve(
                handler,
                "127.0.0.1",
                0,
                ssl=tls,
                open_timeout=OPEN_TIMEOUT,
                task_status=task_status,
                **TIMES,
            )
        )

        def tell() -> None:
            write(report(tasks=trio.lowlevel.current_statistics().tasks_living))

        listen_to_commands(
            {
                "report": lambda: token.run_sync_soon(tell),
                "stop": lambda: token.run_sync_soon(nursery.cancel_scope.cancel),
            }
        )
        write(server.listeners[0].socket.getsockname()[1])


def main() -> None:
    face = sys.argv[1]
    certificate = sys.argv[2] if len(sys.argv) > 2 else None
    faulthandler.enable()
    # A test that waits in vain asks where it hangs.
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    logging.getLogger().addHandler(RECORDS)
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    if face == "sync":
        on_sync(tls)
    elif face == "trio":
        importlib.import_module("trio").run(on_trio, tls)
    elif face == "uvicorn":
        asyncio.run(on_uvicorn(certificate))
    else:
        factory = None
        if face == "uvloop":
            factory = importlib.import_module("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(on_asyncio(tls))


if __name__ == "__main__":
    main()
