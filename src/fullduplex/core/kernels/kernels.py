"""The kernels in the implementation that was chosen; see `implementation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..implementation import IMPLEMENTATION, loading

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._kernels import Utf8Validator, apply_mask
else:
    with loading():
        from ._kernels_c import Utf8Validator, apply_mask

__all__ = ["Utf8Validator", "apply_mask"]
