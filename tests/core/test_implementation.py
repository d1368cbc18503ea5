"""Which body runs is chosen once, by ``FULLDUPLEX_IMPL``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fullduplex

# Makes the compiled bodies look as if they had not been built.
WITHOUT = """
import sys
sys.modules["fullduplex.core.wire._wire_c"] = None
sys.modules["fullduplex.core.kernels._kernels_c"] = None
"""
# Makes the interpreter look like another one.
ELSEWHERE = """
import sys
sys.implementation.name = "pypy"
"""
SHOW = """
from fullduplex.core import implementation
from fullduplex.core.kernels import kernels
from fullduplex.core.wire import wire
bodies = wire.FrameReader.__module__, kernels.apply_mask.__module__
print(implementation.IMPLEMENTATION, *bodies)
"""


def run(code: str, wanted: str | None, source: Path | None = None) -> tuple[str, str]:
    """
    Run `code` in a fresh interpreter; return its output and its last error.

    Args:
        wanted: the value of FULLDUPLEX_IMPL.
        source: a folder with another copy of the package.
    """
    environ = {k: v for k, v in os.environ.items() if k != "FULLDUPLEX_IMPL"}
    if source is not None:
        environ["PYTHONPATH"] = str(source)
    if wanted is not None:
        environ["FULLDUPLEX_IMPL"] = wanted
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


def test_pure_is_pure_throughout() -> None:
    output, _ = run(SHOW, "pure")
    assert output == "pure fullduplex.core.wire._wire fullduplex.core.kernels._kernels"


@pytest.mark.parametrize("wanted", ["compiled", "auto", None])
def test_compiled_is_compiled_throughout(wanted: str | None) -> None:
    pytest.importorskip("fullduplex.core.wire._wire_c", reason="no compiled parts")
    output, _ = run(SHOW, wanted)
    assert (
        output
        == "compiled fullduplex.core.wire._wire_c fullduplex.core.kernels._kernels_c"
    )


@pytest.mark.parametrize("wanted", ["auto", None])
def test_without_compiled_parts_the_default_is_pure(wanted: str | None) -> None:
    output, _ = run(WITHOUT + SHOW, wanted)
    assert output.startswith("pure ")


def test_without_compiled_parts_asking_for_them_fails_loudly() -> None:
    output, error = run(WITHOUT + SHOW, "compiled")
    assert output == ""
    assert error.startswith("ImportError: FULLDUPLEX_IMPL is 'compiled' but")


@pytest.mark.parametrize("wanted", ["auto", None])
def test_other_interpreters_than_cpython_are_pure(wanted: str | None) -> None:
    output, _ = run(ELSEWHERE + SHOW, wanted)
    assert output == "pure fullduplex.core.wire._wire fullduplex.core.kernels._kernels"


def test_other_interpreters_have_no_compiled_parts_to_ask_for() -> None:
    output, error = run(ELSEWHERE + SHOW, "compiled")
    assert output == ""
    assert error.endswith("are made for CPython, and this is pypy")


@pytest.fixture
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the package, of which one compiled part is damaged."""
    package = Path(fullduplex.__file__).parent
    shutil.copytree(
        package,
        tmp_path / "fullduplex",
        copy_function=os.symlink,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    parts = [*(tmp_path / "fullduplex").glob(f"{request.param}.*.so")]
    if not parts:
        pytest.skip("no compiled parts")
    for part in parts:
        part.unlink()
        part.write_bytes(b"this is no library")
    return tmp_path


@pytest.mark.parametrize("wanted", ["auto", "compiled", None])
@pytest.mark.parametrize(
    ("damaged", "code"),
    [
        ("core/wire/_wire_c", SHOW),
        ("core/endpoint/_hot_c", SHOW),
        ("asyncio/_waiter_c", "import fullduplex.asyncio.client"),
        ("asyncio/_awaitables_c", "import fullduplex.asyncio.client"),
        ("asyncio/_tcp_transport_c", "import fullduplex.asyncio.client"),
        ("sync/_hot_c", "import fullduplex.sync.client"),
    ],
    indirect=["damaged"],
)
def test_a_damaged_part_is_an_error_that_tells_how_to_go_on(
    damaged: Path, code: str, wanted: str | None
) -> None:
    output, error = run(code, wanted, damaged)
    assert output == ""
    assert error.startswith("ImportError: a compiled part of fullduplex does not load:")
    assert "FULLDUPLEX_IMPL=pure" in error
    assert sys.executable in error

    # The advice works.
    output, error = run(code + "\nprint('well')", "pure", damaged)
    assert output.endswith("well"), error


def test_any_other_value_is_refused() -> None:
    output, error = run(SHOW, "fast")
    assert output == ""
    assert error == (
        "ImportError: FULLDUPLEX_IMPL is 'fast'; "
        "it must be 'auto', 'compiled' or 'pure'"
    )
