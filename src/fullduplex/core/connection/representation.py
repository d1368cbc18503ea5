"""Text of a connection for `repr`: its class, its place and its state."""

from __future__ import annotations

from typing import Any

from ..diagnostics.connect_trace import show_address
from ..endpoint.frame_protocol import Side
from ..http.messages import Request

# Characters of a path that are shown.
SHOWN = 64


def represent(connection: Any) -> str:
    """
    Return the `repr` of a connection.

    A client has the URI that it goes to, a server the path of the request and the
    address of the client.  Neither has a user name, a password or a query, which often
    holds a token.
    """
    name = type(connection).__name__
    if getattr(connection, "_session", None) is None:
        # A subclass has not called `__init__` yet.
        return f"<{name}>"
    place = _uri(connection) if connection.side is Side.CLIENT else _origin(connection)
    return f"<{' '.join((name, *place, connection.state.name))}>"


def _uri(connection: Any) -> list[str]:
    host, port = connection.host, connection.port
    if host is None:
        return []
    scheme, usual = ("wss", 443) if connection.secure else ("ws", 80)
    address = show_address((host, port))
    if port in (usual, None):
        address = address.rpartition(":")[0]
    return [f"{scheme}://{address}{_path(connection)}"]


def _origin(connection: Any) -> list[str]:
    parts = []
    path = _path(connection)
    if path:
        parts.append(path)
    peer = connection.remote_address
    if peer:
        parts += ["from", show_address(peer)]
    return parts


def _path(connection: Any) -> str:
    """Return the path of the request without its query; empty before the request."""
    # The object that programs see is not made for this.
    known = connection._request
    if known is None:
        return ""
    target: str
    if isinstance(known, Request):
        target = known.path
    else:
        target = known.split(b" ", 2)[1].decode("latin-1")
    path = target.partition("?")[0].encode("unicode_escape").decode()
    return path if len(path) <= SHOWN else f"{path[: SHOWN - 3]}..."
