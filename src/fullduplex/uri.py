"""WebSocket addresses; see `fullduplex.core.uri`."""

from __future__ import annotations

from .core.uri import *  # noqa: F403
from .core.uri import __all__ as __all__
from .imports import reexport

reexport(globals())
