"""A uvicorn server within a test, and the ways to talk to it."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from fullduplex import ClientConnection, connect
from fullduplex.integrations.uvicorn import WebSocketProtocol

from ..kit.asyncio_peer import Peer, connected, until

__all__ = ["App", "Site", "accepted", "echo", "site"]

App = Callable[[Any, Any, Any], Awaitable[Any]]

# uvicorn's parser; set for each test.
HTTP = "h11"


class Site:
    """A running server."""

    def __init__(self, server: uvicorn.Server, address: Any, secure: bool) -> None:
        self.server = server
        self.address = address
        self._scheme = "wss" if secure else "ws"

    @property
    def state(self) -> ServerState:
        return self.server.server_state

    @property
    def port(self) -> int:
        port: int = self.address[1]
        return port

    def uri(self, path: str = "/") -> str:
        if self._scheme == "wss":
            return f"wss://localhost:{self.port}{path}"
        host = self.address[0]
        return (
            f"ws://[{host}]:{self.port}{path}"
            if ":" in host
            else (f"ws://{host}:{self.port}{path}")
        )

    @asynccontextmanager
    async def connected(
        self, path: str = "/", **options: Any
    ) -> AsyncIterator[ClientConnection]:
        """Connect with our client, without compression unless asked for."""
        options.setdefault("compression", None)
        options.setdefault("proxy", None)
        options.setdefault("close_timeout", 2)
        async with connect(self.uri(path), **options) as ws:
            yield ws

    @asynccontextmanager
    async def peer(
        self, *headers: str, small: bool = False, method: str = "GET"
    ) -> AsyncIterator[Peer]:
        """Send a request by hand; the response is still to be read."""
        peer: Peer = await connected(self.address, small=small)
        lines = [
            f"{method} / HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            *(headers or HANDSHAKE),
        ]
        peer.write(("\r\n".join(lines) + "\r\n\r\n").encode("iso-8859-1"))
        try:
            yield peer
        finally:
            peer.abort()

    @asynccontextmanager
    async def opened(self, *headers: str, small: bool = False) -> AsyncIterator[Peer]:
        """Open a connection by hand."""
        async with self.peer(*HANDSHAKE, *headers, small=small) as peer:
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield peer

    async def idle(self) -> None:
        """Wait until uvicorn knows of no connection and no task."""
        await until(lambda: not self.state.connections and not self.state.tasks)


def family_of(host: str) -> socket.AddressFamily:
    """Return IPv6 where the address is of that kind."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


HANDSHAKE = (
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


@asynccontextmanager
async def site(
    app: App,
    *,
    host: str = "127.0.0.1",
    unix: str | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    """
    Run a server.

    Args:
        app: the application, without a lifespan unless `settings` say otherwise.
        unix: path of a socket to listen on instead.
        settings: of `uvicorn.Config`.
    """
    settings.setdefault("lifespan", "off")
    settings.setdefault("log_level", "debug")
    config = uvicorn.Config(
        app,
        ws=WebSocketProtocol,  # type: ignore[arg-type]
        http=HTTP,
        log_config=None,
        **settings,
    )
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    if unix is None:
        sock = socket.create_server((host, 0), family=family_of(host))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(unix)
    await server.startup(sockets=[sock])
    await server.on_tick(0)
    here = Site(server, sock.getsockname(), tls is not None)
    try:
        yield here
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(here.state.connections):
            connection.transport.abort()
        for task in list(here.state.tasks):
            task.cancel()
        await server.lifespan.shutdown()
        await here.idle()


async def accepted(receive: Any, send: Any, **more: Any) -> None:
    """Begin as an application that takes everybody."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that sends back what it receives."""
    await accepted(receive, send)
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def quiet(records: list[logging.LogRecord]) -> bool:
    """Whether the server logged nothing that somebody should look at."""
    # asyncio's debug mode warns of slow callbacks, which a busy machine has.
    return not [
        record
        for record in records
        if record.levelno >= logging.WARNING and record.name != "asyncio"
    ]
