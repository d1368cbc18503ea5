"""Settings read from the environment, once, when a module is imported.

Each setting has two names: ``FULLDUPLEX_X``, and ``WEBSOCKETS_X`` for programs
that were configured for websockets.  The first one that is set wins.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def environment_value(name: str, default: T, convert: Callable[[str], T]) -> T:
    """
    Read one setting.

    Args:
        name: the name without its prefix, such as ``MAX_LOG_SIZE``.
        default: the value when neither variable is set.
        convert: turns the text of the variable into a value.

    Raises:
        ValueError: ``convert`` refused the text.
    """
    for variable in (f"FULLDUPLEX_{name}", f"WEBSOCKETS_{name}"):
        text = os.environ.get(variable)
        if text is not None:
            try:
                return convert(text)
            except ValueError as exc:
                raise ValueError(
                    f"environment variable {variable} is {text[:64]!r}: {exc}"
                ) from exc
    return default
