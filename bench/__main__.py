"""``python -m bench``: measure us and the peers, print CPU time and ratios."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from . import report
from .clients import CLIENTS
from .report import Result
from .rows import ROWS, Row
from .run import Cores, Failure, certificates, measure

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="ROWS", help="beginnings of names, with commas"
    )
    parser.add_argument(
        "--clients", default="", metavar="NAMES", help="names, with commas"
    )
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="times as many operations"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round, a fifth of the operations"
    )
    parser.add_argument("--plot", action="store_true", help="draw a PNG as well")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 if a target is missed"
    )
    parser.add_argument("--list", action="store_true", help="name rows and clients")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.scale = 1, options.scale / 5
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds and --scale must be positive")
    options.rows = [scaled(row, options.scale) for row in chosen_rows(options.only)]
    if not options.rows:
        parser.error(f"no row begins with {options.only!r}; see --list")
    options.names = [name for name in options.clients.split(",") if name]
    if unknown := set(options.names) - CLIENTS.keys():
        parser.error(f"no client is named {', '.join(sorted(unknown))}; see --list")
    options.names = options.names or list(CLIENTS)
    return options


def chosen_rows(only: str) -> list[Row]:
    beginnings = tuple(part for part in only.split(",") if part)
    return [row for row in ROWS if not beginnings or row.name.startswith(beginnings)]


def scaled(row: Row, scale: float) -> Row:
    """The row with more or fewer operations, still in whole bursts and shares."""
    if row.scenario == "import":
        return row
    step = row.burst * row.connections
    return replace(row, operations=step * max(2, round(row.operations * scale / step)))


def progress(text: str) -> None:
    """A line that the next one overwrites, for somebody who looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure_row(
    result: Result, options: argparse.Namespace, cores: Cores, files: dict[str, str]
) -> None:
    """All rounds of one row.  Clients take turns, and each round another begins."""
    row = result.row
    for number in range(options.rounds):
        shift = number % len(options.names)
        for client in options.names[shift:] + options.names[:shift]:
            if client in result.skipped:
                continue
            progress(f"{row.name}: round {number + 1} of {options.rounds}, {client}")
            try:
                figures = measure(
                    row, client, loop=options.loop, cores=cores, files=files
                )
            except Failure as exc:
                figures = {"skip": f"FAILED: {exc}"}
            if "skip" in figures:
                result.skipped[client] = figures["skip"]
            else:
                result.rounds.setdefault(client, []).append(figures)
    progress("")


def main() -> int:
    options = arguments()
    if options.list:
        print(*(f"{row.name:<18} {row.title}" for row in options.rows), sep="\n")
        print("clients:", *CLIENTS)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = Cores.choose()
    given = report.conditions(options.loop, options.rounds, cores)
    print(*(f"{name} {value}" for name, value in given.items()), sep=", ", end="\n\n")
    results: list[Result] = []
    interrupted = False
    try:
        with certificates() as files:
            for row in options.rows:
                result = Result(row, {}, {})
                results.append(result)
                measure_row(result, options, cores, files)
                print(*report.table(result), sep="\n", flush=True)
    except KeyboardInterrupt:
        interrupted = True
        progress("")
        print("interrupted; what there is:\n")
        print(*report.table(results[-1]) if results else [], sep="\n")
    verdicts = list(report.verdicts(results))
    print(*(text for _, text in verdicts), sep="\n")
    save(results, given, draw=options.plot)
    if interrupted:
        return 130
    failed = any(
        reason.startswith("FAILED")
        for result in results
        for reason in result.skipped.values()
    )
    missed = options.check and not all(kept for kept, _ in verdicts)
    return 1 if failed or missed else 0


def save(results: list[Result], given: dict[str, object], *, draw: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{stamp}.json"
    path.write_text(json.dumps(report.as_json(results, given), indent=1) + "\n")
    print(f"written: {path.relative_to(RESULTS.parent.parent)}")
    measured = [result for result in results if result.cells]
    if draw and measured:
        report.plot(measured, path.with_suffix(".png"))
        print(f"written: {path.with_suffix('.png').relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(main())
