"""The arguments of ``python -m bench``, checked before anything is started."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .clients import CLIENTS
from .growth import CLIENTS as GROWING
from .growth import GROWTH
from .rows.rows import Row
from .rows.table import ROWS

DESCRIPTION = "Measure us and the peers, print CPU time and ratios."


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=DESCRIPTION)
    add = parser.add_argument
    add("--only", default="", metavar="ROWS", help="beginnings of names, with commas")
    add("--clients", default="", metavar="NAMES", help="names, with commas")
    add("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    add("--rounds", type=int, default=5, metavar="N")
    add(
        "--most",
        type=int,
        metavar="N",
        help="rounds at most, where a target is not settled (default: 4 x --rounds)",
    )
    add("--scale", type=float, default=1.0, metavar="X", help="times the operations")
    add("--quick", action="store_true", help="one round, a fifth of the operations")
    add("--verbose", action="store_true", help="show page faults, context switches")
    add(
        "--instructions",
        action="store_true",
        help="count instructions with valgrind instead of time",
    )
    add(
        "--functions",
        type=int,
        default=0,
        metavar="N",
        help="with --instructions, show the C functions that take most",
    )
    add("--no-plot", action="store_true", help="draw no PNG")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    add("--list", action="store_true", help="name rows and clients")
    add(
        "--markdown",
        nargs="*",
        type=Path,
        metavar="JSON",
        help="print the tables of these results, or of the last",
    )
    add("--images", type=Path, metavar="DIR", help="with --markdown, draw plots there")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.scale = 1, options.scale / 5
        options.most = options.most or 1
    if options.most is None:
        options.most = 4 * options.rounds
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds and --scale must be positive")
    options.rows = chosen_rows(options.only, options.loop, options.scale)
    if not options.rows:
        parser.error(f"no row begins with {options.only!r}; see --list")
    options.names = [name for name in options.clients.split(",") if name]
    if unknown := set(options.names) - CLIENTS.keys():
        parser.error(f"no client is named {', '.join(sorted(unknown))}; see --list")
    return options


def chosen_rows(only: str, loop: str, scale: float) -> list[Row]:
    """The rows named, or the table.

    Growth takes long, and only who names it gets it.  A row without asyncio is not
    measured again on another event loop.
    """
    beginnings = tuple(part for part in only.split(",") if part)
    rows = [
        row
        for row in (*ROWS, *GROWTH)
        if (row.name.startswith(beginnings) if beginnings else row in ROWS)
    ]
    if loop != "asyncio":
        rows = [
            row for row in rows if row.face == "asyncio" and row.scenario != "import"
        ]
    return [scaled(row, scale) for row in rows]


def scaled(row: Row, scale: float) -> Row:
    """The row with more or fewer operations, still in whole bursts and shares."""
    if row.scenario == "import":
        return row
    step = row.burst * row.connections
    return replace(row, operations=step * max(2, round(row.operations * scale / step)))


def clients(row: Row, names: list[str]) -> list[str]:
    """Return the clients of this row: those that were named, or its own."""
    growing = row.name.startswith("growth-")
    return [
        name
        for name in names or (GROWING if growing else CLIENTS)
        if row.deflate or not CLIENTS[name].only_deflate
    ]
