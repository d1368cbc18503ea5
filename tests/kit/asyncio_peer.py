"""Peers in asyncio's event loop, and ways to wait there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from . import clock
from .clock import PATIENCE
from .peer import HEAD_END, SMALL_BUFFER, AsyncPeer, reset_on_close


class Peer(AsyncPeer):
    """One end of a TCP connection; writing does not wait."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        masks: bool = False,
    ) -> None:
        super().__init__(masks=masks)
        self.reader = reader
        self.writer = writer

    async def take(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as exc:
            raise EOFError(exc.partial) from exc

    async def read_some(self) -> bytes:
        try:
            return await self.reader.read(65536)
        except ConnectionError:
            return b""

    async def read_head(self) -> bytes:
        return await self.reader.readuntil(HEAD_END)

    def write(self, *data: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        self.writer.write(b"".join(data))

    def send(self, opcode: int, payload: bytes | str = b"", **options: Any) -> None:
        """Send one frame."""
        self.write(self.frame(opcode, payload, **options))

    async def _write(self, data: bytes) -> None:
        self.write(data)

    async def drain(self) -> None:
        await self.writer.drain()

    def close(self) -> None:
        """Close TCP, once everything is sent."""
        self.writer.close()

    async def _close(self) -> None:
        self.close()

    def abort(self) -> None:
        """Close TCP at once; what is not sent is lost."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """End TCP with a reset."""
        reset_on_close(self.writer.get_extra_info("socket"))
        self.abort()


async def connected(
    address: Any,
    *,
    small: bool = False,
    ssl: ssl.SSLContext | None = None,
    kind: Callable[..., Any] = Peer,
) -> Any:
    """
    Connect over TCP, as a client.

    Args:
        small: the system accepts few bytes that the peer does not read.
        kind: class of the peer.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family)
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        reader, writer = await asyncio.open_connection(
            sock=sock,
            limit=read_ahead(small),
            ssl=ssl,
            server_hostname="localhost" if ssl else None,
        )
    except BaseException:
        sock.close()
        raise
    return kind(reader, writer, masks=True)


def read_ahead(small: bool) -> int:
    """Bytes that a stream reads before a test asks for them."""
    return 1024 if small else 2**16


class Listener:
    """A listening socket; the test accepts connections itself."""

    def __init__(self, *, secure: bool) -> None:
        self.server: asyncio.Server
        self._secure = secure
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []

    def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._accepted.put_nowait(peer)

    @property
    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return self.at("/")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "wss" if self._secure else "ws"
        return f"{scheme}://{host}:{self.port}{path}"

    async def accept(self) -> Peer:
        """Accept the next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._accepted.get()

    async def serve(self, *steps: Callable[[Peer], Any]) -> None:
        """Accept one connection for each step and let it do that."""
        for step in steps:
            await step(await self.accept())


@asynccontextmanager
async def listening(
    *,
    ssl: ssl.SSLContext | None = None,
    path: str | None = None,
    small: bool = False,
    host: str = "127.0.0.1",
) -> AsyncIterator[Listener]:
    """
    Listen on loopback, or on a Unix socket.

    Args:
        small: accepted connections take few bytes that the peer does not read.
    """
    listener = Listener(secure=ssl is not None)
    options: dict[str, Any] = {"ssl": ssl, "limit": read_ahead(small)}
    if path is not None:
        server = await asyncio.start_unix_server(listener.connected, path, **options)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.bind((host, 0))
        server = await asyncio.start_server(listener.connected, sock=sock, **options)
    listener.server = server
    try:
        yield listener
    finally:
        # A connection that is being accepted is lost if the server closes meanwhile.
        await turns(4)
        server.close()
        for peer in listener.peers:
            peer.abort()
        await server.wait_closed()


class Stopwatch(clock.Stopwatch):
    """Seconds on the loop's clock."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop().time)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that notifies nobody."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def turns(count: int) -> None:
    """Let the event loop run that many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)
