"""Masking under the path of the part of websockets that is compiled."""

from __future__ import annotations

from .core.kernels.kernels import apply_mask

__all__ = ["apply_mask"]
