"""Choice of the DEFLATE library that compresses messages.

``zlib-ng`` and ``isal`` write and read the same stream format as ``zlib``.  ``zlib-ng``
is faster, and is used when it can be imported.  ``isal`` is used only when it is asked
for.  It is faster with messages of many KiB, but slower with small ones, for which it
moves its 32 KiB of history each time.  A stream of it takes 25 KiB and more.
``FULLDUPLEX_ZLIB`` names one of ``auto`` (the default), ``zlib``, ``zlib-ng`` and
``isal``; naming one that is not installed fails at import, instead of running slower
than was asked for.

With ``isal``, messages are still compressed by ``zlib``: ``isal`` knows only levels
0 to 3, so the same ``compress_settings`` would be refused or mean something else.

The compiled streams of ``_zlib_c.pyx`` call ``zlib`` and ``zlib-ng`` themselves, where
their functions can be found; else the modules of the libraries serve.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..implementation import IMPLEMENTATION, loading

_streams: Any = None
if IMPLEMENTATION == "compiled" and not TYPE_CHECKING:
    with loading():
        from ..kernels import _zlib_c as _streams

__all__ = [
    "LIBRARY",
    "Compressor",
    "Decompressor",
    "compressobj",
    "decompressobj",
    "error",
    "is_complete",
]


class Compressor(Protocol):
    """Methods of a compressing stream that we use."""

    def deflate(self, data: Any, fin: bool, /) -> bytes: ...


class Decompressor(Protocol):
    """Methods of a decompressing stream that we use."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: Any, max_length: int, /) -> bytes: ...


LIBRARIES: Final = ("zlib-ng", "isal", "zlib")


def load(name: str) -> Any:
    """
    Import a library.

    Args:
        name: one of `LIBRARIES`.

    Raises:
        ImportError: the library is not installed.
    """
    # Statements, so that whatever freezes a program sees what it may need.
    if name == "zlib-ng":
        from zlib_ng import zlib_ng

        return zlib_ng
    if name == "isal":
        from isal import isal_zlib

        return isal_zlib
    return zlib


def choose(wanted: str) -> tuple[str, Any]:
    """
    Import the library that ``FULLDUPLEX_ZLIB`` asks for.

    Args:
        wanted: ``auto`` for the first that is installed, or one name.

    Returns:
        Its name and its module.

    Raises:
        ValueError: the name is not one of those above.
        ImportError: the library is not installed.
    """
    if wanted in LIBRARIES:
        return wanted, load(wanted)
    if wanted != "auto":
        raise ValueError(
            f"FULLDUPLEX_ZLIB is {wanted!r}, expected auto, {', '.join(LIBRARIES)}"
        )
    try:
        return "zlib-ng", load("zlib-ng")
    except ImportError:
        return "zlib", zlib


LIBRARY, _module = choose(os.environ.get("FULLDUPLEX_ZLIB") or "auto")

# Each library has an exception of its own, none derived from another's.
error: Final[type[Exception]] = _module.error


class Deflater:
    """
    A compressing stream of a library's module.

    Args:
        module: the library.
        settings: arguments of its `compressobj`.
    """

    __slots__ = ("_stream",)

    def __init__(self, module: Any, **settings: Any) -> None:
        self._stream = module.compressobj(**settings)

    def deflate(self, data: Any, fin: bool) -> bytes:
        """
        Compress and flush.

        Args:
            data: any object with bytes that lie side by side, at least one.
            fin: whether to leave out the four bytes that each flush ends with.
        """
        output: bytes = self._stream.compress(data)
        flushed: bytes = self._stream.flush(zlib.Z_SYNC_FLUSH)
        return output + (flushed[:-4] if fin else flushed)


def functions(name: str, module: Any) -> Any:
    """
    Look for the functions in C that a library's module calls.

    Returns:
        Library for compiled streams; None where its functions cannot be found: the
        module is part of the interpreter, hides its libraries, or is unknown.
    """
    path = getattr(module, "__file__", None)
    if _streams is not None and name in ("zlib", "zlib-ng") and path:
        try:
            return _streams.Library(path, name == "zlib-ng", module.error)
        except LookupError:
            pass
    return None


_reading: Final = functions(LIBRARY, _module)
_writing: Final = functions("zlib", zlib) if LIBRARY == "isal" else _reading


def decompressobj(wbits: int) -> Decompressor:
    """Begin a stream that is read; `zlib.decompressobj` says what its window is."""
    stream: Decompressor
    if _reading is not None:
        stream = _streams.Inflater(_reading, wbits)
    else:
        stream = _module.decompressobj(wbits)
    return stream


# Empty blocks that are not compressed (RFC 1951, 3.2.4).  They have more bytes than the
# header of a block with codes of its own (3.2.7), the only other input without output.
EMPTY_BLOCKS: Final = b"\x00\x00\x00\xff\xff" * 128


def is_complete(stream: Decompressor) -> bool:
    """
    Tell whether the bytes that were decompressed end with a whole block.

    The modules of the libraries do not tell.  Between two blocks, empty ones change
    nothing; within a block they become data, or are refused.
    """
    complete: bool | None = getattr(stream, "complete", None)
    if complete is None:
        try:
            complete = not stream.decompress(EMPTY_BLOCKS, 1)
        except error:
            complete = False
    return complete


def compressobj(*, lasting: bool = False, **settings: Any) -> Compressor:
    """
    Begin a stream that is written.

    Args:
        lasting: whether it lives longer than one message.
        settings: keyword arguments of `zlib.compressobj`.

    Raises:
        TypeError, ValueError, OverflowError, error: the fault in them.
    """
    if _writing is not None and settings.keys() <= {
        "level",
        "wbits",
        "memLevel",
        "strategy",
    }:
        stream: Compressor = _streams.Deflater(_writing, lasting=lasting, **settings)
        return stream
    return Deflater(zlib if LIBRARY == "isal" else _module, **settings)
