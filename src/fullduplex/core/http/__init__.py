"""HTTP/1.1: headers, field grammar, messages, parsers (RFC 9110, 9112)."""

from __future__ import annotations

from . import generators as generators  # registers `Request.parse`, `Response.parse`
