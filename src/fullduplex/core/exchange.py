"""What every message passes, in the implementation that was chosen; see ``_select``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._select import body

if TYPE_CHECKING:
    from ._exchange import Exchange
else:
    Exchange = body("fullduplex.core._exchange").Exchange

__all__ = ["Exchange"]
