"""``python -m bench``: measure us and the peers, print CPU time and ratios."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from . import native
from .clients import CLIENTS
from .measure import instructions
from .measure.repetition import rounds
from .measure.runner import Cores, Failure, certificates, measure
from .options import arguments, clients
from .report import markdown, plot, report
from .report.result import Result, as_json, conditions

RESULTS = Path(__file__).parent / "results"


def progress(text: str) -> None:
    """A line that the next one overwrites, for somebody who looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure_row(
    result: Result, options: argparse.Namespace, cores: Cores, files: dict[str, str]
) -> None:
    """All rounds of one row, and as many more as its targets need."""
    row = result.row
    names = clients(row, options.names)
    for name in names:
        if reason := options.missing.get(name) or CLIENTS[name].absent(row):
            result.skipped[name] = reason
    for number, order in rounds(result, names, options.rounds, options.most):
        for client in order:
            progress(f"{row.name}: round {number + 1}, {client}")
            try:
                figures = measure(
                    row, client, loop=options.loop, cores=cores, files=files
                )
            except Failure as exc:
                figures = {"skip": f"FAILED: {exc}"}
            result.add(client, number, figures)
    progress("")


def main() -> int:
    options = arguments()
    if options.list:
        print(*(f"{row.name:<18} {row.title}" for row in options.rows), sep="\n")
        print("clients:", *CLIENTS)
        return 0
    if options.markdown is not None:
        paths = options.markdown or sorted(RESULTS.glob("*Z.json"))[-1:]
        print(*markdown.document(paths, options.images), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.instructions:
        return instructions.main(
            options, RESULTS / f"{now()}-instructions.json", progress
        )
    options.missing = {}
    if not options.names or "beast" in options.names:
        progress("building native/beast.cpp")
        options.missing["beast"] = native.build()
    cores = Cores.choose()
    given = conditions(options.loop, options.rounds, options.most, cores)
    print(*(f"{name} {value}" for name, value in given.items()), sep=", ", end="\n\n")
    results: list[Result] = []
    interrupted = False
    try:
        with certificates() as files:
            for row in options.rows:
                result = Result(row, {}, {})
                results.append(result)
                measure_row(result, options, cores, files)
                print(
                    *report.table(result, verbose=options.verbose), sep="\n", flush=True
                )
    except KeyboardInterrupt:
        interrupted = True
        progress("")
        print("interrupted; what there is:\n")
        print(*report.table(results[-1]) if results else [], sep="\n")
    verdicts = list(report.verdicts(results))
    print(*(text for _, text in verdicts), *report.unsteady(results), sep="\n")
    save(results, given, draw=not options.no_plot)
    if interrupted:
        return 130
    failed = any(
        reason.startswith("FAILED")
        for result in results
        for reason in result.skipped.values()
    )
    missed = options.check and not all(kept for kept, _ in verdicts)
    return 1 if failed or missed else 0


def now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def save(results: list[Result], given: dict[str, object], *, draw: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    stamp = now()
    paths = [RESULTS / f"{stamp}.json"]
    written = json.dumps(as_json(results, given), indent=1)
    paths[0].write_text(f"{written}\n")
    if draw:
        try:
            paths += plot.draw(results, RESULTS, stamp)
        except ImportError as exc:
            print(f"no plot: {exc}")
    for path in paths:
        print(f"written: {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(main())
