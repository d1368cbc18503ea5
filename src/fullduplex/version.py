"""The version, in the place where websockets has it."""

from __future__ import annotations

__all__ = ["commit", "released", "tag", "version"]

version = tag = commit = "0.1.0"
released = True
