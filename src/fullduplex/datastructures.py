"""Headers; see `fullduplex.core.datastructures`."""

from __future__ import annotations

from .core.datastructures import *  # noqa: F403
from .core.datastructures import __all__ as __all__
from .imports import reexport

reexport(globals())
