"""Timeouts of asyncio under the name that websockets gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import lazy_import

if TYPE_CHECKING:
    from asyncio import timeout as asyncio_timeout
    from asyncio import timeout_at as asyncio_timeout_at

__all__ = ["asyncio_timeout", "asyncio_timeout_at"]

lazy_import(
    globals(),
    aliases={
        "asyncio_timeout": "asyncio:timeout",
        "asyncio_timeout_at": "asyncio:timeout_at",
    },
)
