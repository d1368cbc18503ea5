"""Programs in C++ that the benchmark builds for itself where a compiler is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
BEAST = HERE / "build" / "beast"


def build() -> str:
    """Build the Beast program, unless it is there and newer than its source.

    Returns:
        Nothing, or why there is no program.
    """
    source = HERE / "beast.cpp"
    if BEAST.exists() and BEAST.stat().st_mtime > source.stat().st_mtime:
        return ""
    compiler = shutil.which("g++")
    if compiler is None:
        return "g++ is not installed"
    BEAST.parent.mkdir(exist_ok=True)
    BEAST.unlink(missing_ok=True)
    arguments = ["-std=c++17", "-O2", "-DNDEBUG", str(source), "-o", str(BEAST)]
    done = subprocess.run(
        [compiler, *arguments, "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.returncode:
        return ""
    if "boost/" in done.stderr and "No such file" in done.stderr:
        return "the headers of Boost are not installed (Debian: libboost-dev)"
    return f"g++ failed: {done.stderr.strip().splitlines()[0]}"
