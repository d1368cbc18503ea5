"""The root of all exceptions; apart so that each family can have its module."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["WebSocketException", "without_traces"]


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


E = TypeVar("E", bound=BaseException)


def without_traces(exc: E) -> E:
    """
    Return an exception that was caught, without the frames that it has passed.

    A connection remembers what ended it, and the frames lead back to the connection:
    its memory would wait for the garbage collector.
    """
    link: BaseException | None = exc
    while link is not None and link.__traceback__ is not None:
        link.__traceback__ = link.__context__ = None
        link = link.__cause__
    return exc
