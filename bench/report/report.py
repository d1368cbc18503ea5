"""Output of a run: tables of text, and verdicts on the targets."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from ..growth import SERIES, rise
from ..measure.precision import Estimate
from ..rows.rows import MEASURES, Target
from .result import Result

OURS = ("fullduplex", "fullduplex-pure")

UNSTEADY = 1.2  # from the fastest to the slowest probe of a run


def decimals(value: float) -> int:
    """So many that three digits count."""
    return 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3


def number(value: float) -> str:
    return f"{value:,.{decimals(value)}f}"


def ratio(value: Estimate | None) -> str:
    return "" if value is None else f"{value.value:.2f}"


def sure(found: Estimate, target: Target) -> str:
    """Ratio, with its standard error."""
    places = decimals(found.value)
    if target.peer:
        places = 3 if found.error < 0.005 else 2
    error = f" ± {found.error:,.{places}f}" if isfinite(found.error) else ""
    return f"{found.value:,.{places}f}{error}"


def rounds(found: Estimate) -> str:
    """Number of rounds, and of those that count."""
    left_out = found.rounds < found.measured
    word = "round" if found.measured == 1 else "rounds"
    return f"{found.rounds} of " * left_out + f"{found.measured} {word}"


def table(result: Result, *, verbose: bool = False) -> Iterator[str]:
    """The lines of one row; clients from cheap to dear."""
    row = result.row
    yield f"{row.title}  [{row.name}, {row.operations:,} operations]"
    yield (
        f"  {'client':<18}{MEASURES[row.measures][0]:>10}{'lowest':>10}{'highest':>10}"
        f"{'op/s':>12}{'load':>7}{'peer':>7}{'rounds':>8}{'ours ÷':>9}{'pure ÷':>9}"
    )
    cells = result.cells
    ordered = sorted(cells, key=lambda client: cells[client].cost)
    for client in ordered:
        cell = cells[client]
        peer_load = "" if cell.peer_load is None else f"{cell.peer_load:.0%}"
        compared = [ratio(result.ratio(name, client)) for name in OURS]
        yield (
            f"  {client:<18}{number(cell.cost):>10}{number(cell.low):>10}"
            f"{number(cell.high):>10}{number(cell.rate):>12}{cell.load:>7.0%}"
            f"{peer_load:>7}{cell.rounds:>8}{compared[0]:>9}{compared[1]:>9}"
            f"  {cell.note}"
        ).rstrip()
    if verbose and any(cell.page_faults is not None for cell in cells.values()):
        yield f"  {'':<18}{'faults/op':>12}{'waits/op':>12}{'preempted/op':>14}"
        for client in ordered:
            cell = cells[client]
            counts = [
                "" if count is None else f"{count:.3g}"
                for count in (cell.page_faults, cell.waits, cell.preemptions)
            ]
            yield f"  {client:<18}{counts[0]:>12}{counts[1]:>12}{counts[2]:>14}"
    if result.skipped:
        yield f"  skipped: {'; '.join(reasons(result.skipped))}"
    yield ""


def reasons(skipped: dict[str, str]) -> Iterator[str]:
    """Skipped clients with the reasons, those with one reason together."""
    for reason in dict.fromkeys(skipped.values()):
        clients = [client for client in skipped if skipped[client] == reason]
        yield f"{', '.join(clients)} ({reason})"


def meaning(target: Target, found: Estimate, unit: str) -> str:
    """Result and limit, in words."""
    if target.peer:
        what = f"{sure(found, target)} of {target.peer}"
    elif target.figure == "cost":
        what = f"{sure(found, target)} {unit}"
    else:
        what = f"{number(found.value)} {target.figure}"
    limit = f"{target.limit:.2f}" if target.peer else f"{target.limit:g}"
    close = ", too close to call" if found.close(target.limit) else ""
    return f"{target.client} is {what}, at most {limit} ({rounds(found)}{close})"


def verdicts(results: list[Result]) -> Iterator[tuple[bool, str]]:
    """Verdicts on the targets of the rows, for those that both sides ran."""
    for result in results:
        unit = MEASURES[result.row.measures][0]
        for target in result.row.targets:
            found = result.found(target)
            if found is not None:
                kept = found.value <= target.limit
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


def unsteady(results: list[Result]) -> Iterator[str]:
    """A warning where the machine has changed its speed meanwhile."""
    seconds = [
        each
        for result in results
        for client in result.rounds
        for probes in result.probes(client).values()
        for each in probes
    ]
    if seconds and max(seconds) > UNSTEADY * min(seconds):
        yield (
            "the machine was not steady: the same work took from "
            f"{min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f} ms of CPU time; "
            "believe ratios, and those with many rounds more"
        )
