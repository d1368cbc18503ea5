"""Chooser of the compiled or the pure `Exchange`; see ``_select``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._select import IMPLEMENTATION, loading

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._exchange import Exchange
else:
    with loading():
        from ._exchange_c import Exchange

__all__ = ["Exchange"]
