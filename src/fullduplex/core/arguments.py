"""Keyword arguments: both spellings of renamed ones, and help with typos."""

from __future__ import annotations

import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterable
from typing import Any


def exact_str(text: str) -> str:
    """
    Return the characters of `text` as a plain `str`.

    A subclass may say something else when it is formatted than when it is checked, so
    what is checked and then sent has to be plain.

    Raises:
        TypeError: it is no `str`.
    """
    return text if type(text) is str else str.__str__(text)


def one_of(old: str, old_value: Any, new: str, new_value: Any) -> Any:
    """
    Return the value of a parameter that has two names.

    Raises:
        TypeError: both were given.
    """
    if old_value is None:
        return new_value
    if new_value is not None:
        raise TypeError(f"{old} and {new} are one parameter; give one of them")
    return old_value


def deprecated(
    kwds: dict[str, Any], old: str, new: str, value: Any, default: Any = None
) -> Any:
    """
    Take a deprecated keyword out of `kwds`, with a warning.

    Args:
        value: of the keyword that took its place.
        default: of that keyword.

    Returns:
        The value that counts.  Where both were given, it is that of the newer one.
    """
    if old not in kwds:
        return value
    warnings.warn(
        f"{old} is deprecated; use {new}",
        DeprecationWarning,
        stacklevel=_caller_level(),
    )
    given = kwds.pop(old)
    return given if value is default or value == default else value


def _caller_level() -> int:
    """Find how far up the program is that called the library."""
    package = __name__.partition(".")[0] + "."
    level = 1
    frame = sys._getframe(level)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        package
    ):
        frame = frame.f_back
        level += 1
    return level


def callable_or_none(name: str, value: Any) -> None:
    """
    Refuse what can't be called later.

    Raises:
        TypeError: `value` is neither callable nor None.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")


def keyword_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters that have to be given by name."""
    code = function.__code__
    return code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]


def parameter_names(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of all parameters but ``*args`` and ``**kwds``."""
    code = function.__code__
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def show_parameters(function: Any, source: Callable[..., Any]) -> None:
    """
    Let `function`, which passes its ``**kwds`` to `source`, show what that takes.

    Args:
        function: its own parameters come first.
        source: its keyword-only parameters take the place of ``**kwds``.
    """
    own = inspect.signature(function).parameters.values()
    passed = inspect.signature(source).parameters.values()
    parameters = [
        *(item for item in own if item.kind is not item.VAR_KEYWORD),
        *(item for item in passed if item.kind is item.KEYWORD_ONLY),
    ]
    function.__signature__ = inspect.Signature(parameters)


def reject_unknown(function: str, kwds: Iterable[str], known: Collection[str]) -> None:
    """
    Refuse keywords that nobody knows.

    Raises:
        TypeError: naming the unknown keyword and the nearest known one.
    """
    for name in kwds:
        if name in known:
            continue
        near = difflib.get_close_matches(name, sorted(known), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"{function}() got an unexpected keyword {name!r}{hint}")


def check_seconds(name: str, value: object, *, past: bool = False) -> float | None:
    """
    Check a time in seconds; None stands for no limit.

    Args:
        past: whether it may be negative, which is over at once.

    Raises:
        TypeError: it is no number.
        ValueError: it is nan, or negative.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{name} must be a number of seconds or None, not {type(value).__name__}"
        )
    if value != value or (value < 0 and not past):
        raise ValueError(f"{name} is {value!r}; it must be 0 or more seconds, or None")
    return value


def check_count(name: str, value: object, unit: str, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int ({unit}), not {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be at least {least} {unit}")
    return value
