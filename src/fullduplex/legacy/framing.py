"""Frames under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

deprecate(
    globals(),
    {
        "Frame": ("._framing", "fullduplex.frames.Frame"),
        "encode_data": ("..frames:prepare_ctrl", "fullduplex.frames.prepare_ctrl"),
        "parse_close": ("._framing", "fullduplex.frames.Close.parse"),
        "prepare_ctrl": ("..frames", "fullduplex.frames.prepare_ctrl"),
        "prepare_data": ("..frames", "fullduplex.frames.prepare_data"),
        "serialize_close": ("._framing", "fullduplex.frames.Close.serialize"),
    },
)
