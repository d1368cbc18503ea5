"""Names of tests that are the same in each process: several can share the work."""

from __future__ import annotations

import re

__all__ = ["label"]


def label(value: object) -> str:
    """Name a parameter; where an object has no name, its address is left out."""
    if isinstance(value, type):
        return value.__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:60]
