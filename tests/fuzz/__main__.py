"""Fuzz for a given time: ``make fuzz ARGS="--seconds 60"``.

With atheris, the coverage of the pure bodies leads the way to new inputs; without it,
a fuzzer of our own runs.  An input on which something fails is written to a file,
whose name is printed; ``--replay FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import traceback
import zlib
from pathlib import Path
from time import monotonic

NAMES = ("frames", "deflate", "held", "request", "response", "messages")
FOUND = Path(__file__).parent / "found"


def main() -> int:
    """Fuzz all targets one after the other; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--target", choices=NAMES, action="append")
    parser.add_argument("--engine", choices=("auto", "atheris", "own"), default="auto")
    parser.add_argument("--seed", type=int, default=None, help="default: by chance")
    parser.add_argument("--replay", type=Path, help="run this input with --target")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    targets = given.target or list(NAMES)
    if given.replay:
        return replay(targets[0], given.replay)
    engine = given.engine
    if engine == "auto":
        engine = "atheris" if importlib.util.find_spec("atheris") else "own"
    seed = given.seed if given.seed is not None else int.from_bytes(os.urandom(3))
    if given.child:
        return guided(targets[0], given.seconds, seed)
    print(f"engine: {engine}, seed: {seed}", flush=True)
    share = given.seconds / len(targets)
    failed = [
        name
        for name in targets
        if not (mutated if engine == "own" else supervised)(name, share, seed)
    ]
    print(f"failed: {', '.join(failed)}" if failed else "no differences")
    return bool(failed)


def replay(name: str, path: Path) -> int:
    """Run one input again, with its traceback."""
    from .targets import TARGETS

    print(TARGETS[name](path.read_bytes()))
    return 0


def keep(name: str, data: bytes) -> Path:
    """Write an input that fails where tests will find it."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{name}-{zlib.crc32(data):08x}"
    path.write_bytes(data)
    return path


def mutated(name: str, seconds: float, seed: int) -> bool:
    """Fuzz with what `mutation` has; returns whether nothing failed."""
    from .mutation import Failure, Fuzzer
    from .seeds import SEEDS, WORDS
    from .targets import TARGETS

    began = monotonic()
    try:
        fuzzer = Fuzzer(TARGETS[name], SEEDS[name], WORDS[name], seed)
        fuzzer.run(seconds=seconds)
    except Failure as failure:
        traceback.print_exception(failure.__cause__)
        print(f"{name}: failed on {keep(name, failure.data)}", flush=True)
        return False
    rate = fuzzer.executions / (monotonic() - began)
    print(
        f"{name}: {fuzzer.executions:,} executions, {rate:,.0f} a second, "
        f"{len(fuzzer.corpus)} inputs that led somewhere",
        flush=True,
    )
    return True


def supervised(name: str, seconds: float, seed: int) -> bool:
    """Fuzz in a process of its own, which ends when the time is over."""
    command = [sys.executable, "-m", "tests.fuzz", "--child", "--target", name]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        print(done.stdout[-8000:])
        print(f"{name}: failed", flush=True)
        return False
    executions = re.findall(r"Done (\d+) runs", done.stdout) or ["?"]
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", done.stdout) or [("?", "?")]
    print(
        f"{name}: {executions[-1]} executions, coverage {coverage[-1][0]}, "
        f"{coverage[-1][1]} features",
        flush=True,
    )
    return True


def guided(name: str, seconds: float, seed: int) -> int:
    """Let atheris fuzz, which does not return."""
    import atheris

    with atheris.instrument_imports(include=["fullduplex"]):
        from .targets import TARGETS
    from .seeds import SEEDS, WORDS

    target = TARGETS[name]

    def once(data: bytes) -> None:
        try:
            target(data)
        except Exception:
            print(f"{name}: failed on {keep(name, data)}", flush=True)
            raise

    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, data in enumerate(SEEDS[name]):
            (corpus / f"seed-{number}").write_bytes(data)
        words = Path(folder, "words")
        words.write_text(
            "".join(
                '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'
                for word in WORDS[name]
            )
        )
        atheris.Setup(
            [
                *(sys.argv[0], f"-max_total_time={max(1, round(seconds))}"),
                *(f"-seed={seed or 1}", f"-dict={words}", "-max_len=16384"),
                *("-timeout=30", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/"),
                str(corpus),
            ],
            once,
        )
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
