"""Compression (RFC 7692); see `fullduplex.core.extensions.permessage_deflate`."""

from __future__ import annotations

from ..core.extensions.deflate import PerMessageDeflate
from ..core.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)
from ..imports import reexport

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
]

reexport(globals())
