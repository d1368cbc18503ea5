"""Programs frozen with PyInstaller, without a hint to it, run compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fullduplex

from ..test_freezing import ASYNCIO, SYNC, TOP
from .kit import needs

SHOW = "\nimport fullduplex\nprint(fullduplex.IMPLEMENTATION, fullduplex.__file__)\n"
# In a program that holds the standard library and little else.
HIDDEN = """
from fullduplex.as_websockets import install_as_websockets
install_as_websockets()
from websockets.legacy.framing import Frame
from websockets.sync.client import connect
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "program",
    [ASYNCIO + HIDDEN, SYNC, TOP],
    ids=["asyncio", "sync", "top"],
)
def test_frozen_client_and_server_run(program: str, tmp_path: Path) -> None:
    needs("PyInstaller")
    (tmp_path / "app.py").write_text(program + SHOW)

    built = subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm"),
            *("--log-level", "ERROR", "--specpath", tmp_path),
            *("--distpath", tmp_path / "dist", "--workpath", tmp_path / "work"),
            tmp_path / "app.py",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert built.returncode == 0, built.stderr
    # The environment must not lend what was not frozen.
    ran = subprocess.run(
        [tmp_path / "dist" / "app" / "app"],
        capture_output=True,
        text=True,
        timeout=60,
        env={},
    )

    assert ran.returncode == 0, ran.stderr
    implementation, file = ran.stdout.split()
    assert implementation == fullduplex.IMPLEMENTATION
    assert file.startswith(str(tmp_path))
