"""Standard streams that may be closed, full, or read by nobody any more.

A command that cannot write says so in one line, or, where its reader has seen enough,
ends in silence.  It never shows a traceback, and the interpreter must not find fault
with a stream when it exits.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class OutputFailed(Exception):
    """
    Standard output cannot be written.

    Attributes:
        unread: whether that is so because nobody reads it.
        reason: text of the system's error.
    """

    def __init__(self, error: OSError) -> None:
        self.unread = isinstance(error, BrokenPipeError)
        self.reason = error.strerror or str(error)
        super().__init__(self.reason)


class _File(io.FileIO):
    """
    A descriptor that fails once at most.

    Args:
        loud: raise `OutputFailed`; else what cannot be written is dropped.
    """

    def __init__(self, descriptor: int, *, loud: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._loud = loud

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            # The rest of the buffer must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if self._loud:
                raise OutputFailed(error) from None
        return memoryview(data).nbytes  # type: ignore[arg-type]


def take_over() -> None:
    """
    Replace the standard streams by such that fail in our way.

    A stream that was closed before the program began becomes the null device.
    Otherwise its descriptor would be given to the next socket, and printed text would
    go there.
    """
    streams = [sys.stdin, sys.stdout, sys.stderr]
    for number, stream in enumerate(streams):
        if stream is None:
            _open_null(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(sys.stdout, 1, loud=True)
    sys.stderr = _stream(sys.stderr, 2, loud=False)


def _open_null(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _stream(stream: TextIO | None, number: int, *, loud: bool) -> TextIO:
    if stream is not None:
        if not isinstance(stream, io.TextIOWrapper) or stream.isatty():
            return stream  # somebody's own, or one that cannot be full
        if stream.fileno() != number:
            return stream
        encoding, errors = stream.encoding, stream.errors
    else:
        encoding, errors = "utf-8", "backslashreplace"
    return io.TextIOWrapper(
        io.BufferedWriter(_File(number, loud=loud)),
        encoding=encoding,
        errors=errors,
        # As the interpreter does: errors come at once, output in blocks.
        line_buffering=number == 2,
    )
