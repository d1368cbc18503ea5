"""The package installs with and without a C compiler, and says which it did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built once from a copy of what it needs."""
    folder = tmp_path_factory.mktemp("source")
    for name in (
        "LICENSE",
        "MANIFEST.in",
        "README.md",
        "pyproject.toml",
        "setup.py",
    ):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "src",
        folder / "src",
        ignore=shutil.ignore_patterns("*.so", "*.c", "*.egg-info", "__pycache__"),
    )
    build(folder, "--sdist", FULLDUPLEX_BUILD="auto")
    return next((folder / "dist").glob("*.tar.gz"))


def build(folder: Path, *options: str, **env: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *options, str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, **env},
    )


def install(sdist: Path, target: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check"),
            *("--no-build-isolation", "--no-deps", "--no-cache-dir"),
            *("--target", str(target), str(sdist)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


def implementation(target: Path) -> str:
    """What a program finds that imports the package from `target`."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fullduplex;"
        "assert fullduplex.__file__.startswith(sys.argv[1]), fullduplex.__file__;"
        "fullduplex.connect; print(fullduplex.IMPLEMENTATION)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("FULLDUPLEX")}
    result = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        check=True,
        capture_output=True,
        text=True,
        env=env,
    )
    return result.stdout.strip()


def test_install_is_pure_when_there_is_no_compiler(sdist: Path, tmp_path: Path) -> None:
    result = install(sdist, tmp_path, CC="no-such-compiler")

    assert result.returncode == 0, result.stderr
    assert implementation(tmp_path) == "pure"
    assert not list(tmp_path.rglob("*.so"))


def test_install_fails_loudly_when_compiled_parts_are_demanded(
    sdist: Path, tmp_path: Path
) -> None:
    result = install(
        sdist, tmp_path, CC="no-such-compiler", FULLDUPLEX_BUILD="compiled"
    )

    assert result.returncode != 0
    assert "no-such-compiler" in result.stdout + result.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_install_is_compiled_when_there_is_a_compiler(
    sdist: Path, tmp_path: Path
) -> None:
    result = install(sdist, tmp_path)

    assert result.returncode == 0, result.stderr
    assert implementation(tmp_path) == "compiled"


def test_wheel_and_sdist_hold_what_users_need(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
        names = {name.partition("/")[2] for name in archive.getnames()}
    (folder,) = tmp_path.iterdir()
    build(folder, "--wheel", FULLDUPLEX_BUILD="pure")
    with zipfile.ZipFile(next((folder / "dist").glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())

    assert "src/fullduplex/core/wire/_wire_c.pyx" in names
    assert "src/fullduplex/core/kernels/csrc/kernels.h" in names
    assert {"fullduplex/py.typed", "fullduplex/core/wire/_wire.py"} <= packed
    assert not [name for name in packed if name.endswith((".so", ".c"))]
