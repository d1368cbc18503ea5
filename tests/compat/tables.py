"""The recorded interface of websockets, and the tables of docs/differences.md."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DIFFERENCES = HERE.parent.parent / "docs" / "differences.md"
VERSIONS = ("10.4", "17.4")

# What is made elsewhere; the tests look at it as soon as it is there.
OPTIONAL = ("proxy", "sync", "trio")


@functools.cache
def recorded(version: str) -> dict[str, Any]:
    """Return what `record.py` has found in a version of websockets."""
    text = (HERE / "recorded" / f"websockets-{version}.json").read_text()
    record: dict[str, Any] = json.loads(text)
    return record


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its first two lines."""
    text = DIFFERENCES.read_text()
    section = re.split(r"^#+ ", text, flags=re.M)
    for part in section:
        title, _, body = part.partition("\n")
        if title.strip() == heading:
            lines = [line for line in body.splitlines() if line.startswith("|")]
            return [
                [cell.strip().strip("`") for cell in line.strip("|").split("|")]
                for line in lines[2:]
            ]
    raise AssertionError(f"no section {heading!r} in {DIFFERENCES.name}")


def names_in(heading: str) -> set[str]:
    """Return the names in the first column of a table; a cell may have several."""
    return {name for row in rows(heading) for name in row[0].split("`, `")}


def ours(path: str) -> str:
    """Return the name of our module for one of websockets."""
    return "fullduplex" + path.removeprefix("websockets")


def optional_part(module: str) -> str | None:
    """Return the part of the package that may be absent, if `module` is in one."""
    part = [*module.split("."), ""][1]
    return part if part in OPTIONAL else None
