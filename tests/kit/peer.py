"""The other end of a connection, with control over every byte.

``Peer`` blocks, for threads and for the blocking face; ``AsyncPeer`` is the base of
those that run in an event loop.  Nothing here calls the code under test.
"""

from __future__ import annotations

import abc
import select
import socket
import ssl
import struct
from typing import Any, Self

from .bytes import (
    CLOSE,
    MASK,
    PING,
    PONG,
    Received,
    accept_value,
    driven,
    frame,
    read_frame,
    request,
    switching_protocols,
)
from .clock import PATIENCE
from .tls import TLSSocket

# Bytes that the system accepts for a peer that does not read.
SMALL_BUFFER = 4096
HEAD_END = b"\r\n\r\n"


class Script:
    """
    Base of the peers: their state, and the frames that they send.

    Args:
        masks: whether its frames are masked, as those of clients are.
    """

    def __init__(self, *, masks: bool = False) -> None:
        self.masks = masks
        self.request = b""

    # HTTP

    @property
    def lines(self) -> list[str]:
        """The first line and the headers of what was read last."""
        return self.request.decode("iso-8859-1").split("\r\n")[:-2]

    @property
    def target(self) -> str:
        return self.lines[0].split(" ")[1]

    @property
    def header_names(self) -> list[str]:
        return [line.partition(":")[0] for line in self.lines[1:]]

    def headers(self, name: str) -> list[str]:
        return [
            value.strip()
            for key, _, value in (line.partition(":") for line in self.lines[1:])
            if key.lower() == name.lower()
        ]

    def header(self, name: str) -> str | None:
        """Return a header that occurs at most once."""
        values = self.headers(name)
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def key(self) -> str:
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        return key

    @property
    def accept(self) -> str:
        """The right value of ``Sec-WebSocket-Accept``."""
        return accept_value(self.key)

    def switching(self, *headers: str) -> bytes:
        """Build the response 101, with further headers."""
        return switching_protocols(self.key, *headers)

    # Frames

    def frame(
        self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0
    ) -> bytes:
        """Build a frame as this side must."""
        mask = MASK if self.masks else None
        return frame(opcode, payload, fin=fin, rsv=rsv, mask=mask)

    def reply(self, received: Received) -> bytes:
        """Build what an echo server answers to a frame."""
        if received.opcode == PONG:
            return b""
        opcode = PONG if received.opcode == PING else received.opcode
        return self.frame(opcode, received.payload, fin=received.fin, rsv=received.rsv)


