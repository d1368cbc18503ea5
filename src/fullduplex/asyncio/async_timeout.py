"""Timeouts of asyncio under the path of a copy that websockets carried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imports import lazy_import

if TYPE_CHECKING:
    from asyncio import Timeout, timeout, timeout_at

__all__ = ["Timeout", "timeout", "timeout_at"]

lazy_import(globals(), aliases=dict.fromkeys(__all__, "asyncio"))
