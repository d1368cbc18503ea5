"""Programs for websockets print the same on it and, unchanged, on fullduplex."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"

# What else a program needs, in the environment of the version it is written for.
NEEDS = {"10.4": ["websockets==10.4"], "17.4": ["websockets==17.4", "werkzeug>=3"]}

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.fixture
def real(request: pytest.FixtureRequest, tmp_path: Path, version: str) -> Path:
    """The interpreter of an environment with that version of websockets."""
    cache = getattr(request.config, "cache", None)
    tag = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    name = f"websockets-{version}-{tag}"
    folder = tmp_path / name if cache is None else cache.mkdir(name)
    ready = folder / "ready"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not ready.exists():
        venv.create(folder, with_pip=False, clear=True)
        command = [sys.executable, "-m", "pip", "--python", str(python), "install"]
        done = subprocess.run(
            [*command, "--quiet", "--disable-pip-version-check", *NEEDS[version]],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            pytest.skip(f"cannot install websockets {version}: {reason[0]}")
        ready.touch()
    return python


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
    ("version", "program"), [("10.4", "websockets_10.py"), ("17.4", "websockets_17.py")]
)
def test_program_prints_the_same_on_both(
    real: Path, version: str, program: str
) -> None:
    theirs = output(real, "-W", "ignore", PROGRAMS / program)
    assert len(theirs) > 30
    ours = output(sys.executable, "-m", "fullduplex.as_websockets", PROGRAMS / program)
    assert ours == theirs
