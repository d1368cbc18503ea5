"""Frames under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..core.frames import frame as _frames
    from . import _frames as _framing

    encode_data = prepare_ctrl = _frames.prepare_ctrl
    prepare_data = _frames.prepare_data
    Frame = _framing.Frame
    parse_close = _framing.parse_close
    serialize_close = _framing.serialize_close

__all__ = [
    "Frame",
    "encode_data",
    "parse_close",
    "prepare_ctrl",
    "prepare_data",
    "serialize_close",
]

reexport(globals())
deprecate(
    globals(),
    {
        "Frame": ("._frames", "fullduplex.frames.Frame"),
        "encode_data": ("..frames:prepare_ctrl", "fullduplex.frames.prepare_ctrl"),
        "parse_close": ("._frames", "fullduplex.frames.Close.parse"),
        "prepare_ctrl": ("..frames", "fullduplex.frames.prepare_ctrl"),
        "prepare_data": ("..frames", "fullduplex.frames.prepare_data"),
        "serialize_close": ("._frames", "fullduplex.frames.Close.serialize"),
    },
)
