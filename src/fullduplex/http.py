"""``Headers`` under the path of websockets 10."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .core.http.headers import Headers, MultipleValuesError
from .core.http.messages import USER_AGENT
from .imports import deprecate, reexport

if TYPE_CHECKING:
    from .legacy import _http

    read_request = _http.read_request
    read_response = _http.read_response

__all__ = ["PYTHON_VERSION", "USER_AGENT", "Headers", "MultipleValuesError"]

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

reexport(globals())
deprecate(
    globals(),
    {
        "read_request": (".legacy._http", "fullduplex.http11.Request.parse"),
        "read_response": (".legacy._http", "fullduplex.http11.Response.parse"),
    },
)
