"""HTTP Basic authentication for `serve`."""

from __future__ import annotations

from .._async.auth import basic_auth

__all__ = ["basic_auth"]
