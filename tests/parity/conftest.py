"""Every test with `wire` or `kernels` runs on both bodies."""

from __future__ import annotations

from types import ModuleType

import pytest

from .bodies import NAMES, body


@pytest.fixture(params=NAMES)
def wire(request: pytest.FixtureRequest) -> ModuleType:
    """``core.wire._wire``, then ``core.wire._wire_c``."""
    return body("wire._wire", request.param)


@pytest.fixture(params=NAMES)
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    """``core.kernels._kernels``, then ``core.kernels._kernels_c``."""
    return body("kernels._kernels", request.param)


@pytest.fixture
def wires() -> tuple[ModuleType, ModuleType]:
    """Both bodies of the wire layer."""
    return body("wire._wire", "pure"), body("wire._wire", "compiled")
