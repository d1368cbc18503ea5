"""Small functions that other libraries import from here."""

from __future__ import annotations

from typing import Any

from .core.handshake.keys import GUID as _GUID
from .core.handshake.keys import accept_key, generate_key
from .core.kernels.kernels import apply_mask
from .imports import reexport

__all__ = ["GUID", "accept_key", "apply_mask", "generate_key", "get_socket_name"]

reexport(globals())

GUID = _GUID.decode()


def get_socket_name(sock: Any) -> str:
    """Return the address of a socket as text: ``host:port``, or a path."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"
