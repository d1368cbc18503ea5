"""A peer on a blocking socket that does by hand, and as badly as asked, what peers do.

Frames and handshakes are made of bytes; nothing here calls the code under test.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from typing import Any, Self

from ..kit.bytes import (
    CLOSE,
    MASK,
    Received,
    driven,
    frame,
    read_frame,
    request,
    switching_protocols,
)
from ..kit.tls import TLSSocket

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 5.0
# Bytes that a peer that does not read lets into its system.
SMALL_BUFFER = 4096


class Peer:
    """
    The other end of one TCP connection.

    Args:
        masks: whether its frames are masked, as those of clients are.
    """

    def __init__(self, sock: Any, *, masks: bool) -> None:
        self.sock = sock
        self.masks = masks
        self.request = b""
        self._buffer = b""
        sock.settimeout(PATIENCE)

    # HTTP

    def read_head(self) -> bytes:
        """Read up to the empty line."""
        while b"\r\n\r\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def header(self, name: str) -> str | None:
        """A header of the request."""
        for line in self.request.decode("iso-8859-1").split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Do the server's side; `glued` goes out in the same segment."""
        self.request = self.read_head()
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        self.send(switching_protocols(key, *headers) + glued)
        return self

    # Frames

    def frame(
        self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0
    ) -> bytes:
        """Make a frame as this side must."""
        mask = MASK if self.masks else None
        return frame(opcode, payload, fin=fin, rsv=rsv, mask=mask)

    def send(self, *data: bytes) -> None:
        """Send bytes, all in one segment if they are few."""
        self.sock.sendall(b"".join(data))

    def write(
        self,
        opcode: int,
        payload: bytes | str = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
    ) -> None:
        """Send one frame."""
        self.send(self.frame(opcode, payload, fin=fin, rsv=rsv))

    def write_close(self, code: int, reason: str = "") -> None:
        self.write(CLOSE, code.to_bytes(2, "big") + reason.encode())

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read(self) -> Received:
        """Read one frame.  EOFError at the end of TCP."""
        return driven(read_frame(self._take))

    def read_until(self, opcode: int) -> Received:
        """Read frames up to the first one of a kind."""
        while (received := self.read()).opcode != opcode:
            pass
        return received

    def rest(self) -> list[Received]:
        """Read all frames up to the end of TCP."""
        received = []
        try:
            while True:
                received.append(self.read())
        except (EOFError, ConnectionError):
            return received

    def gone(self) -> None:
        """Read up to the end of TCP, orderly or not."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass

    def drain(self) -> int:
        """Read up to the end of TCP, which is orderly; returns how many bytes."""
        size = 0
        while data := self.sock.recv(2**20):
            size += len(data)
        return size

    def take(self, size: int) -> int:
        """Read at most so many bytes; returns how many there were."""
        return len(self.sock.recv(size))

    def read_and_close(self) -> Received:
        """Read one frame and close TCP."""
        received = self.read()
        self.close()
        return received

    def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP."""
        received = self.read_until(CLOSE)
        self.write(CLOSE, received.payload)
        self.close()
        return received

    # TCP

    @property
    def writable(self) -> bool:
        """Whether the system takes more of what we write."""
        return bool(select.select([], [self.sock], [], 0)[1])

    def close(self) -> None:
        """Close TCP."""
        self.sock.close()

    def half_close(self) -> None:
        """Close our direction of TCP."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End TCP with a reset, unless it was closed."""
        if self.sock.fileno() < 0:
            return
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.sock.close()


class Listener:
    """
    A listening socket; the test takes accepted connections by hand.

    Args:
        small: accepted connections take few bytes that the peer does not read.
        context: for TLS.
    """

    def __init__(
        self, *, small: bool = False, context: ssl.SSLContext | None = None
    ) -> None:
        self._context = context
        self._sock = socket.socket()
        if small:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen()
        self._sock.settimeout(PATIENCE)
        self.port: int = self._sock.getsockname()[1]
        self._peers: list[Peer] = []

    @property
    def uri(self) -> str:
        scheme, host = ("wss", "localhost") if self._context else ("ws", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/"

    def accept(self) -> Peer:
        """Take the next connection."""
        sock, _ = self._sock.accept()
        # What is sent is sent, also right before a reset.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream: Any = sock
        if self._context is not None:
            sock.settimeout(PATIENCE)
            stream = TLSSocket(sock, self._context, server_side=True)
        peer = Peer(stream, masks=False)
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        self._sock.close()
        for peer in self._peers:
            peer.sock.close()


def client(
    address: tuple[str, int],
    *,
    small: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Peer:
    """Connect to a server of the library and do the client's handshake."""
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream: Any = sock
    if tls is not None:
        stream = TLSSocket(sock, tls, server_side=False)
    peer = Peer(stream, masks=True)
    peer.send(request("GET /path?query HTTP/1.1", Host="localhost"))
    head = peer.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return peer
