"""HTTP under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

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
