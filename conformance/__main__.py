"""Command line: ``python -m conformance [--fast] [--cases ...] [--server] ...``."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from subprocess import CalledProcessError

from . import environment, fuzzing, report
from .relay import Certificates, certificates
from .testee import FACES

REPORTS = environment.ROOT / "reports"

ALL = ["*"]

# Everything that is quick, and from the rest what differs most.
FAST = [
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"),
    *("9.1.3", "9.2.3", "9.3.4", "9.4.4", "9.5.3", "9.6.3", "9.7.2", "9.8.2"),
    *("12.1.1", "12.1.11", "12.2.5", "12.3.3", "12.4.2", "12.5.6"),
    *("13.1.1", "13.2.3", "13.3.2", "13.4.4", "13.5.11", "13.6.5", "13.7.3"),
]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Run the Autobahn testsuite against fullduplex.",
        epilog="Exit status: 0 all passed, 1 a case did not pass, 2 could not run.",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="leave out most of the long sections 9, 12 and 13",
    )
    parser.add_argument(
        "--cases",
        metavar="PATTERN,...",
        help="only these cases, for example 7.*,9.1.2",
    )
    parser.add_argument(
        "--agent",
        choices=["compiled", "pure", "both"],
        default="both",
        help="the implementation to test (default: both, at the same time)",
    )
    parser.add_argument(
        "--face",
        choices=FACES,
        default="asyncio",
        help="the face to test (default: asyncio)",
    )
    parser.add_argument(
        "--server",
        action="store_true",
        help="test the server instead of the client",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="over TLS, which a relay takes off for the testsuite",
    )
    parser.add_argument(
        "--url",
        help="use a fuzzing server that runs already, and whose reports are in "
        "reports/clients/; its configuration chooses the cases",
    )
    arguments = parser.parse_args()
    if arguments.url and (
        arguments.server or arguments.cases or arguments.fast or arguments.tls
    ):
        parser.error("--url goes with --agent only")
    return arguments


def run(
    arguments: argparse.Namespace,
    wstest: Path | None,
    agent: str,
    tls: Certificates | None,
) -> bool:
    """Test one agent and print its summary; return whether it passed."""
    cases = FAST if arguments.fast else ALL
    if arguments.cases:
        cases = arguments.cases.split(",")
    started_at = time.monotonic()
    broken = ""
    expected = 0
    try:
        if wstest is None:
            outdir = REPORTS / "clients"
            expected = fuzzing.drive_client(arguments.url, agent)
        elif arguments.server:
            outdir = REPORTS / "servers" / agent
            expected = fuzzing.test_server(wstest, agent, cases, outdir, tls)
        else:
            outdir = REPORTS / "clients" / agent
            expected = fuzzing.test_client(wstest, agent, cases, outdir, tls)
    except fuzzing.Broken as exc:
        broken = str(exc)
    try:
        results = report.read(outdir, agent)
    except OSError:
        results = []
    took = time.monotonic() - started_at
    print(
        f"\n{report.summary(agent, results, expected)}\n\n"
        f"  {took:.0f} s, details in {outdir.relative_to(environment.ROOT)}/index.html",
        flush=True,
    )
    if broken:
        print(f"  {broken}", flush=True)
    return not broken and report.passed(results, expected)


def main() -> int:
    arguments = parse_arguments()
    wstest = None
    if arguments.url:
        (REPORTS / "clients" / "index.json").unlink(missing_ok=True)
    else:
        try:
            wstest = environment.wstest()
        except (environment.MissingPython27, CalledProcessError) as exc:
            print(exc, file=sys.stderr)
            return 2
    kinds = ["compiled", "pure"] if arguments.agent == "both" else [arguments.agent]
    # One after the other where they share a fuzzing server, and so a report.
    face = arguments.face
    if arguments.tls:
        face += "-tls"
    face = "" if face == "asyncio" else f"-{face}"
    with (
        certificates() if arguments.tls else nullcontext() as tls,
        ThreadPoolExecutor(1 if arguments.url else 2) as pool,
    ):
        results = pool.map(
            lambda kind: run(arguments, wstest, f"fullduplex-{kind}{face}", tls), kinds
        )
        return 0 if all(list(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
