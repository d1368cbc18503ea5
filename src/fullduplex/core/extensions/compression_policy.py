"""Policy of compression for messages whose sender leaves it open.

    in a row                          what follows
    -------------------------------   ------------------------------------------
    MISSES messages that hardly       the next PAUSE messages go out as they are
    shrank
    then one that is compressed to    shrank: all are compressed again;
    try                               did not: another PAUSE

Counted in messages, so the same messages give the same frames.
"""

from __future__ import annotations

from typing import Any, Final

MISSES: Final = 8
PAUSE: Final = 64
# A message must lose more than one byte in so many, as a shift.
GAIN_SHIFT: Final = 4

# Bytes.  A window that is kept makes even tiny messages a third of their size; with
# an empty one, JSON below this saves less than a tenth.
SMALLEST_ALONE: Final = 64


def check_policy(min_size: Any) -> None:
    """Refuse a size that is none."""
    if min_size is None:
        return
    if type(min_size) is not int:
        raise TypeError(
            f"min_size must be an int (bytes) or None, not {type(min_size).__name__}"
        )
    if min_size < 0:
        raise ValueError(f"min_size is {min_size}; it must be at least 0 bytes")


class CompressionPolicy:
    """
    The judgement on one connection's messages.

    Args:
        min_size: bytes; smaller messages are not compressed.
        adaptive: whether to pause where messages don't shrink.
    """

    __slots__ = ("_adaptive", "_misses", "_pause", "min_size")

    def __init__(self, min_size: int, adaptive: bool) -> None:
        self.min_size = min_size
        self._adaptive = adaptive
        self._misses = 0
        self._pause = 0

    def wants(self, size: int | None) -> bool:
        """
        Tell whether to compress the next message.

        Args:
            size: bytes; None if only its first fragment is known.
        """
        if size is not None and size < self.min_size:
            return False
        if self._pause:
            self._pause -= 1
            return False
        return True

    def learn(self, before: int, after: int) -> None:
        """Note what compressing a message made of its size."""
        if not before or not self._adaptive:
            return
        if after < before - (before >> GAIN_SHIFT):
            self._misses = 0
        else:
            self._misses += 1
            if self._misses >= MISSES:
                self._pause = PAUSE
