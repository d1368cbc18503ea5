"""Socket of a connection for programs: options and addresses, but no I/O.

A program that had the real socket could close or detach it.  Its number would then be
the next one that the system gives away, and what we send would reach a stranger.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

OF_SOCKET = frozenset(
    {
        "family",
        "fileno",
        "get_inheritable",
        "getpeername",
        "getsockname",
        "getsockopt",
        "gettimeout",
        "ioctl",
        "proto",
        "setsockopt",
        "shutdown",
        "timeout",
        "type",
    }
)
OF_TLS = frozenset(
    {
        "cipher",
        "compression",
        "context",
        "get_channel_binding",
        "getpeercert",
        "get_unverified_chain",
        "get_verified_chain",
        "selected_alpn_protocol",
        "selected_npn_protocol",
        "server_hostname",
        "server_side",
        "session",
        "session_reused",
        "shared_ciphers",
        "version",
    }
)


class SocketView:
    """
    Value of `ws.socket`: a socket without the methods that read, write or detach it.

    With TLS it has what tells of TLS on `ssl.SSLSocket` too, such as `getpeercert`.

    Args:
        sock: the socket.
        tls: an `ssl.SSLObject`; None without TLS.
        end: ends the connection.
    """

    __slots__ = ("_end", "_sock", "_tls")

    def __init__(
        self, sock: socket.socket, tls: Any, end: Callable[[], object]
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._end = end

    def __getattr__(self, name: str) -> Any:
        if name in OF_SOCKET:
            return getattr(self._sock, name)
        if name in OF_TLS and self._tls is not None:
            return getattr(self._tls, name)
        if name in OF_TLS or not hasattr(socket.socket, name):
            raise AttributeError(f"the socket of a connection has no {name!r}")
        raise AttributeError(
            f"the socket of a connection has no {name!r}: it belongs to the connection,"
            " which reads and writes it"
        )

    def close(self) -> None:
        """End the connection at once, without a close frame."""
        self._end()

    def __repr__(self) -> str:
        return f"<SocketView of {self._sock!r}>"
