"""Every test with `wire` or `kernels` runs on both bodies."""

from __future__ import annotations

from types import ModuleType

import pytest

from .bodies import NAMES, body


@pytest.fixture(params=NAMES)
def wire(request: pytest.FixtureRequest) -> ModuleType:
    """``core._wire``, then ``core._wire_c``."""
    return body("_wire", request.param)


@pytest.fixture(params=NAMES)
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    """``core._kernels``, then ``core._kernels_c``."""
    return body("_kernels", request.param)


@pytest.fixture
def wires() -> tuple[ModuleType, ModuleType]:
    """Both bodies of the wire layer."""
    return body("_wire", "pure"), body("_wire", "compiled")
