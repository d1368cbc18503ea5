"""Frames, opcodes and close codes; see `fullduplex.core.frames.frame`."""

from __future__ import annotations

from .core.frames.close import (
    CLOSE_CODE_EXPLANATIONS,
    CLOSE_CODES,
    EXTERNAL_CLOSE_CODES,
    OK_CLOSE_CODES,
    Close,
    CloseCode,
    explain_close_code,
)
from .core.frames.describe import MAX_LOG_SIZE
from .core.frames.frame import Frame, prepare_ctrl, prepare_data
from .core.frames.opcode import (
    BINARY,
    CLOSE,
    CONT,
    CTRL_OPCODES,
    DATA_OPCODES,
    OP_BINARY,
    OP_CLOSE,
    OP_CONT,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    PING,
    PONG,
    TEXT,
    Opcode,
)
from .core.kernels.kernels import apply_mask
from .imports import reexport

__all__ = [
    "BINARY",
    "CLOSE",
    "CLOSE_CODES",
    "CLOSE_CODE_EXPLANATIONS",
    "CONT",
    "CTRL_OPCODES",
    "Close",
    "CloseCode",
    "DATA_OPCODES",
    "EXTERNAL_CLOSE_CODES",
    "Frame",
    "MAX_LOG_SIZE",
    "OK_CLOSE_CODES",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONT",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "Opcode",
    "PING",
    "PONG",
    "TEXT",
    "explain_close_code",
    "prepare_ctrl",
    "prepare_data",
    "apply_mask",
]

reexport(globals())
