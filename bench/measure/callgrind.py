"""Callgrind, of Valgrind: the instructions a process executes outside the system.

They do not depend on the speed of the machine, nor on what else it does.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

# "fn=(12) name" names a function, "fn=(12)" refers to it; objects have "ob=".  With a
# "c", it is the one that is called.
NAME = re.compile(r"(c?)(fn|ob)=\((\d+)\)(?: (.*))?")
RECURSION = re.compile(r"'\d+$")  # a function that called itself, how deep
# The line after this one belongs to the call, not to the function itself.
CALL = "calls="


def absent() -> str:
    """Say why there is none; nothing if there is."""
    return "" if shutil.which("valgrind") else "valgrind is not installed"


def command(output: Path) -> tuple[str, ...]:
    """Return the beginning of a command whose instructions go to ``output``."""
    # The collisions in a dict must not differ from run to run.
    return (
        "env",
        "PYTHONHASHSEED=0",
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--dump-instr=no",
        "--dump-line=no",
        f"--callgrind-out-file={output}",
    )


def functions(text: str) -> Counter[str]:
    """Instructions by C function, without those of the functions that it calls."""
    found: Counter[str] = Counter()
    names: dict[tuple[str, str], str] = {}
    current = {"fn": "", "ob": ""}
    skip = False
    for line in text.splitlines():
        if line.startswith(CALL):
            skip = True
        elif match := NAME.match(line):
            called, kind, number, name = match.groups()
            if name is not None:
                names[kind, number] = RECURSION.sub("", name)
            if not called:
                current[kind] = names[kind, number]
        elif line and line[0] in "0123456789+-*":
            if not skip:
                library = current["ob"].rpartition("/")[2]
                found[f"{current['fn']} [{library}]"] += int(line.split()[-1])
            skip = False
    return found
