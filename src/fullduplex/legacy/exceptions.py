"""Exceptions under the path of websockets' first implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import deprecate, reexport

if TYPE_CHECKING:
    from ..core.errors import InvalidMessage as InvalidMessage
    from ..core.handshake.errors import AbortHandshake as AbortHandshake
    from ..core.handshake.errors import InvalidStatusCode as InvalidStatusCode
    from ..core.handshake.errors import RedirectHandshake as RedirectHandshake

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
            "..core.handshake.errors",
            "a Response that process_request returns",
        ),
        "RedirectHandshake": (
            "..core.handshake.errors",
            "nothing instead; connect follows redirects",
        ),
        **{
            name: ("..exceptions", f"fullduplex.exceptions.{name}")
            for name in _SAME.split()
        },
    },
)
