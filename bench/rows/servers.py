"""Work of a server in each scenario; its raw peers are in ``load.py``.

The peer connects to us; over a socket of its own it says when to count.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from ..clients import Skip, Target
from ..measure.counters import Meter, same
from .messages import LAST, message


async def serve(client: Any, target: Target, meter: Meter) -> None:
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


async def broadcast(client: Any, target: Target, meter: Meter) -> None:
    """Each broadcast, or burst of them, is read by everybody before the next one."""
    row = target.row
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


async def crowd(client: Any, target: Target, meter: Meter) -> None:
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
    "serve": serve,
    "broadcast": broadcast,
    "crowd": crowd,
    "handshake": serve,
}
