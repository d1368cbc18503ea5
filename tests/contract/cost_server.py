"""A server whose handlers read nothing, in a process of its own that tells its memory.

``python -m tests.contract.cost_server FACE COMPRESSION`` prints its port.  For each
line on standard input it prints its resident memory in bytes, and the CPU time in
seconds that it had used before.  The line ``collect`` runs the garbage collector first.
At the end of input it ends.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from typing import Any

OPTIONS: dict[str, Any] = {"open_timeout": 60, "ping_interval": None}


def answer() -> bool:
    """Answer one line; returns whether there was one."""
    line = sys.stdin.readline()
    if not line:
        return False
    spent = time.process_time()
    if line == "collect\n":
        gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    print(resident, spent, flush=True)
    return True


async def idle(ws: Any) -> None:
    """Read nothing."""
    await ws.wait_closed()


async def on_asyncio(**options: Any) -> None:
    """Serve until standard input ends."""
    from fullduplex import serve

    async with serve(idle, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while await asyncio.to_thread(answer):
            pass
        os._exit(0)


async def on_trio(**options: Any) -> None:
    """Serve until standard input ends."""
    import trio

    from fullduplex.trio import serve

    async with trio.open_nursery() as nursery:

        async def start(task_status: Any) -> None:
            await serve(idle, "127.0.0.1", 0, task_status=task_status, **options)

        server = await nursery.start(start)
        print(server.listeners[0].socket.getsockname()[1], flush=True)
        while await trio.to_thread.run_sync(answer):
            pass
        os._exit(0)


def in_threads(**options: Any) -> None:
    """Serve until standard input ends."""
    from fullduplex.sync import serve

    with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0, **options) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.socket.getsockname()[1], flush=True)
        while answer():
            pass
        os._exit(0)


def main(face: str, compression: str) -> None:
    """Serve on a face, with ``deflate`` or ``none``."""
    options = {
        **OPTIONS,
        "compression": None if compression == "none" else compression,
    }
    if face == "sync":
        in_threads(**options)
    elif face == "trio":
        import trio

        async def run() -> None:
            await on_trio(**options)

        trio.run(run)
    else:
        asyncio.run(on_asyncio(**options))


if __name__ == "__main__":
    main(*sys.argv[1:])
