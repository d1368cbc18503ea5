"""The wire layer in the implementation that was chosen; see ``_select``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._select import body

if TYPE_CHECKING:
    from ._wire import FrameReader, FrameWriter, Inbox, ReadBuffer, forget_masks
else:
    _body = body("fullduplex.core._wire")
    FrameReader = _body.FrameReader
    FrameWriter = _body.FrameWriter
    Inbox = _body.Inbox
    ReadBuffer = _body.ReadBuffer
    forget_masks = _body.forget_masks

__all__ = ["FrameReader", "FrameWriter", "Inbox", "ReadBuffer", "forget_masks"]
