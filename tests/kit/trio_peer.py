"""Peers in trio's event loop, and a way to wait there."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from .clock import PATIENCE
from .peer import HEAD_END, SMALL_BUFFER, AsyncPeer, reset_on_close


class Peer(AsyncPeer):
    """
    One end of a connection; several tasks may write.

    Args:
        sock: below the stream; None if the stream has none.
    """

    def __init__(
        self, stream: trio.abc.Stream, sock: Any, *, masks: bool = False
    ) -> None:
        super().__init__(masks=masks)
        self.stream = stream
        self.sock = sock
        self._buffer = b""
        self._lock = trio.Lock()

    @property
    def writable(self) -> bool:
        """Whether the system accepts more bytes to send."""
        return bool(select.select([], [self.sock], [], 0)[1])

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            return False
        self._buffer += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._more():
                raise EOFError(self._buffer)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def read_some(self) -> bytes:
        if not self._buffer:
            await self._more()
        data, self._buffer = self._buffer, b""
        return data

    async def read_head(self) -> bytes:
        while HEAD_END not in self._buffer:
            if not await self._more():
                raise EOFError(self._buffer)
        head, end, self._buffer = self._buffer.partition(HEAD_END)
        return head + end

    async def write(self, *data: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        async with self._lock:
            await self.stream.send_all(b"".join(data))

    async def _write(self, data: bytes) -> None:
        await self.write(data)

    async def close(self) -> None:
        """Close TCP, once everything is sent."""
        await self.stream.aclose()

    async def _close(self) -> None:
        await self.close()

    async def abort(self) -> None:
        """Close TCP at once."""
        await trio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """End TCP with a reset."""
        reset_on_close(self.sock)
        await self.abort()


class Listener:
    """A listening socket; the test accepts connections itself."""

    def __init__(
        self, listener: trio.SocketListener, context: ssl.SSLContext | None
    ) -> None:
        self._listener = listener
        self._context = context
        self.peers: list[Peer] = []

    @property
    def port(self) -> int:
        port: int = self._listener.socket.getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return self.at("/")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "ws" if self._context is None else "wss"
        return f"{scheme}://{host}:{self.port}{path}"

    async def accept(self) -> Peer:
        """Accept the next connection."""
        with trio.fail_after(PATIENCE):
            plain = await self._listener.accept()
        stream: trio.abc.Stream = plain
        if self._context is not None:
            stream = trio.SSLStream(plain, self._context, server_side=True)
        peer = Peer(stream, plain.socket)
        self.peers.append(peer)
        return peer


@asynccontextmanager
async def listening(
    *, ssl: ssl.SSLContext | None = None, path: str | None = None, small: bool = False
) -> AsyncIterator[Listener]:
    """
    Listen on loopback, or on a Unix socket.

    Args:
        small: accepted connections take few bytes that the peer does not read.
    """
    if path is None:
        sock = trio.socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        await sock.bind(("127.0.0.1", 0))
    else:
        sock = trio.socket.socket(socket.AF_UNIX)
        await sock.bind(path)
    sock.listen()
    listener = Listener(trio.SocketListener(sock), ssl)
    try:
        yield listener
    finally:
        for peer in listener.peers:
            await peer.abort()
        sock.close()


@asynccontextmanager
async def connected(address: Any, *, small: bool = False) -> AsyncIterator[Peer]:
    """
    Connect over TCP, as a client.

    Args:
        small: the system accepts few bytes that the peer does not read.
    """
    sock = trio.socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    await sock.connect(address)
    peer = Peer(trio.SocketStream(sock), sock, masks=True)
    try:
        yield peer
    finally:
        await peer.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that notifies nobody."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.001)
