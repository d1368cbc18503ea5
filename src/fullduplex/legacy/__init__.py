"""The names of websockets 10 that moved, each with a warning that tells where to."""

from __future__ import annotations
