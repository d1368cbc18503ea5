"""Headers; see `fullduplex.core.http.headers`."""

from __future__ import annotations

from .core.http.headers import (
    Headers,
    HeadersLike,
    MultipleValuesError,
    SupportsKeysAndGetItem,
)
from .imports import reexport

__all__ = [
    "Headers",
    "HeadersLike",
    "MultipleValuesError",
    "SupportsKeysAndGetItem",
]

reexport(globals())
