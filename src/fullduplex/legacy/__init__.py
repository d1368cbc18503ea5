"""The names of websockets 10 that moved, each with a warning that tells where to."""

from __future__ import annotations

from ..imports import lazy_import

_MODULES = (
    "async_timeout auth client compatibility exceptions framing handshake http "
    "protocol server"
)

lazy_import(globals(), aliases={name: f".{name}:" for name in _MODULES.split()})
