"""Frames, opcodes and close codes; see `fullduplex.core.frames`."""

from __future__ import annotations

from .core import frames as _frames
from .core.frames import *  # noqa: F403
from .core.kernels import apply_mask

__all__ = [*_frames.__all__, "apply_mask"]
