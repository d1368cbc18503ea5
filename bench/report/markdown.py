"""The tables of ``docs/performance.md``, from results that were written before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..clients import CLIENTS
from ..growth import SERIES
from ..rows.rows import MEASURES
from . import plot
from .report import flatness, number, sure, unsteady
from .result import Result, from_json


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(written: dict[str, Any]) -> str:
    given = written["conditions"]
    return f"{given['python']}, {given['loop']}"


def name(written: dict[str, Any]) -> str:
    """Of the plot: the version of Python and the loop."""
    python = written["conditions"]["python"].split()[1].rsplit(".", 1)[0]
    return f"speed-{python}-{written['conditions']['loop']}"


def verdict(result: Result) -> tuple[str, str]:
    """Target of the row, and its result."""
    allowed, found = [], []
    for target in result.row.targets:
        value = result.found(target)
        if target.client == "fullduplex-pure" or value is None:
            continue
        unit = f"x {target.peer}" if target.peer else MEASURES[result.row.measures][0]
        if target.figure == "threads":
            unit = "threads"
        if target.client != "fullduplex":
            unit += f" ({target.client})"
        mark = "" if value.value <= target.limit else "**missed** "
        allowed.append(f"{target.limit:g} {unit}")
        chosen = value.rounds
        counts = (
            f"{chosen}" if chosen == value.measured else f"{chosen}/{value.measured}"
        )
        found.append(f"{mark}{sure(value, target)} ({counts})")
    return "<br>".join(allowed), "<br>".join(found)


def comparison(results: list[Result]) -> Iterator[str]:
    """A line for each row, a column for each client that ran any of them."""
    clients = [
        client
        for client in CLIENTS
        if any(client in result.cells for result in results)
    ]
    yield line(["row", "unit", *clients, "at most", "ours (rounds)"])
    yield line(["---", "---", *["---:"] * len(clients), "---", "---"])
    for result in results:
        cells = result.cells
        shown = []
        for client in clients:
            cell = cells.get(client)
            text = "" if cell is None else number(cell.cost)
            shown.append(f"{text}*" if cell and cell.peer_bound else text)
        title, unit = result.row.title, MEASURES[result.row.measures][0]
        yield line([title, unit, *shown, *verdict(result)])


def growing(results: list[Result]) -> Iterator[str]:
    """A table for each series: a line for each client, a column for each point."""
    for series in SERIES:
        lines = []
        for client in CLIENTS:
            cells = {
                result.row.name: result.cells[client].cost
                for result in results
                if client in result.cells
            }
            costs = series.costs(cells)
            if costs:
                points = [
                    number(costs[at]) if at in costs else "" for at in series.rows
                ]
                lines.append(line([client, *points]))
        if lines:
            labels = [series.label(point) for point in series.rows]
            yield line([f"{series.title}, {series.unit}", *labels])
            yield line(["---", *["---:"] * len(labels)])
            yield from lines
            yield ""


def skipped(results: list[Result]) -> Iterator[str]:
    """Clients that could not run here, with reasons; missing features do not count."""
    for client in CLIENTS:
        if not any(client in result.cells for result in results):
            reasons = {result.skipped.get(client, "no ") for result in results}
            told = [each for each in reasons if not each.startswith(("no ", "nothing"))]
            if told:
                yield f"- `{client}` was skipped: {'; '.join(sorted(told))}"


def rounds(results: list[Result]) -> str:
    """Rounds behind the medians: rows with targets may have more."""
    counts = [cell.rounds for result in results for cell in result.cells.values()]
    least, most = min(counts, default=0), max(counts, default=0)
    return f"median of {least}" + f" to {most}" * (most > least)


def document(paths: list[Path], images: Path | None) -> Iterator[str]:
    """The tables of several runs; with ``images``, their plots are drawn there."""
    for path in paths:
        written = json.loads(path.read_text())
        results = from_json(written)
        growth = [each for each in results if each.row.name.startswith("growth-")]
        table = [each for each in results if each not in growth]
        given = written["conditions"]
        yield f"### {heading(written)}{'' if table else ': growth'}"
        yield ""
        yield f"{given['system']}, {rounds(results)}. " + ", ".join(
            f"{client} {version}" for client, version in written["versions"].items()
        )
        yield ""
        if table:
            yield from comparison(table)
            yield ""
        yield from growing(growth)
        yield from skipped(results)
        for kept, text in flatness(results):
            yield f"- {' '.join(text.split()[1:])}{'' if kept else ' (**missed**)'}"
        for text in unsteady(results):
            yield f"- {text}"
        if images is not None:
            for image in plot.draw(results, images, name(written)):
                yield ""
                yield f"![{heading(written)}]({images.name}/{image.name})"
        yield ""
