"""``python -m bench --instructions``: what an operation costs in instructions.

Each client runs under Callgrind with n operations and with 2n; the difference, over n,
is what one takes.  The instructions of the start and the end cancel out.  The peer runs
as
always: it is much faster than who is measured, who therefore finds all its data ready.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..clients import CLIENTS
from ..options import clients
from ..report.report import OURS, reasons
from ..report.result import conditions
from ..rows.messages import frames_in_block
from ..rows.rows import Row
from . import callgrind
from .runner import Cores, Failure, Under, certificates, measure

SHARE = 0.1  # of a row's operations: it takes some 50 times longer
LEAST = 100  # operations, unless the row has fewer
PATIENCE = 600  # seconds for one process


@dataclass
class Count:
    """A row: by client the instructions of an operation, by C function."""

    row: Row
    found: dict[str, Counter[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def total(self, client: str) -> float:
        return self.found[client].total() / self.row.operations

    def dearest(self, client: str, most: int) -> list[tuple[str, float]]:
        """The functions that take most, themselves, and what they take."""
        return [
            (name, count / self.row.operations)
            for name, count in self.found[client].most_common(most)
            if count > 0
        ]


def counted(row: Row) -> Row:
    """The row with n operations, so many that 2n are alike in all else."""
    step = row.burst * row.connections
    if row.scenario == "receive":
        step = frames_in_block(row)  # some clients build those that fill no block
    wanted = min(max(LEAST, SHARE * row.operations), row.operations)
    return replace(row, operations=step * max(1, round(wanted / step)))


def possible(row: Row) -> bool:
    return row.measures == "cpu" and row.scenario != "import"


def count(
    row: Row, client: str, *, loop: str, cores: Cores, files: dict[str, str]
) -> dict[str, Any]:
    """``functions``, the instructions of ``row.operations``, or ``skip``."""
    # Once directly: it says if there is such a row, and compiles modules for Python.
    figures = measure(row, client, loop=loop, cores=cores, files=files)
    if "skip" in figures:
        return figures
    totals: list[Counter[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "callgrind.out")
        under = Under(callgrind.command(output), PATIENCE)
        for times in (1, 2):
            longer = replace(row, operations=times * row.operations)
            measure(longer, client, loop=loop, cores=cores, files=files, under=under)
            totals.append(callgrind.functions(output.read_text()))
    once, twice = totals
    twice.subtract(once)
    return {"functions": twice}


def run(
    options: argparse.Namespace, counts: list[Count], progress: Callable[[str], None]
) -> None:
    """Count all rows into ``counts``, and print each when it is done."""
    cores = Cores.choose()
    with certificates() as files:
        for row in map(counted, filter(possible, options.rows)):
            result = Count(row)
            counts.append(result)
            for client in clients(row, options.names):
                entry = CLIENTS[client]
                reason = "a process of its own" if entry.own_process else ""
                if reason := reason or entry.absent(row):
                    result.skipped[client] = reason
                    continue
                progress(f"{row.name}: instructions of {client}")
                try:
                    found = count(
                        row, client, loop=options.loop, cores=cores, files=files
                    )
                except Failure as exc:
                    found = {"skip": f"FAILED: {exc}"}
                if "skip" in found:
                    result.skipped[client] = found["skip"]
                else:
                    result.found[client] = found["functions"]
            progress("")
            print(*table(result, options.functions), sep="\n", flush=True)


def ratio(count: Count, client: str, other: str) -> str:
    if client not in count.found or not count.total(other):
        return ""
    return f"{count.total(client) / count.total(other):.2f}"


def table(count: Count, most: int) -> Iterator[str]:
    """The lines of one row; clients from cheap to dear."""
    row = count.row
    operations = f"{row.operations:,} and {2 * row.operations:,} operations"
    yield f"{row.title}  [{row.name}, {operations}]"
    yield f"  {'client':<18}{'instructions/op':>17}{'ours ÷':>9}{'pure ÷':>9}"
    for client in sorted(count.found, key=count.total):
        compared = [ratio(count, name, client) for name in OURS]
        yield (
            f"  {client:<18}{count.total(client):>17,.0f}"
            f"{compared[0]:>9}{compared[1]:>9}"
        ).rstrip()
        for name, each in count.dearest(client, most):
            yield f"  {'':<18}{each:>17,.0f}  {name}"
    if count.skipped:
        yield f"  skipped: {'; '.join(reasons(count.skipped))}"
    yield ""


def as_json(counts: list[Count], given: dict[str, Any]) -> dict[str, Any]:
    """All functions that take a thousandth or more, in instructions an operation."""
    return {
        "conditions": given,
        "rows": [
            {
                "name": count.row.name,
                "title": count.row.title,
                "operations": count.row.operations,
                "unit": "instructions/op",
                "skipped": count.skipped,
                "clients": {
                    client: {
                        "instructions": count.total(client),
                        "functions": {
                            name: each
                            for name, each in count.dearest(client, len(found))
                            if each >= count.total(client) / 1000
                        },
                    }
                    for client, found in count.found.items()
                },
            }
            for count in counts
        ],
    }


def main(
    options: argparse.Namespace, path: Path, progress: Callable[[str], None]
) -> int:
    """Count, print and write to ``path``; return the exit status."""
    if reason := callgrind.absent():
        print(f"{reason}: no instructions are counted (Debian: apt install valgrind)")
        return 0
    given = conditions(options.loop, 1, 1, Cores.choose())
    print(*(f"{name} {given[name]}" for name in ("python", "system", "loop")), sep=", ")
    print()
    counts: list[Count] = []
    try:
        run(options, counts, progress)
    except KeyboardInterrupt:
        progress("")
        print("interrupted")
        return 130
    finally:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{json.dumps(as_json(counts, given), indent=1)}\n")
        print(f"written: {path.relative_to(path.parent.parent.parent)}")
    reasons = [reason for each in counts for reason in each.skipped.values()]
    return 1 if any(reason.startswith("FAILED") for reason in reasons) else 0
