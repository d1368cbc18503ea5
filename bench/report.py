"""From figures to medians, ratios, tables of text and verdicts on the targets."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from .growth import SERIES, from_job, rise
from .rows import MEASURES, Row, Target

OURS = ("fullduplex", "fullduplex-pure")

# A core that is busier than this share of wall time has no time to spare.
BUSY = 0.9


@dataclass(frozen=True)
class Cell:
    """One client on one row, over all rounds.

    Args:
        cost: median of what an operation takes, in the unit of the row's measure.
        low: the lowest of all rounds.
        high: the highest.
        rate: median operations per second of wall time.
        load: share of wall time the measured process was on its core.
        peer_load: the same of the raw peer; ``None`` where there is none.
        threads: how many the measured part started.
    """

    cost: float
    low: float
    high: float
    rate: float
    load: float
    peer_load: float | None
    threads: int

    @classmethod
    def of(cls, row: Row, rounds: list[dict[str, Any]]) -> Cell:
        factor = MEASURES[row.measures][1] / row.operations
        costs = [figures[row.measures] * factor for figures in rounds]
        loads = [figures["cpu"] / figures["wall"] for figures in rounds]
        peers = [
            figures["peer_cpu"] / figures["wall"]
            for figures in rounds
            if figures.get("peer_cpu") is not None
        ]
        return cls(
            cost=median(costs),
            low=min(costs),
            high=max(costs),
            rate=median(row.operations / figures["wall"] for figures in rounds),
            load=median(loads),
            peer_load=median(peers) if peers else None,
            threads=max(figures.get("threads", 0) for figures in rounds),
        )

    @property
    def peer_bound(self) -> bool:
        """The raw peer had no time to spare, and the measured process had some."""
        return self.peer_load is not None and self.load < BUSY <= self.peer_load

    @property
    def note(self) -> str:
        threads = f"{self.threads:+,} threads" if self.threads else ""
        return " ".join(filter(None, ["peer-bound" * self.peer_bound, threads]))


@dataclass
class Result:
    """All there is to say about one row."""

    row: Row
    rounds: dict[str, list[dict[str, Any]]]
    skipped: dict[str, str]

    @property
    def cells(self) -> dict[str, Cell]:
        return {
            client: Cell.of(self.row, rounds)
            for client, rounds in self.rounds.items()
            if rounds
        }

    def ratio(self, client: str, peer: str) -> float | None:
        cells = self.cells
        if client not in cells or peer not in cells or not cells[peer].cost:
            return None
        return cells[client].cost / cells[peer].cost

    def found(self, target: Target) -> float | None:
        """What the target limits, or ``None`` if it was not measured."""
        if target.peer:
            return self.ratio(target.client, target.peer)
        cell = self.cells.get(target.client)
        return None if cell is None else float(getattr(cell, target.figure))


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3}f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def table(result: Result) -> Iterator[str]:
    """The lines of one row; clients from cheap to dear."""
    row = result.row
    yield f"{row.title}  [{row.name}, {row.operations:,} operations]"
    yield (
        f"  {'client':<18}{MEASURES[row.measures][0]:>10}{'lowest':>10}{'highest':>10}"
        f"{'op/s':>12}{'load':>7}{'peer':>7}{'ours ÷':>9}{'pure ÷':>9}"
    )
    cells = result.cells
    for client in sorted(cells, key=lambda client: cells[client].cost):
        cell = cells[client]
        peer_load = "" if cell.peer_load is None else f"{cell.peer_load:.0%}"
        compared = [ratio(result.ratio(name, client)) for name in OURS]
        yield (
            f"  {client:<18}{number(cell.cost):>10}{number(cell.low):>10}"
            f"{number(cell.high):>10}{number(cell.rate):>12}{cell.load:>7.0%}"
            f"{peer_load:>7}{compared[0]:>9}{compared[1]:>9}  {cell.note}"
        ).rstrip()
    if result.skipped:
        yield f"  skipped: {'; '.join(reasons(result.skipped))}"
    yield ""


def reasons(skipped: dict[str, str]) -> Iterator[str]:
    """Who was skipped and why, those with one reason together."""
    for reason in dict.fromkeys(skipped.values()):
        clients = [client for client in skipped if skipped[client] == reason]
        yield f"{', '.join(clients)} ({reason})"


def meaning(target: Target, found: float, unit: str) -> str:
    """What was found and what was allowed, in words."""
    if target.peer:
        what = f"is {found:.2f} of {target.peer}"
    else:
        unit = target.figure if target.figure != "cost" else unit
        what = f"is {number(found)} {unit}"
    limit = f"{target.limit:.2f}" if target.peer else f"{target.limit:g}"
    return f"{target.client} {what}, at most {limit}"


def verdicts(results: list[Result]) -> Iterator[tuple[bool, str]]:
    """What the targets of the rows say, for those that both sides ran."""
    for result in results:
        unit = MEASURES[result.row.measures][0]
        for target in result.row.targets:
            found = result.found(target)
            if found is not None:
                kept = found <= target.limit
                word = "kept  " if kept else "MISSED"
                text = meaning(target, found, unit)
                yield kept, f"{word} {result.row.name:<18} {text}"
    yield from flatness(results)


def flatness(results: list[Result]) -> Iterator[tuple[bool, str]]:
    """Whether the cost of ours stays what it is while the numbers grow."""
    for series in SERIES:
        costs = series.costs(
            {
                result.row.name: result.cells["fullduplex"].cost
                for result in results
                if "fullduplex" in result.cells
            }
        )
        if len(costs) > 1:
            found = rise(costs.values())
            kept = found <= series.limit
            yield (
                kept,
                f"{'kept  ' if kept else 'MISSED'} {series.name:<18} "
                f"fullduplex rises to {found:.2f} times the cheapest, "
                f"at most {series.limit:.2f}",
            )


def conditions(loop: str, rounds: int, cores: Any) -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "loop": loop,
        "rounds": rounds,
        "cores": [cores.own, cores.peer],
    }


def as_json(results: list[Result], given: dict[str, Any]) -> dict[str, Any]:
    return {
        "conditions": given,
        "versions": {
            client: figures["version"]
            for result in results
            for client, rounds in result.rounds.items()
            for figures in rounds
            if "version" in figures
        },
        "rows": [
            {
                "name": result.row.name,
                "title": result.row.title,
                "operations": result.row.operations,
                "warmup": result.row.warmup,
                "unit": MEASURES[result.row.measures][0],
                "skipped": result.skipped,
                "clients": {
                    client: {
                        "cost": cell.cost,
                        "lowest": cell.low,
                        "highest": cell.high,
                        "operations_per_second": cell.rate,
                        "load": cell.load,
                        "peer_load": cell.peer_load,
                        "note": cell.note,
                        "rounds": result.rounds[client],
                    }
                    for client, cell in result.cells.items()
                },
            }
            for result in results
        ],
    }


def from_json(written: dict[str, Any]) -> list[Result]:
    """What `as_json` has written, for rows that still exist."""
    results = []
    for row in written["rows"]:
        try:
            known = from_job({**row, "row": row["name"]})
        except ValueError:  # renamed since
            continue
        rounds = {name: each["rounds"] for name, each in row["clients"].items()}
        results.append(Result(known, rounds, row["skipped"]))
    return results
