"""A peer on a real socket that does by hand, and as badly as asked, what peers do.

Nothing here calls the code under test: frames and handshakes are made of bytes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from fullduplex import ClientConnection, ServerConnection, connect, serve

from ..kit.bytes import (
    CLOSE,
    PING,
    PONG,
    Received,
    accept_value,
    frame,
    read_frame,
    request,
    switching_protocols,
)

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 5.0
# Bytes that a peer that does not read lets into its system.
SMALL_BUFFER = 4096


class Peer:
    """The other end of one TCP connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""

    # HTTP

    async def read_request(self) -> Self:
        """Read a request up to the empty line."""
        self.request = await self.reader.readuntil(b"\r\n\r\n")
        return self

    @property
    def lines(self) -> list[str]:
        """The request line and the headers."""
        return self.request.decode("iso-8859-1").split("\r\n")[:-2]

    @property
    def target(self) -> str:
        return self.lines[0].split(" ")[1]

    @property
    def header_names(self) -> list[str]:
        return [line.partition(":")[0] for line in self.lines[1:]]

    def header(self, name: str) -> str | None:
        """The value of a header that is there once or not at all."""
        values = self.headers(name)
        assert len(values) < 2, values
        return values[0] if values else None

    def headers(self, name: str) -> list[str]:
        return [
            value.strip()
            for key, _, value in (line.partition(":") for line in self.lines[1:])
            if key.lower() == name.lower()
        ]

    @property
    def accept(self) -> str:
        """What ``Sec-WebSocket-Accept`` must be."""
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        return accept_value(key)

    def switching(self, *headers: str) -> bytes:
        """Write the response 101, with further headers."""
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        return switching_protocols(key, *headers)

    async def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Do the server's side; `glued` goes out in the same segment."""
        await self.read_request()
        self.write(self.switching(*headers) + glued)
        return self

    # Frames

    def write(self, *frames: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        self.writer.write(b"".join(frames))

    async def drain(self) -> None:
        await self.writer.drain()

    async def read(self) -> Received:
        """Read one frame."""
        return await read_frame(self.reader.readexactly)

    async def read_until(self, opcode: int) -> Received:
        """Read frames up to the first one of a kind."""
        while (received := await self.read()).opcode != opcode:
            pass
        return received

    async def rest(self) -> list[Received]:
        """Read all frames up to the end of TCP."""
        received = []
        try:
            while not self.reader.at_eof():
                received.append(await self.read())
        except asyncio.IncompleteReadError as exc:
            # Nothing, or a frame that was cut off.
            if exc.partial:
                raise
        except ConnectionError:
            pass
        return received

    async def gone(self) -> None:
        """Read up to the end of TCP, orderly or not."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    async def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP, as servers do."""
        received = await self.read_until(CLOSE)
        self.write(frame(CLOSE, received.payload))
        self.close()
        return received

    async def end_after_close(self) -> None:
        """Read up to the answer to our close frame and close TCP."""
        await self.read_until(CLOSE)
        self.close()

    async def echo(self) -> None:
        """Behave well: echo messages, answer pings and the close frame."""
        while True:
            received = await self.read()
            if received.opcode == PING:
                self.write(frame(PONG, received.payload))
            elif received.opcode == CLOSE:
                self.write(frame(CLOSE, received.payload))
                self.close()
                return
            elif received.opcode != PONG:
                self.write(
                    frame(
                        received.opcode,
                        received.payload,
                        fin=received.fin,
                        rsv=received.rsv,
                    )
                )
            await self.drain()

    # TCP

    def close(self) -> None:
        """Close TCP, once everything is sent."""
        self.writer.close()

    def reset(self) -> None:
        """End TCP with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Listener:
    """A listening socket; the test takes accepted connections by hand."""

    def __init__(self, server: asyncio.Server, *, secure: bool) -> None:
        self._server = server
        self._secure = secure
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []

    def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._accepted.put_nowait(peer)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return self.at("/")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "wss" if self._secure else "ws"
        return f"{scheme}://{host}:{self.port}{path}"

    async def accept(self) -> Peer:
        """Take the next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._accepted.get()

    async def serve(self, *steps: Callable[[Peer], Any]) -> None:
        """Take one connection for each step and let it do that."""
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
    listener: Listener

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener._connected(reader, writer)

    # 64 KiB is what the reader takes ahead; the test reads from there.
    limit = 1024 if small else 2**16
    if path is not None:
        server = await asyncio.start_unix_server(connected, path, ssl=ssl, limit=limit)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.bind((host, 0))
        server = await asyncio.start_server(connected, sock=sock, ssl=ssl, limit=limit)
    listener = Listener(server, secure=ssl is not None)
    try:
        yield listener
    finally:
        # What is being accepted is lost for good if the server closes meanwhile.
        await turns(4)
        server.close()
        for peer in listener.peers:
            peer.writer.transport.abort()
        await server.wait_closed()


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
            peer.writer.transport.abort()
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


async def heard(peer: Peer) -> None:
    """Wait until the library has read everything that the peer has sent."""
    peer.write(frame(PING, b"heard"))
    while (await peer.read_until(PONG)).payload != b"heard":
        pass


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
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.connect(server.sockets[0].getsockname())
        sock.setblocking(False)
        limit = 1024 if small else 2**16
        peer = Peer(*await asyncio.open_connection(sock=sock, limit=limit))
        try:
            peer.write(request())
            head = await peer.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            ws = await accepted
            yield ws, peer
        finally:
            peer.writer.transport.abort()
            if accepted.done():
                accepted.result().transport.abort()
            over.set()


class Stopwatch:
    """Seconds on the loop's clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def elapsed(self) -> float:
        return self._loop.time() - self._began


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has become true that tells nobody."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)
