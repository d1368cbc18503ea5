"""A peer on a real socket that does by hand, and as badly as asked, what peers do.

Nothing here calls the code under test: frames and handshakes are made of bytes.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import trio

from fullduplex.trio import ClientConnection, Server, ServerConnection, connect, serve

from ..kit.bytes import (
    CLOSE,
    PING,
    PONG,
    Received,
    frame,
    read_frame,
    request,
    switching_protocols,
)

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 5.0
# Bytes that a peer that does not read lets into its system.
SMALL_BUFFER = 4096

REQUEST = request()


class Peer:
    """The other end of one TCP connection."""

    def __init__(self, stream: trio.abc.Stream, sock: Any) -> None:
        self.stream = stream
        self.sock = sock
        self.request = b""
        self._rest = b""
        self._lock = trio.Lock()

    # Bytes

    @property
    def writable(self) -> bool:
        """Whether the system takes more of what we write."""
        return bool(select.select([], [self.sock], [], 0)[1])

    async def more(self) -> bool:
        """Read some bytes; returns False at the end."""
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            return False
        self._rest += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        """Read so many bytes."""
        while len(self._rest) < size:
            if not await self.more():
                raise EOFError(f"{len(self._rest)} bytes of {size}")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def write(self, *frames: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        async with self._lock:
            await self.stream.send_all(b"".join(frames))

    # HTTP

    async def read_head(self) -> bytes:
        """Read a request or a response up to the empty line."""
        while b"\r\n\r\n" not in self._rest:
            if not await self.more():
                raise EOFError(f"{self._rest!r} is no head")
        head, end, self._rest = self._rest.partition(b"\r\n\r\n")
        return head + end

    async def read_request(self) -> Self:
        self.request = await self.read_head()
        return self

    @property
    def lines(self) -> list[str]:
        """The request line and the headers."""
        return self.request.decode("iso-8859-1").split("\r\n")[:-2]

    def header(self, name: str) -> str | None:
        """The value of a header that is there once or not at all."""
        values = [
            value.strip()
            for key, _, value in (line.partition(":") for line in self.lines[1:])
            if key.lower() == name.lower()
        ]
        assert len(values) < 2, values
        return values[0] if values else None

    def switching(self, *headers: str) -> bytes:
        """Write the response 101, with further headers."""
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        return switching_protocols(key, *headers)

    async def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Do the server's side; `glued` goes out in the same segment."""
        await self.read_request()
        await self.write(self.switching(*headers) + glued)
        return self

    # Frames

    async def read(self) -> Received:
        """Read one frame."""
        return await read_frame(self.take)

    async def read_until(self, opcode: int) -> Received:
        """Read frames up to the first one of a kind."""
        while (received := await self.read()).opcode != opcode:
            pass
        return received

    async def rest(self) -> list[Received]:
        """Read all frames up to the end of TCP; none may be cut off."""
        received = []
        while self._rest or await self.more():
            received.append(await self.read())
        return received

    async def gone(self) -> None:
        """Read up to the end of TCP, orderly or not."""
        while await self.more():
            pass

    async def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP, as servers do."""
        received = await self.read_until(CLOSE)
        await self.write(frame(CLOSE, received.payload))
        await self.close()
        return received

    async def echo(self) -> None:
        """Behave well: echo messages, answer pings and the close frame."""
        while True:
            received = await self.read()
            if received.opcode == PING:
                await self.write(frame(PONG, received.payload))
            elif received.opcode == CLOSE:
                await self.write(frame(CLOSE, received.payload))
                await self.close()
                return
            elif received.opcode != PONG:
                await self.write(
                    frame(received.opcode, received.payload, fin=received.fin)
                )

    # TCP

    async def close(self) -> None:
        """Close TCP, once everything is sent."""
        await self.stream.aclose()

    async def reset(self) -> None:
        """End TCP with a reset."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await trio.aclose_forcefully(self.stream)


class Listener:
    """A listening socket; the test takes accepted connections by hand."""

    def __init__(
        self, listener: trio.SocketListener, ssl: ssl.SSLContext | None
    ) -> None:
        self._listener = listener
        self._ssl = ssl
        self.peers: list[Peer] = []

    @property
    def port(self) -> int:
        port: int = self._listener.socket.getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return self.at("/")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "ws" if self._ssl is None else "wss"
        return f"{scheme}://{host}:{self.port}{path}"

    async def accept(self) -> Peer:
        """Take the next connection."""
        with trio.fail_after(PATIENCE):
            plain = await self._listener.accept()
        stream: trio.abc.Stream = plain
        if self._ssl is not None:
            stream = trio.SSLStream(plain, self._ssl, server_side=True)
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
            await trio.aclose_forcefully(peer.stream)
        sock.close()


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
    sock = trio.socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    await sock.connect(server.sockets[0].getsockname())
    stream = trio.SocketStream(sock)
    peer = Peer(stream, sock)
    try:
        await peer.write(REQUEST if request is None else request)
        if request is None:
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 101 "), head
        yield peer
    finally:
        await trio.aclose_forcefully(stream)


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


async def heard(peer: Peer, mask: bytes | None = None) -> None:
    """Wait until the library has read everything that the peer has sent."""
    await peer.write(frame(PING, b"heard", mask=mask))
    while (await peer.read_until(PONG)).payload != b"heard":
        pass


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has become true that tells nobody."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.001)
