"""The grammar of headers; see `fullduplex.core.headers`."""

from __future__ import annotations

from .core.headers import *  # noqa: F403
from .core.headers import __all__ as __all__
from .imports import reexport

reexport(globals())
