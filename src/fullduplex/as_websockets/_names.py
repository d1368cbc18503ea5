"""Name and version of the distribution that this package stands for."""

from __future__ import annotations

ROOT = "websockets"

COMPATIBLE = "17.4"
"""The version of websockets that programs are told of."""
