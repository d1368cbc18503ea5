"""The root of all exceptions; apart so that each family can have its module."""

from __future__ import annotations

from typing import Any

__all__ = ["WebSocketException"]


def _rebuild(
    cls: type[WebSocketException], args: tuple[Any, ...]
) -> WebSocketException:
    exc = cls.__new__(cls, *args)
    exc.args = args
    return exc


class WebSocketException(Exception):
    """Base of all exceptions defined here."""

    # BaseException would call the class with ``args``, which fails for every
    # constructor that does not keep its arguments there.
    def __reduce__(self) -> tuple[Any, ...]:
        state = self.__dict__.copy()
        # A connection cannot be pickled; what it has to say can.
        if state.pop("_witness", None) is not None:
            state["_diagnosis"] = self.diagnosis  # type: ignore[attr-defined]
        return _rebuild, (type(self), self.args), state
