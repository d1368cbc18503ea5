"""Reads what the testsuite wrote and prints what a maintainer wants to know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and performance",
    "10": "miscellaneous",
    "12": "compression, payloads",
    "13": "compression, parameters",
}

# Verdict of the testsuite on a case, in the order of the columns.
COLUMNS = {
    "OK": "ok",
    "NON-STRICT": "nonstrict",
    "INFORMATIONAL": "info",
    "FAILED": "failed",
    "UNCLEAN": "unclean",
    "UNIMPLEMENTED": "unimpl",
}
OTHER = "other"  # wrong close code, failed by client: rare, listed case by case

# Cases in which the testsuite only looks at what the peer does.
ACCEPTED = ("OK", "INFORMATIONAL")

DETAIL_LENGTH = 100  # characters of a list of events


@dataclass(frozen=True)
class Result:
    case: str
    behavior: str
    close: str
    detail: str = ""

    @property
    def section(self) -> str:
        return self.case.partition(".")[0]

    @property
    def accepted(self) -> bool:
        return self.behavior in ACCEPTED and self.close in ACCEPTED


def read(outdir: Path, agent: str) -> list[Result]:
    """
    Return an agent's results, in the order of the cases.

    Raises:
        OSError: the testsuite wrote no report.
    """
    index = json.loads((outdir / "index.json").read_text())
    results = []
    for case, entry in index.get(agent, {}).items():
        outcome = (entry["behavior"], entry["behaviorClose"])
        detail = ""
        if outcome != ("OK", "OK"):
            detail = _explain(json.loads((outdir / entry["reportfile"]).read_text()))
        results.append(Result(case, *outcome, detail))
    return sorted(results, key=lambda r: [int(part) for part in r.case.split(".")])


def _explain(report: dict[str, Any]) -> str:
    """Say in a line what the testsuite expected and what it got."""
    parts = []
    if report["behavior"] not in ACCEPTED:
        expected = json.dumps(report["expected"].get("OK", ""))[:DETAIL_LENGTH]
        received = json.dumps(report["received"])[:DETAIL_LENGTH]
        parts += [f"expected {expected}, got {received}", report["result"]]
    if report["behaviorClose"] not in ACCEPTED:
        parts += [report["resultClose"], f"got {report['remoteCloseCode']}"]
    # The testsuite gives the same sentence for both when both went wrong.
    return "; ".join(dict.fromkeys(parts))


def passed(results: list[Result], expected: int) -> bool:
    """Say whether every case ran and none was worse than informational."""
    complete = 0 < expected == len(results)
    return complete and all(result.accepted for result in results)


def summary(agent: str, results: list[Result], expected: int) -> str:
    """Return the table of one agent and the list of what is not plain OK."""
    head = "".join(f"{name:>10}" for name in (*COLUMNS.values(), OTHER))
    width = max(len(name) for name in SECTIONS.values()) + 4
    lines = [
        f"{agent}: {len(results)} of {expected} cases",
        f"  {'':{width}}{'cases':>6}{'':10}{head}",
    ]
    sections = dict.fromkeys(result.section for result in results)
    for section in sections:
        members = [result for result in results if result.section == section]
        title = f"{section:>2} {SECTIONS.get(section, '')}"
        lines += _rows(title, width, members)
    lines += _rows("all", width, results)
    exceptions = [r for r in results if (r.behavior, r.close) != ("OK", "OK")]
    if exceptions:
        lines.append("")
    for result in exceptions:
        mark = " " if result.accepted else "!"
        outcome = f"{result.behavior} / {result.close}"
        lines.append(f"{mark} {result.case:9}{outcome:32} {result.detail}".rstrip())
    return "\n".join(lines)


def _rows(title: str, width: int, results: list[Result]) -> Iterable[str]:
    for what, values in (
        ("behavior", [result.behavior for result in results]),
        ("close", [result.close for result in results]),
    ):
        counts = Counter(v if v in COLUMNS else OTHER for v in values)
        cells = "".join(f"{counts[c] or '.':>10}" for c in (*COLUMNS, OTHER))
        first = what == "behavior"
        name, total = (title, str(len(results))) if first else ("", "")
        yield f"  {name:{width}}{total:>6}  {what:8}{cells}"
