"""A buffer for generator-based parsers; see `fullduplex.sansio.streams`."""

from __future__ import annotations

from .sansio.streams import StreamReader

__all__ = ["StreamReader"]
