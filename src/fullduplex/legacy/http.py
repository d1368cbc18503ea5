"""HTTP under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..core.http import messages as _http11
    from . import _http

    MAX_HEADERS = _http11.MAX_NUM_HEADERS
    MAX_LINE = _http11.MAX_LINE_LENGTH
    read_request = _http.read_request
    read_response = _http.read_response

__all__ = [
    "MAX_HEADERS",
    "MAX_LINE",
    "read_request",
    "read_response",
]

reexport(globals())
deprecate(
    globals(),
    {
        "MAX_HEADERS": (
            "..http11:MAX_NUM_HEADERS",
            "fullduplex.http11.MAX_NUM_HEADERS",
        ),
        "MAX_LINE": ("..http11:MAX_LINE_LENGTH", "fullduplex.http11.MAX_LINE_LENGTH"),
        "read_request": ("._http", "fullduplex.http11.Request.parse"),
        "read_response": ("._http", "fullduplex.http11.Response.parse"),
    },
)
