"""Which DEFLATE library compresses messages.

``zlib-ng`` and ``isal`` write and read the same stream format as ``zlib``.  ``zlib-ng``
is faster, and is used when it can be imported.  ``isal`` is used only when it is asked
for: it is faster with messages of many KiB, but not with small ones, for which it
moves its 32 KiB of history each time, and a stream has 25 KiB and more.
``FULLDUPLEX_ZLIB`` names one of ``auto`` (the default), ``zlib``, ``zlib-ng`` and
``isal``; naming one that is not installed fails at import, instead of running slower
than was asked for.

With ``isal``, messages are still compressed by ``zlib``: ``isal`` knows only levels
0 to 3, so the same ``compress_settings`` would be refused or mean something else.
"""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

__all__ = [
    "LIBRARY",
    "Compressor",
    "Decompressor",
    "compressobj",
    "decompressobj",
    "error",
    "Z_SYNC_FLUSH",
]

Z_SYNC_FLUSH: Final = zlib.Z_SYNC_FLUSH


class Compressor(Protocol):
    """What we use of a compressing stream."""

    def compress(self, data: Any, /) -> bytes: ...

    def flush(self, mode: int, /) -> bytes: ...


class Decompressor(Protocol):
    """What we use of a decompressing stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: Any, max_length: int, /) -> bytes: ...


MODULES: Final[Mapping[str, str]] = {
    "zlib-ng": "zlib_ng.zlib_ng",
    "isal": "isal.isal_zlib",
    "zlib": "zlib",
}


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
    if wanted in MODULES:
        return wanted, importlib.import_module(MODULES[wanted])
    if wanted != "auto":
        raise ValueError(
            f"FULLDUPLEX_ZLIB is {wanted!r}, expected auto, {', '.join(MODULES)}"
        )
    for name in ("zlib-ng", "zlib"):
        try:
            return name, importlib.import_module(MODULES[name])
        except ImportError:
            continue
    raise ImportError("zlib is missing from this Python")


LIBRARY, _module = choose(os.environ.get("FULLDUPLEX_ZLIB") or "auto")

decompressobj: Final[Callable[[int], Decompressor]] = _module.decompressobj
compressobj: Final[Callable[..., Compressor]] = (
    zlib.compressobj if LIBRARY == "isal" else _module.compressobj
)

# Each library has an exception of its own, none derived from another's.
error: Final[type[Exception]] = _module.error
