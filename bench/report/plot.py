"""Plots: a panel of bars for each row, and a curve for each series of growth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..clients import CLIENTS
from ..growth import SERIES
from ..rows.rows import MEASURES
from .report import OURS, number
from .result import Result

COLOURS = {
    "fullduplex": "#1f6feb",
    "fullduplex-speed": "#0b3d91",
    "fullduplex-pure": "#79a8f0",
}
GREYS = {
    "picows.websockets": "#d1495b",
    "picows": "#edae49",
    "websockets": "#66a182",
    "aiohttp": "#8d6a9f",
    "bare": "#555555",
}


def canvas(count: int, width: float, height: float) -> tuple[Any, Any, list[Any]]:
    """A figure with as many panels, in up to three columns."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, count)
    lines = -(-count // columns)
    figure, panels = pyplot.subplots(
        lines, columns, figsize=(width * columns, height * lines), squeeze=False
    )
    for panel in panels.flat[count:]:
        panel.set_visible(False)
    return pyplot, figure, list(panels.flat)


def save(pyplot: Any, figure: Any, path: Path) -> Path:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return path


def bars(results: list[Result], path: Path) -> Path:
    """One panel a row, one bar a client, cost on a linear scale from zero."""
    pyplot, figure, panels = canvas(len(results), 5, 2.9)
    for panel, result in zip(panels, results, strict=False):
        cells = result.cells
        clients = [client for client in CLIENTS if client in cells][::-1]
        drawn = panel.barh(
            clients,
            [cells[client].cost for client in clients],
            color=[COLOURS.get(client, "#9aa4b2") for client in clients],
        )
        labels = [number(cells[client].cost) for client in clients]
        panel.bar_label(drawn, labels, padding=2, fontsize=8)
        panel.margins(x=0.2)
        panel.set_title(result.row.title, fontsize=10)
        panel.set_xlabel(MEASURES[result.row.measures][0], fontsize=8)
        panel.tick_params(labelsize=8)
    return save(pyplot, figure, path)


def curves(results: list[Result], path: Path) -> Path:
    """One panel a series, one line a client."""
    drawn = []
    for series in SERIES:
        lines = {}
        for client in CLIENTS:
            found = {
                result.row.name: result.cells[client].cost
                for result in results
                if client in result.cells
            }
            costs = series.costs(found)
            if len(costs) > 1:
                lines[client] = costs
        if lines:
            drawn.append((series, lines))
    pyplot, figure, panels = canvas(max(1, len(drawn)), 5.5, 4)
    for panel, (series, lines) in zip(panels, drawn, strict=False):
        for client, costs in lines.items():
            panel.plot(
                list(costs),
                list(costs.values()),
                marker="o",
                markersize=3,
                label=client,
                color=COLOURS.get(client) or GREYS.get(client),
                linewidth=2 if client in OURS else 1,
            )
        panel.set_xscale("log")
        points = list(series.rows)
        panel.set_xticks(points, [series.label(point) for point in points])
        panel.minorticks_off()
        panel.tick_params(labelsize=8)
        if series.logarithmic:
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
        panel.set_title(series.title, fontsize=10)
        panel.set_xlabel(series.axis, fontsize=8)
        panel.set_ylabel(series.unit, fontsize=8)
        panel.legend(fontsize=7)
        panel.grid(alpha=0.3)
    return save(pyplot, figure, path)


def draw(results: list[Result], folder: Path, name: str) -> list[Path]:
    """Draw what there is to draw: ``NAME.png`` and ``NAME-growth.png``."""
    measured = [result for result in results if result.cells]
    growth = [result for result in measured if result.row.name.startswith("growth-")]
    table = [result for result in measured if result not in growth]
    paths = []
    if table:
        paths.append(bars(table, folder / f"{name}.png"))
    if len(growth) > 1:
        paths.append(curves(growth, folder / f"{name}-growth.png"))
    return paths
