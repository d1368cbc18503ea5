"""How a client gets a stream to its server: TCP or a Unix socket, then TLS."""

from __future__ import annotations

import functools
import os
import ssl as tls
from typing import Any

import trio

from ..core.typing import PathLike
from ..core.uri import WebSocketURI
from ._pipe import os_error

__all__ = ["DIAL_KEYWORDS", "default_context", "dial", "encrypt"]

# What `connect` passes on to `trio.open_tcp_stream`.
DIAL_KEYWORDS = frozenset({"happy_eyeballs_delay", "host", "local_address", "port"})


@functools.cache
def default_context() -> tls.SSLContext:
    """Return the context for ``wss`` where the program gave none."""
    # Made once a process: it costs 25 ms and 0.8 MB.
    return tls.create_default_context()


async def dial(
    uri: WebSocketURI,
    *,
    path: PathLike | None,
    stream: trio.abc.Stream | None,
    ssl: tls.SSLContext | bool | None,
    server_hostname: str | None,
    kwds: dict[str, Any],
) -> trio.abc.Stream:
    """
    Open a stream to the server of `uri`.

    Args:
        path: of a Unix socket to take instead of TCP.
        stream: to use instead of a new one.
        ssl: context for ``wss``; None or True for the default one.
        server_hostname: what the certificate must be for, if not the URI's host.
        kwds: arguments for `trio.open_tcp_stream`.

    Raises:
        OSError: TCP or TLS failed; nothing is left open.
    """
    if stream is None:
        if path is not None:
            stream = await trio.open_unix_socket(os.fspath(path))
        else:
            kwds = {"host": uri.host, "port": uri.port, **kwds}
            stream = await trio.open_tcp_stream(**kwds)
    if not uri.secure:
        return stream
    context = ssl if isinstance(ssl, tls.SSLContext) else default_context()
    # The name that is verified is that of the URI, wherever it leads.
    return await encrypt(stream, context, server_hostname=server_hostname or uri.host)


async def encrypt(
    stream: trio.abc.Stream,
    context: tls.SSLContext,
    *,
    server_hostname: str | None = None,
    server_side: bool = False,
) -> trio.abc.Stream:
    """
    Do the TLS handshake over a stream, which may be encrypted already.

    Raises:
        OSError: it failed; the stream is closed, as it is when cancelled.
    """
    encrypted: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        stream, context, server_hostname=server_hostname, server_side=server_side
    )
    try:
        await encrypted.do_handshake()
    except trio.BrokenResourceError as exc:
        await trio.aclose_forcefully(stream)
        raise os_error(exc) from None
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted
