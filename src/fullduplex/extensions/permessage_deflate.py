"""Compression (RFC 7692); see `fullduplex.core.extensions.permessage_deflate`."""

from __future__ import annotations

from ..core.extensions.permessage_deflate import *  # noqa: F403
from ..core.extensions.permessage_deflate import __all__ as __all__
from ..imports import reexport

reexport(globals())
