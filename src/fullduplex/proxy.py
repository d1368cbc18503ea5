"""Proxies, and which one is used for an address; see `fullduplex.core.client.proxy`."""

from __future__ import annotations

from .core.client.proxy.address import Proxy, parse_proxy
from .core.client.proxy.selection import get_proxy
from .imports import reexport

__all__ = [
    "Proxy",
    "get_proxy",
    "parse_proxy",
]

reexport(globals())
