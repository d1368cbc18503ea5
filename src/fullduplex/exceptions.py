"""Every exception; see `fullduplex.core.errors`."""

from __future__ import annotations

from .core.errors import *  # noqa: F403
from .core.errors import __all__ as __all__
