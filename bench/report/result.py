"""Results of a row: every round, medians, ratios, and all of it as JSON."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ..growth import from_job
from ..measure.precision import Estimate, unlike
from ..rows.rows import MEASURES, Row, Target

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
        threads: number of threads that the measured part started.
        page_faults: minor ones, an operation; ``None`` if they were not counted.
        waits: context switches an operation, as it had to wait.
        preemptions: context switches an operation, as others had their turn.
        rounds: number of rounds.
    """

    cost: float
    low: float
    high: float
    rate: float
    load: float
    peer_load: float | None
    threads: int
    page_faults: float | None
    waits: float | None
    preemptions: float | None
    rounds: int

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

        def each(name: str) -> float | None:
            counts = [figures[name] for figures in rounds if name in figures]
            return median(counts) / row.operations if counts else None

        return cls(
            cost=median(costs),
            low=min(costs),
            high=max(costs),
            rate=median(row.operations / figures["wall"] for figures in rounds),
            load=median(loads),
            peer_load=median(peers) if peers else None,
            threads=max(figures.get("threads", 0) for figures in rounds),
            page_faults=each("page_faults"),
            waits=each("waits"),
            preemptions=each("preemptions"),
            rounds=len(rounds),
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
    """All there is to say about one row.

    Args:
        row: the measured row.
        rounds: the figures by client; ``"round"`` in each says which were measured
            together.
        skipped: by client, why it has none, or no more.
    """

    row: Row
    rounds: dict[str, list[dict[str, Any]]]
    skipped: dict[str, str]

    def add(self, client: str, number: int, figures: dict[str, Any]) -> None:
        """Take in what `run.measure` found in a round."""
        if "skip" in figures:
            self.skipped[client] = figures["skip"]
        else:
            self.rounds.setdefault(client, []).append({"round": number, **figures})

    @property
    def cells(self) -> dict[str, Cell]:
        return {
            client: Cell.of(self.row, rounds)
            for client, rounds in self.rounds.items()
            if rounds
        }

    def costs(self, client: str) -> dict[int, float]:
        """By number of the round, in the unit of the row's measure."""
        factor = MEASURES[self.row.measures][1] / self.row.operations
        return {
            figures["round"]: figures[self.row.measures] * factor
            for figures in self.rounds.get(client, [])
        }

    def probes(self, client: str) -> dict[int, list[float]]:
        """By number of the round, the seconds that `meter.probe` took."""
        return {
            figures["round"]: figures.get("probe", [])
            for figures in self.rounds.get(client, [])
        }

    def ratio(self, client: str, peer: str) -> Estimate | None:
        """From the rounds that both took part in."""
        costs, others = self.costs(client), self.costs(peer)
        probes, more = self.probes(client), self.probes(peer)
        return Estimate.of_quotients(
            [
                (cost / others[number], unlike(probes[number] + more[number]))
                for number, cost in costs.items()
                if others.get(number)
            ]
        )

    def found(self, target: Target) -> Estimate | None:
        """Ratio that the target limits, or ``None`` if it was not measured."""
        if target.peer:
            return self.ratio(target.client, target.peer)
        if target.figure == "cost":
            return Estimate.of(self.costs(target.client).values())
        cell = self.cells.get(target.client)
        if cell is None:
            return None
        return Estimate(
            float(getattr(cell, target.figure)), 0.0, cell.rounds, cell.rounds
        )


def conditions(loop: str, rounds: int, most: int, cores: Any) -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "loop": loop,
        "rounds": rounds,
        "most": most,
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
                        "page_faults": cell.page_faults,
                        "waits": cell.waits,
                        "preemptions": cell.preemptions,
                        "note": cell.note,
                        "rounds": result.rounds[client],
                    }
                    for client, cell in result.cells.items()
                },
                "targets": [
                    {**asdict(target), **asdict(found)}
                    for target in result.row.targets
                    if (found := result.found(target)) is not None
                ],
            }
            for result in results
        ],
    }


def from_json(written: dict[str, Any]) -> list[Result]:
    """Read the output of `as_json`, for rows that still exist."""
    results = []
    for row in written["rows"]:
        try:
            known = from_job({**row, "row": row["name"]})
        except ValueError:  # renamed since
            continue
        rounds = {
            # Files of old do not number the rounds: everybody took part in each.
            name: [{"round": at, **each} for at, each in enumerate(cell["rounds"])]
            for name, cell in row["clients"].items()
        }
        results.append(Result(known, rounds, row["skipped"]))
    return results
