"""Types for annotations that websockets 10 has beside its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..core.http.headers import Headers, HeadersLike
from ..core.typing import StatusLike

HTTPResponse: TypeAlias = tuple[StatusLike, HeadersLike, bytes]
"""Result of ``process_request`` that answers with plain HTTP."""

HeadersLikeOrCallable: TypeAlias = HeadersLike | Callable[[str, Headers], HeadersLike]
"""Type of ``extra_headers`` of a server."""
