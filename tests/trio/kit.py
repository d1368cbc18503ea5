"""Connections of the library to peers in the same event loop."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from fullduplex.trio import ClientConnection, Server, ServerConnection, connect, serve

from ..kit.bytes import request
from ..kit.trio_peer import Peer, connected, listening

REQUEST = request()


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
    if client_ssl is not None:
        options["ssl"] = client_ssl
    async with listening(ssl=ssl, small=small) as listener:
        uri = listener.at("/", "localhost" if ssl else "127.0.0.1")
        peers: list[Peer] = []

        async def welcome() -> None:
            peers.append(await listener.accept())
            await peers[0].handshake(*headers, glued=glued)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(welcome)
            async with connect(uri, **options) as ws:
                try:
                    yield ws, peers[0]
                finally:
                    ws._driver.abort()


@asynccontextmanager
async def serving(
    handler: Callable[[ServerConnection], Awaitable[Any]], **options: Any
) -> AsyncIterator[Server]:
    """
    Run a server of the library on loopback; at the end its handlers are cancelled.

    Args:
        options: for `serve`; there is no compression and no keepalive by default.
    """
    options.setdefault("compression", None)
    options.setdefault("ping_interval", None)
    options.setdefault("close_timeout", 2)
    if "listeners" not in options:
        options.setdefault("host", "127.0.0.1")
        options.setdefault("port", 0)

    async def start(task_status: Any) -> None:
        await serve(handler, task_status=task_status, **options)

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(start)
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialed(
    server: Server, *, small: bool = False, request: bytes | None = None
) -> AsyncIterator[Peer]:
    """
    Connect to a server by hand.

    Args:
        small: we take few bytes that we do not read.
        request: what to send instead of shaking hands.
    """
    address = server.sockets[0].getsockname()
    async with connected(address, small=small) as peer:
        await peer.write(REQUEST if request is None else request)
        if request is None:
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 101 "), head
        yield peer


@asynccontextmanager
async def served(
    *, small: bool = False, **options: Any
) -> AsyncIterator[tuple[ServerConnection, Peer]]:
    """
    Open a connection of ours to a server of the library; the other way round.

    The handler only waits for the end of the test.
    """
    accepted: list[ServerConnection] = []
    arrival = trio.Event()

    async def handler(ws: ServerConnection) -> None:
        accepted.append(ws)
        arrival.set()
        await trio.sleep_forever()

    async with (
        serving(handler, **options) as server,
        dialed(server, small=small) as peer,
    ):
        await arrival.wait()
        yield accepted[0], peer
