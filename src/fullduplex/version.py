"""The version, in the place where websockets has it."""

from __future__ import annotations

__all__ = ["version"]

version = "0.1.0"
