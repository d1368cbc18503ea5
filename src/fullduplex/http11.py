"""HTTP/1.1 requests and responses; see `fullduplex.core.http`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.http.messages import (
    MAX_BODY_SIZE,
    MAX_HEAD_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    SERVER,
    USER_AGENT,
    Request,
    Response,
)
from .core.http.parser import RequestParser, ResponseParser
from .imports import deprecate, reexport

if TYPE_CHECKING:
    MAX_BODY = MAX_BODY_SIZE
    MAX_HEADERS = MAX_NUM_HEADERS
    MAX_LINE = MAX_LINE_LENGTH

__all__ = [
    "MAX_BODY_SIZE",
    "MAX_HEAD_SIZE",
    "MAX_LINE_LENGTH",
    "MAX_NUM_HEADERS",
    "Request",
    "RequestParser",
    "Response",
    "ResponseParser",
    "SERVER",
    "USER_AGENT",
]

reexport(globals())
deprecate(
    globals(),
    {
        old: (f".core.http.messages:{new}", f"fullduplex.http11.{new}")
        for old, new in (
            ("MAX_BODY", "MAX_BODY_SIZE"),
            ("MAX_HEADERS", "MAX_NUM_HEADERS"),
            ("MAX_LINE", "MAX_LINE_LENGTH"),
        )
    },
)
