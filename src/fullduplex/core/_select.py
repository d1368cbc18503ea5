"""Choose the compiled or the pure bodies, once, when first imported.

``FULLDUPLEX_IMPL`` is ``auto`` (the default), ``compiled`` or ``pure``.  Asking
for ``compiled`` where it is missing fails loudly: a program that counts on the
speed should not find out from its latency.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

__all__ = ["IMPLEMENTATION", "body"]


def _choose() -> str:
    wanted = os.environ.get("FULLDUPLEX_IMPL", "auto")
    if wanted not in ("auto", "compiled", "pure"):
        raise ImportError(
            f"FULLDUPLEX_IMPL is {wanted!r}; it must be 'auto', 'compiled' or 'pure'"
        )
    if wanted == "pure":
        return "pure"
    try:
        import_module("fullduplex.core._wire_c")
        import_module("fullduplex.core._kernels_c")
    except ImportError as exc:
        if wanted == "compiled":
            raise ImportError(
                "FULLDUPLEX_IMPL is 'compiled' but fullduplex was installed without "
                "its compiled parts; reinstall it where a C compiler is available"
            ) from exc
        return "pure"
    return "compiled"


IMPLEMENTATION = _choose()


def body(module: str) -> ModuleType:
    """
    Import the chosen body of a module that has two.

    Args:
        module: absolute name of the pure body; the compiled one ends in ``_c``.
    """
    return import_module(module + "_c" if IMPLEMENTATION == "compiled" else module)
