"""HTTP/1.1 requests and responses; see `fullduplex.core.http1`."""

from __future__ import annotations

from .core.http1 import *  # noqa: F403
from .core.http1 import __all__ as __all__
