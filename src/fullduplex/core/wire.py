"""The wire layer in the implementation that was chosen; see ``_select``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._select import IMPLEMENTATION, loading

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._wire import FrameReader, FrameWriter, Inbox, ReadBuffer, forget_masks
else:
    with loading():
        from ._wire_c import FrameReader, FrameWriter, Inbox, ReadBuffer, forget_masks

__all__ = ["FrameReader", "FrameWriter", "Inbox", "ReadBuffer", "forget_masks"]
