"""Growth of cost: the same measurement at many sizes and numbers of connections.

A series is flat if no point costs more, per unit, than ``limit`` times the cheapest
point before it.  A dear small end may become cheaper, but nothing may become dearer
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .rows.rows import KIB, MIB, Row
from .rows.table import ROWS

TOTAL = 256 * MIB  # bytes of payload in each measurement of a receive row

SIZES = [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB]
CROWDS = [10, 50, 200, 1000, 2000, 5000]
MEMBERS = [250, 500, 1000, 2000, 4000, 8000]

# The whole series takes long; these points show the most.
CLIENTS = [
    "fullduplex",
    "fullduplex-pure",
    "picows.websockets",
    "picows",
    "websockets",
    "aiohttp",
    "bare",
]


@dataclass(frozen=True)
class Series:
    """One plot.

    Args:
        name: prefix of the names of its rows.
        title: of the plot.
        axis: the growing quantity.
        unit: of the cost, in ``factor`` of the unit of the rows' measure.
        rows: each with the number on the axis.
        per_point: the cost of an operation is spread over that number.
        limit: largest factor by which the series may become dearer.
        logarithmic: the scale of the cost.
    """

    name: str
    title: str
    axis: str
    unit: str
    factor: float
    rows: dict[int, Row]
    per_point: bool
    limit: float
    logarithmic: bool = False

    def label(self, point: int) -> str:
        return short(point) if self.per_point else f"{point:,}"

    def costs(self, found: dict[str, float]) -> dict[int, float]:
        """From the cost of an operation by row name to that of a unit by point."""
        return {
            point: found[row.name] * self.factor / (point if self.per_point else 1)
            for point, row in self.rows.items()
            if row.name in found
        }


def rise(costs: Iterable[float]) -> float:
    """Factor between the dearest point and the cheapest point before it."""
    least, most = float("inf"), 0.0
    for cost in costs:
        least = min(least, cost)
        most = max(most, cost / least)
    return most


def short(size: int) -> str:
    return f"{size // MIB}m" if size >= MIB else f"{size // KIB}k"


def receiving(size: int) -> Row:
    count = max(4, TOTAL // size)
    return Row(
        f"growth-recv-{short(size)}",
        f"growth: receive {short(size).upper()}iB binary",
        "receive",
        operations=count,
        warmup=min(20, max(1, count // 50)),
        size=size,
        targets=(),
    )


def echoing(connections: int) -> Row:
    return Row(
        f"growth-echo-{connections}",
        f"growth: server echo, {connections:,} connections",
        "serve",
        operations=max(20_000, 4 * connections),
        warmup=2 * connections,
        connections=connections,
        kind="text",
        size=256,
        targets=(),
    )


def idling(connections: int) -> Row:
    return Row(
        f"growth-memory-{connections}",
        f"growth: memory of {connections:,} idle connections of a server",
        "crowd",
        operations=connections,
        warmup=50,
        measures="memory",
        targets=(),
    )


SERIES = [
    Series(
        "growth-recv",
        "receive: CPU time per byte",
        "size of a message, bytes",
        "ns/byte",
        1e3,
        {size: receiving(size) for size in SIZES},
        per_point=True,
        limit=2.0,
        logarithmic=True,
    ),
    Series(
        "growth-echo",
        "server echo of 256 B: CPU time per message",
        "connections",
        "µs/message",
        1.0,
        {count: echoing(count) for count in CROWDS},
        per_point=False,
        limit=1.5,
    ),
    Series(
        "growth-memory",
        "idle connections of a server: memory of each",
        "connections",
        "KiB/connection",
        1.0,
        {count: idling(count) for count in MEMBERS},
        per_point=False,
        limit=1.2,
    ),
]

GROWTH = [row for series in SERIES for row in series.rows.values()]


def from_job(job: dict[str, Any]) -> Row:
    """The row of a measurement, in a process that was told of it by name."""
    [row] = [row for row in [*ROWS, *GROWTH] if row.name == job["row"]]
    return replace(row, operations=job["operations"], warmup=job["warmup"])
