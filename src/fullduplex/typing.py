"""Types for annotations; see `fullduplex.core.typing`."""

from __future__ import annotations

from .core.typing import *  # noqa: F403
from .core.typing import __all__ as __all__
