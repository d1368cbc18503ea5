"""Exceptions under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..core import errors as _errors

    AbortHandshake = _errors.AbortHandshake
    InvalidMessage = _errors.InvalidMessage
    InvalidStatusCode = _errors.InvalidStatusCode
    RedirectHandshake = _errors.RedirectHandshake

__all__ = [
    "AbortHandshake",
    "InvalidMessage",
    "InvalidStatusCode",
    "RedirectHandshake",
]

_SAME = "InvalidMessage InvalidStatusCode"

reexport(globals())
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
