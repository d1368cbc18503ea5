"""The kernels in the implementation that was chosen; see ``_select``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._select import body

if TYPE_CHECKING:
    from ._kernels import Utf8Check, apply_mask
else:
    _body = body("fullduplex.core._kernels")
    Utf8Check = _body.Utf8Check
    apply_mask = _body.apply_mask

__all__ = ["Utf8Check", "apply_mask"]
