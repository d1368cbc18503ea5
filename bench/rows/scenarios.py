"""Work of a client in each scenario, on any event loop or none.

The code between ``meter.start()`` and ``meter.stop()`` is the same for every client but
for the methods of its ``Connection`` (see ``clients/__init__.py``).
"""

from __future__ import annotations

from typing import Any

from ..clients import Target
from ..measure.counters import Meter, same
from .messages import LAST, message


async def receive(client: Any, target: Target, meter: Meter) -> None:
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


async def send(client: Any, target: Target, meter: Meter) -> None:
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


async def echo(client: Any, target: Target, meter: Meter) -> None:
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


async def connect(client: Any, target: Target, meter: Meter) -> None:
    async def repeat(count: int) -> None:
        for _ in range(count):
            connection = await client.open(target)
            await connection.close()

    await repeat(target.row.warmup)
    meter.start()
    await repeat(target.row.operations)
    meter.stop()


async def idle(client: Any, target: Target, meter: Meter) -> None:
    opened = [await client.open(target) for _ in range(target.row.warmup)]
    meter.start()
    opened += [await client.open(target) for _ in range(target.row.operations)]
    meter.stop()
    for connection in opened:
        await connection.close()


SCENARIOS = {
    "receive": receive,
    "send": send,
    "echo": echo,
    "connect": connect,
    "idle": idle,
}
