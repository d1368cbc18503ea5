"""Masking keys that nobody can predict (RFC 6455, 5.3), taken from blocks."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

__all__ = ["forget_masks", "new_mask"]

BLOCK = 4096

# One step of it is one call into C: no signal, no trace function and no thread that
# makes a frame meanwhile gets the same key.
_keys: Iterator[tuple[bytes]] = iter(())


def new_mask() -> bytes:
    """Take an unpredictable key (RFC 6455, 5.3) from a block of os.urandom."""
    global _keys
    for (key,) in _keys:
        return key
    keys = struct.iter_unpack("4s", os.urandom(BLOCK))
    (key,) = next(keys)
    _keys = keys
    return key  # type: ignore[no-any-return]


def forget_masks() -> None:
    """Throw the random block away; a forked child must not share it."""
    global _keys
    _keys = iter(())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_masks)
