"""Masking keys that nobody can predict (RFC 6455, 5.3), taken from blocks."""

from __future__ import annotations

import os

__all__ = ["forget_masks", "new_mask"]

BLOCK = 4096

_masks = b""
_masks_used = 0


def new_mask() -> bytes:
    """Take an unpredictable key (RFC 6455, 5.3) from a block of os.urandom."""
    global _masks, _masks_used
    if _masks_used == len(_masks):
        _masks = os.urandom(BLOCK)
        _masks_used = 0
    key = _masks[_masks_used : _masks_used + 4]
    _masks_used += 4
    return key


def forget_masks() -> None:
    """Throw the random block away; a forked child must not share it."""
    global _masks, _masks_used
    _masks = b""
    _masks_used = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_masks)
