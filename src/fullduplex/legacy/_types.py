"""Types for annotations that websockets 10 has beside its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..core.datastructures import Headers, HeadersLike
from ..core.typing import StatusLike

__all__ = ["HTTPResponse", "HeadersLikeOrCallable"]

HTTPResponse: TypeAlias = tuple[StatusLike, HeadersLike, bytes]
"""What ``process_request`` returned to answer with plain HTTP."""

HeadersLikeOrCallable: TypeAlias = HeadersLike | Callable[[str, Headers], HeadersLike]
"""What ``extra_headers`` of a server takes."""
