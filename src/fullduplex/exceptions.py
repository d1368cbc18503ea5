"""Every exception; see `fullduplex.core.errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import errors as _errors
from .imports import deprecate, reexport

if TYPE_CHECKING:
    from .core.errors import *  # noqa: F403
    from .core.errors import __all__ as __all__

_DEPRECATED = {
    "AbortHandshake": "a Response that process_request returns",
    "RedirectHandshake": "nothing instead; connect follows redirects",
    "WebSocketProtocolError": "fullduplex.exceptions.ProtocolError",
}

if not TYPE_CHECKING:
    __all__ = [name for name in _errors.__all__ if name not in _DEPRECATED]
    globals().update({name: getattr(_errors, name) for name in __all__})

reexport(globals())
deprecate(
    globals(),
    {name: (".core.errors", instead) for name, instead in _DEPRECATED.items()},
)