class Peer(Script):
    """
    One end of a TCP connection, on a blocking socket.

    Args:
        sock: connected; a socket, or an object with these methods of one.
    """

    def __init__(self, sock: Any, *, masks: bool = False) -> None:
        super().__init__(masks=masks)
        self.sock = sock
        self._buffer = b""
        sock.settimeout(PATIENCE)

    # Bytes

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def write(self, *data: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        self.sock.sendall(b"".join(data))

    def read_some(self, size: int) -> int:
        """Read at most `size` bytes; return how many there were."""
        return len(self.sock.recv(size))

    def drain(self) -> int:
        """Read up to the end of TCP, which must be orderly; return how many bytes."""
        size = 0
        while data := self.sock.recv(2**20):
            size += len(data)
        return size

    def gone(self) -> bytes:
        """Read up to the end of TCP, orderly or not."""
        data = bytearray(self._buffer)
        try:
            while piece := self.sock.recv(65536):
                data += piece
        except ConnectionError:
            pass
        return bytes(data)

    # HTTP

    def read_head(self) -> bytes:
        """Read a request or a response up to the empty line."""
        while HEAD_END not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        head, end, self._buffer = self._buffer.partition(HEAD_END)
        return head + end

    def read_request(self) -> Self:
        self.request = self.read_head()
        return self

    def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Accept a handshake; `glued` goes out in the same segment."""
        self.read_request()
        self.write(self.switching(*headers) + glued)
        return self

    def ask(self, path: str = "/", *headers: str) -> Self:
        """Send a request for a WebSocket connection and read the response."""
        self.write(request(f"GET {path} HTTP/1.1", *headers, Host="localhost"))
        return self.read_request()

    # Frames

    def send(
        self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0
    ) -> None:
        """Send one frame."""
        self.write(self.frame(opcode, payload, fin=fin, rsv=rsv))

    def send_close(self, code: int, reason: str = "") -> None:
        self.send(CLOSE, code.to_bytes(2, "big") + reason.encode())

    def read(self) -> Received:
        """Read one frame.  EOFError at the end of TCP."""
        return driven(read_frame(self._take))

    def read_until(self, opcode: int) -> Received:
        """Read frames up to the first one of a kind."""
        while (received := self.read()).opcode != opcode:
            pass
        return received

    def rest(self) -> list[Received]:
        """Read all frames up to the end of TCP, orderly or not; none may be cut off."""
        received = []
        try:
            while True:
                received.append(self.read())
        except ConnectionError:
            return received
        except EOFError as exc:
            if exc.args[0]:
                raise  # the last frame is cut off
            return received

    def read_and_close(self) -> Received:
        """Read one frame and close TCP."""
        received = self.read()
        self.close()
        return received

    def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP, as servers do."""
        received = self.read_until(CLOSE)
        self.write(self.reply(received))
        self.close()
        return received

    def end_after_close(self) -> Received:
        """Read up to the answer to our close frame and close TCP."""
        received = self.read_until(CLOSE)
        self.close()
        return received

    def echo(self) -> None:
        """Echo messages, answer pings and the close frame."""
        while (received := self.read()).opcode != CLOSE:
            self.write(self.reply(received))
        self.write(self.reply(received))
        self.close()

    # TCP

    @property
    def writable(self) -> bool:
        """Whether the system accepts more bytes to send."""
        return bool(select.select([], [self.sock], [], 0)[1])

    def close(self) -> None:
        """Close TCP."""
        self.sock.close()

    def hang_up(self) -> None:
        """Close TCP; a thread that reads the socket sees the end."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def half_close(self) -> None:
        """Close our direction of TCP, and of TLS."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End TCP with a reset, unless it was closed."""
        if self.sock.fileno() >= 0:
            reset_on_close(self.sock)
            self.sock.close()


class Listener:
    """
    A listening socket; the test accepts connections itself.

    Args:
        small: accepted connections take few bytes that the peer does not read.
        context: for TLS.
        path: of a Unix socket; TCP on loopback without one.
    """

    def __init__(
        self,
        *,
        small: bool = False,
        context: ssl.SSLContext | None = None,
        path: str | None = None,
    ) -> None:
        self._context = context
        self.sock = socket.socket() if path is None else socket.socket(socket.AF_UNIX)
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.sock.bind(("127.0.0.1", 0) if path is None else path)
        self.sock.listen(600)
        self.sock.settimeout(PATIENCE)
        self.port = 0 if path is not None else self.sock.getsockname()[1]
        self.peers: list[Peer] = []

    @property
    def uri(self) -> str:
        return self.at("/", "127.0.0.1" if self._context is None else "localhost")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "ws" if self._context is None else "wss"
        return f"{scheme}://{host}:{self.port}{path}"

    def accept(self) -> Peer:
        """Accept the next connection, with the handshake of TLS."""
        sock, _ = self.sock.accept()
        peer = Peer(_prepared(sock, self._context, server_side=True))
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        self.sock.close()
        for peer in self.peers:
            peer.hang_up()


def dial(
    address: tuple[str, int],
    *,
    small: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Peer:
    """
    Connect to a server of the library, without a handshake.

    Args:
        small: the peer takes few bytes that it does not read.
        tls: to speak TLS.
    """
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    return Peer(_prepared(sock, tls, server_side=False), masks=True)


def client(
    address: tuple[str, int],
    *,
    small: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Peer:
    """`dial`, then do the client's handshake."""
    peer = dial(address, small=small, tls=tls).ask("/path?query")
    assert peer.lines[0].startswith("HTTP/1.1 101 "), peer.lines
    return peer


def _prepared(
    sock: socket.socket, context: ssl.SSLContext | None, *, server_side: bool
) -> Any:
    sock.settimeout(PATIENCE)
    if sock.family != socket.AF_UNIX:
        # Output leaves at once, also right before a reset.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return sock
    try:
        return TLSSocket(sock, context, server_side=server_side)
    except BaseException:
        sock.close()
        raise


def reset_on_close(sock: Any) -> None:
    """Let the next `close` send a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class AsyncPeer(Script, abc.ABC):
    """One end of a TCP connection, in an event loop."""

    # Bytes

    @abc.abstractmethod
    async def take(self, size: int) -> bytes:
        """Read so many bytes; EOFError, with those that came, if there are fewer."""

    @abc.abstractmethod
    async def read_some(self) -> bytes:
        """Read some bytes; none at the end of TCP, orderly or not."""

    @abc.abstractmethod
    async def read_head(self) -> bytes:
        """Read a request or a response up to the empty line."""

    @abc.abstractmethod
    async def _write(self, data: bytes) -> None:
        """Send bytes, all in one segment if they are few."""

    @abc.abstractmethod
    async def _close(self) -> None:
        """Close TCP, once everything is sent."""

    async def drain(self) -> None:
        """Wait until bytes are sent, where writing does not wait."""

    async def gone(self) -> bytes:
        """Read up to the end of TCP, orderly or not."""
        data = bytearray()
        while piece := await self.read_some():
            data += piece
        return bytes(data)

    # HTTP

    async def read_request(self) -> Self:
        self.request = await self.read_head()
        return self

    async def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Accept a handshake; `glued` goes out in the same segment."""
        await self.read_request()
        await self._write(self.switching(*headers) + glued)
        return self

    # Frames

    async def read(self) -> Received:
        """Read one frame.  EOFError at the end of TCP."""
        return await read_frame(self.take)

    async def read_until(self, opcode: int) -> Received:
        """Read frames up to the first one of a kind."""
        while (received := await self.read()).opcode != opcode:
            pass
        return received

    async def rest(self) -> list[Received]:
        """Read all frames up to the end of TCP, orderly or not; none may be cut off."""
        received = []
        try:
            while True:
                received.append(await self.read())
        except ConnectionError:
            return received
        except EOFError as exc:
            if exc.args[0]:
                raise  # the last frame is cut off
            return received

    async def heard(self) -> None:
        """Wait until the library has read everything that the peer has sent."""
        await self._write(self.frame(PING, b"heard"))
        while (await self.read_until(PONG)).payload != b"heard":
            pass

    async def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP, as servers do."""
        received = await self.read_until(CLOSE)
        await self._write(self.reply(received))
        await self._close()
        return received

    async def end_after_close(self) -> Received:
        """Read up to the answer to our close frame and close TCP."""
        received = await self.read_until(CLOSE)
        await self._close()
        return received

    async def echo(self) -> None:
        """Echo messages, answer pings and the close frame."""
        while (received := await self.read()).opcode != CLOSE:
            await self._write(self.reply(received))
            await self.drain()
        await self._write(self.reply(received))
        await self._close()
