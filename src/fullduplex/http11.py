"""HTTP/1.1 requests and responses; see `fullduplex.core.http1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.http1 import *  # noqa: F403
from .core.http1 import __all__ as __all__
from .imports import deprecate, reexport

if TYPE_CHECKING:
    from .core import http1 as _http1

    MAX_BODY = _http1.MAX_BODY_SIZE
    MAX_HEADERS = _http1.MAX_NUM_HEADERS
    MAX_LINE = _http1.MAX_LINE_LENGTH

reexport(globals())
deprecate(
    globals(),
    {
        old: (f".core.http1:{new}", f"fullduplex.http11.{new}")
        for old, new in (
            ("MAX_BODY", "MAX_BODY_SIZE"),
            ("MAX_HEADERS", "MAX_NUM_HEADERS"),
            ("MAX_LINE", "MAX_LINE_LENGTH"),
        )
    },
)
