"""Programs for websockets print the same on it and, unchanged, on fullduplex."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
# What they print on websockets; written by `output` of the real one.
RECORDED = Path(__file__).parent / "recorded"
# The first Python that a version cannot run on: 10.4 hangs on 3.12 and later.
TOO_NEW = {"10.4": (3, 12), "17.4": (4,)}

# What else a program needs, in the environment of the version it is written for.
NEEDS = {"10.4": ["websockets==10.4"], "17.4": ["websockets==17.4", "werkzeug>=3"]}

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


def real(cache: Path, version: str) -> Path | None:
    """The interpreter of an environment with that version; None where there is none."""
    tag = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    folder = cache / f"websockets-{version}-{tag}"
    ready = folder / "ready"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not ready.exists():
        venv.create(folder, with_pip=False, clear=True)
        command = [sys.executable, "-m", "pip", "--python", str(python), "install"]
        done = subprocess.run(
            [*command, "--quiet", "--disable-pip-version-check", *NEEDS[version]],
            capture_output=True,
        )
        if done.returncode:
            return None  # there is no network
        ready.touch()
    return python


@pytest.fixture
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where environments are kept from one run to the next."""
    kept = getattr(request.config, "cache", None)
    return tmp_path if kept is None else kept.mkdir("programs")


def output(*command: str | Path) -> list[str]:
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        # Neither may find the other by chance.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("version", "program"), [("10.4", "websockets_10"), ("17.4", "websockets_17")]
)
def test_program_prints_the_same_on_both(
    cache: Path, version: str, program: str
) -> None:
    path = PROGRAMS / f"{program}.py"
    recorded = (RECORDED / f"{program}.txt").read_text().splitlines()
    assert len(recorded) > 30
    if sys.version_info < TOO_NEW[version]:
        python = real(cache, version)
        if python is not None:
            assert output(python, "-W", "ignore", path) == recorded
    ours = output(sys.executable, "-m", "fullduplex.as_websockets", path)
    assert ours == recorded
