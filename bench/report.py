"""From figures to a table, a file and a plot."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .clients import CLIENTS
from .rows import MEASURES, Row

OURS = ("fullduplex", "fullduplex-pure")


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
    """

    cost: float
    low: float
    high: float
    rate: float
    load: float
    peer_load: float | None

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
        )


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
        if client not in cells or peer not in cells:
            return None
        return cells[client].cost / cells[peer].cost

    def note(self, cell: Cell) -> str:
        """Say where the raw peer was busier than the one it was to keep busy."""
        if self.row.scenario not in ("receive", "send") or cell.peer_load is None:
            return ""
        return "peer-bound" if cell.peer_load > cell.load else ""


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
            f"{peer_load:>7}{compared[0]:>9}{compared[1]:>9}  {result.note(cell)}"
        ).rstrip()
    for client, reason in result.skipped.items():
        yield f"  {client:<18} skipped: {reason}"
    yield ""


def verdicts(results: list[Result]) -> Iterator[tuple[bool, str]]:
    """What the targets of the rows say, for those that both sides ran."""
    for result in results:
        for target in result.row.targets:
            found = result.ratio(target.client, target.peer)
            if found is not None:
                kept = found <= target.limit
                yield (
                    kept,
                    f"{'kept  ' if kept else 'MISSED'} {result.row.name:<18}"
                    f"{target.client} is {found:.2f} of {target.peer}, "
                    f"at most {target.limit:.2f}",
                )


def conditions(loop: str, rounds: int, cores: Any) -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "loop": loop,
        "rounds": rounds,
        "cores": [cores.own, cores.peer],
    }


def versions(results: list[Result]) -> dict[str, str]:
    return {
        client: figures["version"]
        for result in results
        for client, rounds in result.rounds.items()
        for figures in rounds
        if "version" in figures
    }


def as_json(results: list[Result], given: dict[str, Any]) -> dict[str, Any]:
    return {
        "conditions": given,
        "versions": versions(results),
        "rows": [
            {
                "name": result.row.name,
                "title": result.row.title,
                "operations": result.row.operations,
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
                        "note": result.note(cell),
                        "rounds": result.rounds[client],
                    }
                    for client, cell in result.cells.items()
                },
            }
            for result in results
        ],
    }


def plot(results: list[Result], path: Path) -> None:
    """One panel a row, one bar a client, CPU time on a linear scale from zero."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(results))
    lines = -(-len(results) // columns)
    figure, panels = pyplot.subplots(
        lines, columns, figsize=(5 * columns, 2.6 * lines), squeeze=False
    )
    for panel in panels.flat[len(results) :]:
        panel.set_visible(False)
    for panel, result in zip(panels.flat, results, strict=False):
        cells = result.cells
        clients = [client for client in CLIENTS if client in cells][::-1]
        bars = panel.barh(
            clients,
            [cells[client].cost for client in clients],
            color=["#1f6feb" if name in OURS else "#9aa4b2" for name in clients],
        )
        labels = [number(cells[client].cost) for client in clients]
        panel.bar_label(bars, labels, padding=2, fontsize=8)
        panel.margins(x=0.15)
        panel.set_title(result.row.title, fontsize=10)
        panel.set_xlabel(MEASURES[result.row.measures][0], fontsize=8)
        panel.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
