"""Proxies, and which one is used for an address; see `fullduplex.core.proxy`."""

from __future__ import annotations

from .core.proxy import *  # noqa: F403
from .core.proxy import __all__ as __all__
from .imports import reexport

reexport(globals())
