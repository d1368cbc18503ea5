"""Text of a frame for logs."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ..environ import environment_value
from ..errors import ProtocolError
from ..typing import BytesLike

if TYPE_CHECKING:
    pass
from .close import Close
from .opcode import DATA_OPCODES, Opcode

MAX_LOG_SIZE: int = environment_value("MAX_LOG_SIZE", 75, int)


# -- Logs ----------------------------------------------------------------------


def _describe(opcode: int, data: BytesLike) -> tuple[str, str]:
    """Return the payload for logs, and its coding where the opcode leaves it open."""
    view = memoryview(data)
    if view.nbytes == 0:
        return "''" if opcode in DATA_OPCODES else "", ""
    if opcode == Opcode.CLOSE:
        try:
            return _shorten(str(Close.parse(bytes(view)))), ""
        except (ProtocolError, UnicodeDecodeError):
            return _hexadecimal(view), "binary"
    text = _text(view, errors="replace" if opcode == Opcode.TEXT else "strict")
    if text is None:
        return _hexadecimal(view), "" if opcode == Opcode.BINARY else "binary"
    return text, "" if opcode == Opcode.TEXT else "text"


def _text(view: memoryview, errors: str) -> str | None:
    # No more than the ends is looked at: 4 bytes make at least one character.
    ends = 4 * max(MAX_LOG_SIZE, 3)
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    try:
        if view.nbytes <= 2 * ends:
            return _shorten(repr(decoder.decode(bytes(view), final=True)))
        head = repr(decoder.decode(bytes(view[:ends])))[:-1]
        tail = repr(bytes(view[-ends:]).decode("utf-8", "replace"))[1:]
    except UnicodeDecodeError:
        return None
    return _shorten(head + tail)


def _hexadecimal(view: memoryview) -> str:
    shown = max(MAX_LOG_SIZE // 3, 1)  # a byte takes three characters
    if view.nbytes <= shown:
        return bytes(view).hex(" ")
    tail = max(shown // 3, 1)
    head = max(shown - 1 - tail, 0)
    return f"{bytes(view[:head]).hex(' ')} ... {bytes(view[-tail:]).hex(' ')}".strip()


def _shorten(text: str) -> str:
    if len(text) <= MAX_LOG_SIZE:
        return text
    cut = max(MAX_LOG_SIZE // 3 - 1, 0)
    return text[: 2 * cut] + "..." + text[len(text) - cut :]
