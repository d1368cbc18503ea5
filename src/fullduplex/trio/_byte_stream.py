"""Byte streams as the driver uses them: a socket of our own, or any trio stream.

A plain socket is read straight into the reader's memory, and written in the task
that sends.  Output to a trio stream, such as TLS, is written by the driver's own task,
for only trio knows when it is done.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import trio

# Size of a read, and of a write, by way of trio's streams (bytes).  Written in pieces,
# output that moves is seen to move.
PIECE = 65536


class ByteStream(Protocol):
    """
    One TCP connection, or what stands for it.

    Attributes:
        immediate: whether `send_now` writes; if not, another task has to run first.
        sock: the socket; None if there is none.
        tls: object with the methods of `ssl.SSLObject`; None without TLS.
    """

    immediate: bool
    sock: Any
    tls: Any

    async def receive(self, get_buffer: Callable[[int], Any]) -> int:
        """
        Wait for bytes and write them where `get_buffer` says.

        Returns:
            Number of bytes; 0 at the end of input.

        Raises:
            OSError: the connection broke.
        """
        ...

    def receive_now(self, get_buffer: Callable[[int], Any]) -> int | None:
        """
        Read what has arrived, as `receive`; returns None if there is nothing.

        Raises:
            OSError: the connection broke.
        """
        ...

    async def send(self, data: memoryview) -> int:
        """
        Wait until some bytes are taken; returns how many.

        Raises:
            OSError: the connection broke.
        """
        ...

    def send_now(self, data: bytes) -> int:
        """
        Write what is taken at once; returns how many bytes that is.

        Raises:
            OSError: the connection broke.
        """
        ...

    def half_close(self) -> bool:
        """Close our direction; returns whether there is such a thing."""
        ...

    async def aclose(self) -> None:
        """Close both directions, forcefully if cancelled."""
        ...

    def address(self, name: str) -> Any:
        """Return what ``getsockname`` or ``getpeername`` returned; or None."""
        ...


class SocketPipe:
    """
    A socket that nobody else uses.

    Args:
        stream: over the socket; of no use any more.
    """

    immediate = True

    def __init__(self, stream: trio.SocketStream) -> None:
        given = stream.socket
        kind = given.family, given.type, given.proto
        self._sock = socket.socket(*kind, fileno=given.detach())
        self._sock.setblocking(False)
        self.sock: Any = self._sock
        self.tls: Any = None

    async def receive(self, get_buffer: Callable[[int], Any]) -> int:
        sock = self._sock
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                return sock.recv_into(get_buffer(-1))
            except (BlockingIOError, InterruptedError):
                pass

    def receive_now(self, get_buffer: Callable[[int], Any]) -> int | None:
        try:
            return self._sock.recv_into(get_buffer(-1))
        except (BlockingIOError, InterruptedError):
            return None

    async def send(self, data: memoryview) -> int:
        while True:
            await trio.lowlevel.wait_writable(self._sock)
            try:
                return self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                pass

    def send_now(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def half_close(self) -> bool:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False  # the peer is gone already
        return True

    async def aclose(self) -> None:
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    def address(self, name: str) -> Any:
        return _address(self._sock, name)


class StreamPipe:
    """
    A stream of trio's, or one that behaves alike.

    Receiving from it must be safe to cancel, as it is with those of trio.
    """

    immediate = False

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._rest: memoryview | None = None
        inner: Any = stream
        while (below := getattr(inner, "transport_stream", None)) is not None:
            inner = below
        self.sock: Any = getattr(inner, "socket", None)
        self.tls: Any = stream if isinstance(stream, trio.SSLStream) else None

    async def receive(self, get_buffer: Callable[[int], Any]) -> int:
        rest, self._rest = self._rest, None
        if rest is None:
            try:
                rest = memoryview(await self._stream.receive_some(PIECE))
            except trio.BrokenResourceError as exc:
                if isinstance(exc.__cause__, ssl.SSLEOFError):
                    return 0  # TCP ended without a word of TLS; peers do that
                raise os_error(exc) from exc
        room = get_buffer(-1)
        size = min(len(room), len(rest))
        room[:size] = rest[:size]
        if size < len(rest):
            self._rest = rest[size:]
        return size

    def receive_now(self, get_buffer: Callable[[int], Any]) -> int | None:
        return None  # a stream cannot be asked without waiting

    async def send(self, data: memoryview) -> int:
        piece = data[:PIECE]
        try:
            await self._stream.send_all(piece)
        except trio.BrokenResourceError as exc:
            raise os_error(exc) from exc
        return len(piece)

    def send_now(self, data: bytes) -> int:
        return 0

    def half_close(self) -> bool:
        return False

    async def aclose(self) -> None:
        await self._stream.aclose()

    def address(self, name: str) -> Any:
        return None if self.sock is None else _address(self.sock, name)


def make_pipe(stream: trio.abc.Stream) -> ByteStream:
    """Take over a stream."""
    if isinstance(stream, trio.SocketStream):
        return SocketPipe(stream)
    return StreamPipe(stream)


async def receive_head(pipe: ByteStream, size: int = 16384) -> bytes:
    """Wait for bytes of a handshake; returns none at the end of input."""
    memory = bytearray(size)
    view = memoryview(memory)
    return bytes(view[: await pipe.receive(lambda _: view)])


async def discard(pipe: ByteStream) -> None:
    """Close a pipe now, whatever waits to be sent."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await pipe.aclose()


async def send_all(pipe: ByteStream, data: bytes) -> None:
    """Send all bytes of a handshake; cancelled, it leaves the pipe of no use."""
    view = memoryview(data)[pipe.send_now(data) :]
    while view:
        view = view[await pipe.send(view) :]


def os_error(exc: trio.BrokenResourceError) -> OSError:
    """Return why a stream broke, as Python's own exception."""
    cause = exc.__cause__
    if isinstance(cause, OSError):
        return cause
    return ConnectionError(str(cause or exc) or "the stream broke")


def _address(sock: Any, name: str) -> Any:
    try:
        return getattr(sock, f"get{name}")()
    except OSError:
        return None  # it is closed, or the peer is gone
