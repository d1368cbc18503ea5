"""A peer on a blocking socket that does by hand, and as badly as asked, what peers do.

Nothing here calls the code under test but `opened` and `served`: frames and
handshakes are made of bytes.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from fullduplex.sync import ClientConnection, Server, connect, serve

from ..kit.bytes import (
    CLOSE,
    PING,
    PONG,
    Received,
    driven,
    frame,
    read_frame,
    request,
    switching_protocols,
)

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 8.0
# Bytes that a peer that does not read lets into its system.
SMALL_BUFFER = 4096


class Peer:
    """The other end of one TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.request = b""
        self._rest = bytearray()

    async def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(bytes(self._rest[:64]))
            self._rest += data
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    # HTTP

    def read_request(self) -> Self:
        """Read a request, or a response, up to the empty line."""
        while b"\r\n\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(bytes(self._rest[:64]))
            self._rest += data
        request, self._rest = self._rest.split(b"\r\n\r\n", 1)
        self.request = bytes(request)
        return self

    @property
    def lines(self) -> list[str]:
        """The first line and the headers."""
        return self.request.decode("iso-8859-1").split("\r\n")

    def header(self, name: str) -> str | None:
        for line in self.lines[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def switching(self, *headers: str) -> bytes:
        """Write the response 101, with further headers."""
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        return switching_protocols(key, *headers)

    def handshake(self, *headers: str, glued: bytes = b"") -> Self:
        """Do the server's side; `glued` goes out in the same segment."""
        self.read_request()
        self.write(self.switching(*headers) + glued)
        return self

    def ask(self, path: str = "/", *headers: str) -> Self:
        """Do the client's side up to the response."""
        self.write(request(f"GET {path} HTTP/1.1", *headers))
        return self.read_request()

    # Frames

    def write(self, *frames: bytes) -> None:
        self.sock.sendall(b"".join(frames))

    def read(self) -> Received:
        """Read one frame."""
        return driven(read_frame(self._take))

    def read_until(self, opcode: int) -> Received:
        while (received := self.read()).opcode != opcode:
            pass
        return received

    def gone(self) -> bytes:
        """Read up to the end of TCP, orderly or not."""
        data = bytes(self._rest)
        try:
            while piece := self.sock.recv(65536):
                data += piece
        except ConnectionError:
            pass
        return data

    def answer_close(self) -> Received:
        """Read up to the close frame, echo it and close TCP, as servers do."""
        received = self.read_until(CLOSE)
        self.write(frame(CLOSE, received.payload))
        self.close()
        return received

    def end_after_close(self) -> Received:
        """Read up to the answer to our close frame and close TCP."""
        received = self.read_until(CLOSE)
        self.close()
        return received

    def echo(self) -> None:
        """Behave well: echo messages, answer pings and the close frame."""
        while True:
            received = self.read()
            if received.opcode == PING:
                self.write(frame(PONG, received.payload))
            elif received.opcode == CLOSE:
                self.write(frame(CLOSE, received.payload))
                self.close()
                return
            elif received.opcode != PONG:
                self.write(frame(received.opcode, received.payload, fin=received.fin))

    # TCP

    def close(self) -> None:
        """Close TCP in order, also for whoever reads the socket."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self) -> None:
        """End TCP with a reset."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.sock.close()


class Job:
    """A call in a thread of its own, as `concurrent.futures` has them."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwds: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._result = call(*args, **kwds)
            except BaseException as exc:
                self._error = exc

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> Any:
        """Wait for the end; raise what the call raised."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "still running"
        if self._error is not None:
            raise self._error
        return self._result


job = Job


class Listener:
    """A listening socket; the test takes accepted connections by hand."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext | None, small: bool
    ) -> None:
        self.sock = sock
        self._context = context
        self._small = small
        self.peers: list[Peer] = []

    @property
    def port(self) -> int:
        port: int = self.sock.getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        return self.at("/")

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "ws" if self._context is None else "wss"
        return f"{scheme}://{host}:{self.port}{path}"

    def accept(self) -> Peer:
        """Take the next connection."""
        sock, _ = self.sock.accept()
        sock.settimeout(PATIENCE)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_side=True)
        peer = Peer(sock)
        self.peers.append(peer)
        return peer


@contextmanager
def listening(
    *,
    context: ssl.SSLContext | None = None,
    path: str | None = None,
    small: bool = False,
) -> Iterator[Listener]:
    """
    Listen on loopback, or on a Unix socket.

    Args:
        small: accepted connections take few bytes that the peer does not read.
    """
    if path is None:
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.bind(("127.0.0.1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
    sock.listen(600)
    sock.settimeout(PATIENCE)
    listener = Listener(sock, context, small)
    try:
        yield listener
    finally:
        sock.close()
        for peer in listener.peers:
            peer.close()


@contextmanager
def opened(
    *headers: str,
    context: ssl.SSLContext | None = None,
    small: bool = False,
    glued: bytes = b"",
    **kwds: Any,
) -> Iterator[tuple[ClientConnection, Peer]]:
    """Connect to a peer; afterwards both ends are gone."""
    kwds.setdefault("compression", "deflate" if headers else None)
    with listening(context=context, small=small) as listener:
        accepted = job(lambda: listener.accept().handshake(*headers, glued=glued))
        if small:
            # The client's side must not take much either.
            sock = socket.create_connection(("127.0.0.1", listener.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            kwds["sock"] = sock
        ws = connect(listener.uri, **kwds)
        peer = accepted.result()
        try:
            yield ws, peer
        finally:
            peer.close()
            ws.close()


@contextmanager
def served(handler: Callable[..., Any], **kwds: Any) -> Iterator[tuple[Server, str]]:
    """Serve on loopback; afterwards the server is gone."""
    scheme = "ws" if kwds.get("ssl") is None else "wss"
    server = serve(handler, "127.0.0.1", 0, **kwds)
    running = job(server.serve_forever)
    try:
        yield server, f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"
    finally:
        server.shutdown(drain=PATIENCE)
        running.result()


def until(condition: Callable[[], Any], what: str = "it") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.002)


class Stopwatch:
    """Seconds that a block takes."""

    seconds = 0.0

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._started
