"""Exceptions under the path of websockets' first implementation."""

from __future__ import annotations

from ..imports import deprecate

_SAME = "InvalidMessage InvalidStatusCode"

deprecate(
    globals(),
    {
        "AbortHandshake": (
            "..core.errors",
            "a Response that process_request returns",
        ),
        "RedirectHandshake": (
            "..core.errors",
            "nothing instead; connect follows redirects",
        ),
        **{
            name: ("..exceptions", f"fullduplex.exceptions.{name}")
            for name in _SAME.split()
        },
    },
)
