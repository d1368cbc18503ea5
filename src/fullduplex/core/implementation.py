"""Choice of the compiled or the pure bodies, once, when first imported.

``FULLDUPLEX_IMPL`` is ``auto`` (the default), ``compiled`` or ``pure``.

    compiled parts           ``auto``        ``compiled``     ``pure``
    ----------------------   -------------   --------------   --------
    are there and load       compiled        compiled         pure
    are missing              pure            ImportError      pure
    do not load              ImportError     ImportError      pure
    (not CPython)            pure            ImportError      pure

A part that is there and does not load belongs to another interpreter or is damaged.
A program that counts on the speed should not find out from its latency.

Modules with two bodies import the chosen one by a statement for each, so that
PyInstaller, Nuitka and others that read imports find both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

__all__ = ["IMPLEMENTATION", "loading"]

# In the order in which they need one another.
PARTS = (
    "kernels._kernels_c",
    "kernels._zlib_c",
    "wire._wire_c",
    "endpoint._hot_c",
)


@contextmanager
def loading() -> Iterator[None]:
    """
    Import compiled parts within this.

    Raises:
        ImportError: a part is damaged or missing; the text tells how to go on.
    """
    try:
        yield
    except ImportError as exc:
        raise ImportError(
            f"a compiled part of fullduplex does not load: {exc}; reinstall fullduplex "
            f"for this interpreter ({sys.executable or 'unknown'}), or set "
            "FULLDUPLEX_IMPL=pure to run without compiled parts"
        ) from exc


def _missing() -> bool:
    return any(find_spec(f"fullduplex.core.{part}") is None for part in PARTS)


def _choose() -> str:
    wanted = os.environ.get("FULLDUPLEX_IMPL", "auto")
    if wanted not in ("auto", "compiled", "pure"):
        raise ImportError(
            f"FULLDUPLEX_IMPL is {wanted!r}; it must be 'auto', 'compiled' or 'pure'"
        )
    if wanted == "pure":
        return "pure"
    if sys.implementation.name != "cpython":
        if wanted == "compiled":
            raise ImportError(
                "FULLDUPLEX_IMPL is 'compiled' but the compiled parts of fullduplex "
                f"are made for CPython, and this is {sys.implementation.name}"
            )
        return "pure"
    if _missing():
        if wanted == "compiled":
            raise ImportError(
                "FULLDUPLEX_IMPL is 'compiled' but fullduplex was installed without "
                "its compiled parts; reinstall it where a C compiler is available"
            )
        return "pure"
    with loading():
        for part in PARTS:
            import_module(f"fullduplex.core.{part}")
    return "compiled"


IMPLEMENTATION = _choose()
