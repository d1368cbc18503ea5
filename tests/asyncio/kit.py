"""Connections of the library to peers in the same event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fullduplex import ClientConnection, ServerConnection, connect, serve

from ..kit.asyncio_peer import Listener, Peer, connected, listening
from ..kit.bytes import request
from ..kit.clock import PATIENCE


@asynccontextmanager
async def opened(
    *headers: str,
    ssl: ssl.SSLContext | None = None,
    client_ssl: ssl.SSLContext | None = None,
    small: bool = False,
    glued: bytes = b"",
    **options: Any,
) -> AsyncIterator[tuple[ClientConnection, Peer]]:
    """
    Open a connection of the library to a peer of ours.

    There is no compression and no keepalive unless asked for.  At the end nothing
    is left of either, whatever state they are in.

    Args:
        headers: for the response.
        ssl: for the peer; ``client_ssl`` is for `connect`.
        options: for `connect`.
    """
    options.setdefault("compression", None)
    options.setdefault("ping_interval", None)
    # So that a test that fails does so soon.
    options.setdefault("close_timeout", 2)
    async with listening(ssl=ssl, small=small) as listener:
        uri = listener.at("/", "localhost" if ssl else "127.0.0.1")
        if client_ssl is not None:
            options["ssl"] = client_ssl
        opening = asyncio.ensure_future(connect(uri, **options).connect())
        try:
            peer = await listener.accept()
            await peer.handshake(*headers, glued=glued)
            ws = await opening
        finally:
            opening.cancel()
        try:
            yield ws, peer
        finally:
            peer.abort()
            if ws.transport is not None:
                ws.transport.abort()
            async with asyncio.timeout(PATIENCE):
                await ws.wait_closed()


async def attempt(
    listener: Listener, step: Callable[[Peer], Awaitable[Any]], **options: Any
) -> tuple[ClientConnection, Peer]:
    """Connect while the peer takes a step; the caller closes what came of it."""
    options.setdefault("compression", None)
    opening = asyncio.ensure_future(connect(listener.uri, **options).connect())
    peer = await listener.accept()
    await step(peer)
    return await opening, peer


async def finish(ws: ClientConnection, peer: Peer) -> None:
    """Close a connection as it should be."""
    answer = asyncio.ensure_future(peer.answer_close())
    await ws.close()
    await answer


@asynccontextmanager
async def served(
    *, small: bool = False, **options: Any
) -> AsyncIterator[tuple[ServerConnection, Peer]]:
    """
    Open a connection of ours to a server of the library; the other way round.

    The handler only waits for the end of the test.

    Args:
        small: our end takes few bytes that we do not read.
        options: for `serve`.
    """
    options.setdefault("compression", None)
    options.setdefault("ping_interval", None)
    options.setdefault("close_timeout", 2)
    accepted: asyncio.Future[ServerConnection]
    accepted = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        accepted.set_result(ws)
        await over.wait()

    async with serve(handler, "127.0.0.1", 0, **options) as server:
        peer = await connected(server.sockets[0].getsockname(), small=small)
        try:
            peer.write(request())
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 101 "), head
            ws = await accepted
            yield ws, peer
        finally:
            peer.abort()
            if accepted.done():
                accepted.result().transport.abort()
            over.set()
