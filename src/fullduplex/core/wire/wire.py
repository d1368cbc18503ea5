"""The wire layer in the implementation that was chosen; see `implementation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..implementation import IMPLEMENTATION, loading

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._queue import MessageQueue
    from ._wire import FrameReader, ReadBuffer
    from ._writer import FrameWriter, forget_masks
else:
    with loading():
        from ._wire_c import (
            FrameReader,
            FrameWriter,
            MessageQueue,
            ReadBuffer,
            forget_masks,
        )

__all__ = ["FrameReader", "FrameWriter", "MessageQueue", "ReadBuffer", "forget_masks"]
