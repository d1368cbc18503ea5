"""Chooser of the compiled or the pure `HotEndpoint`; see `core.implementation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..implementation import IMPLEMENTATION, loading
from ._hot import PAUSED, RECEIVING, Waiter

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._hot import HotEndpoint
else:
    with loading():
        from ._hot_c import HotEndpoint

__all__ = ["PAUSED", "RECEIVING", "HotEndpoint", "Waiter"]
