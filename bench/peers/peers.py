"""The raw peers: servers that cost next to nothing, so that clients show their cost.

``python -m bench.peers.peers JOB`` listens on a free port of the loopback interface,
prints the port and serves one measurement, on plain blocking sockets and with bytes
built beforehand.  The first messages (the warm-up) are parsed, unmasked and compared;
after that the peer only counts bytes, and looks again at the last message.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import ssl
import struct
import sys
from dataclasses import dataclass

from tests.kit.bytes import CLOSE, TEXT, accept_value, xor

from ..growth import from_job
from ..rows import messages
from ..rows.messages import LAST, message, server_frame
from ..rows.rows import Row
from . import load


class Mismatch(Exception):
    """The client sent something else than the row says."""


@dataclass(frozen=True)
class Frame:
    first: int  # FIN, RSV1 to RSV3 and the opcode
    payload: bytes
    wire_size: int


class Stream:
    """A socket with a buffer before it, for the parts that are not measured."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()

    def more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the client closed TCP")
        self.buffer += data

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.more()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def take_until(self, end: bytes) -> bytes:
        while (position := self.buffer.find(end)) < 0:
            self.more()
        return self.take(position + len(end))

    def frame(self) -> Frame:
        """Read one masked frame (RFC 6455, 5.2)."""
        first, second = self.take(2)
        size, head = second & 127, 2
        if size == 126:
            size, head = struct.unpack("!H", self.take(2))[0], 4
        elif size == 127:
            size, head = struct.unpack("!Q", self.take(8))[0], 10
        if not second & 0x80:
            raise Mismatch("a client's frame has no mask")
        mask = self.take(4)
        payload = xor(self.take(size), mask)
        return Frame(first, payload, head + 4 + size)

    def expect(self, row: Row, index: int) -> Frame:
        """Read a message that is one frame, not compressed, and compare it."""
        frame = self.frame()
        wanted = messages.payload(message(row, index))
        if frame.first != 0x80 | messages.opcode(row) or frame.payload != wanted:
            raise Mismatch(f"message {index} is {frame.payload[:64]!r}")
        return frame


def upgrade(stream: Stream, row: Row) -> None:
    """Answer the opening handshake (RFC 6455, 4.2.2)."""
    head = stream.take_until(b"\r\n\r\n")
    headers = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    key = headers[b"sec-websocket-key"]
    accept = accept_value(key.decode()).encode()
    answer = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept,
    ]
    offered = headers.get(b"sec-websocket-extensions", b"")
    if row.deflate:
        # The floor offers it as well: it does not inflate, but gets the same bytes.
        if not offered.startswith(b"permessage-deflate"):
            raise Mismatch(f"offered extensions are {offered!r}")
        answer.append(b"Sec-WebSocket-Extensions: permessage-deflate")
    elif offered:
        raise Mismatch(f"compression is off, offered is {offered!r}")
    stream.sock.sendall(b"\r\n".join(answer) + b"\r\n\r\n")


def part(stream: Stream) -> None:
    """Answer the closing handshake and close TCP first (RFC 6455, 7.1.1)."""
    while stream.frame().first & 15 != CLOSE:
        pass
    stream.sock.sendall(server_frame(b"\x03\xe8", CLOSE))
    stream.sock.shutdown(socket.SHUT_WR)
    stream.sock.close()


def serve_flood(stream: Stream, row: Row) -> None:
    """Send the warm-up, wait for a message, send the rest as fast as it goes."""
    flood = messages.flood(row)
    stream.sock.sendall(flood.warmup)
    stream.frame()
    block = memoryview(flood.block)
    for _ in range(flood.repeat):
        stream.sock.sendall(block)
    stream.sock.sendall(flood.rest)


def serve_sink(stream: Stream, row: Row) -> None:
    """Read the warm-up, say ready, swallow the rest, say ok."""
    for index in range(row.warmup):
        frame = stream.expect(row, index)
    stream.sock.sendall(server_frame("ready", TEXT))
    # TCP throws bytes away without copying them where Linux is asked to.
    discard = socket.MSG_TRUNC if sys.platform == "linux" else 0
    buffer = bytearray(1024 * 1024)
    left = (row.operations - 1) * frame.wire_size
    while left:
        size = stream.sock.recv_into(buffer, min(left, len(buffer)), discard)
        if not size:
            raise EOFError("the client closed TCP")
        left -= size
    stream.expect(row, LAST)
    stream.sock.sendall(server_frame("ok", TEXT))


def serve_echo(stream: Stream, row: Row) -> None:
    """Send each message back; after the warm-up, one of the same size."""
    for index in range(row.warmup):
        frame = stream.expect(row, index)
        stream.sock.sendall(server_frame(frame.payload, messages.opcode(row)))
    answer = server_frame(message(row, LAST), messages.opcode(row))
    sock, size = stream.sock, frame.wire_size
    buffer = bytearray(1024 * 1024)
    for _ in range(row.operations - 1):
        got = 0
        while got < size:
            count = sock.recv_into(buffer)
            if not count:
                raise EOFError("the client closed TCP")
            got += count
        if got > size:
            raise Mismatch(f"{got} bytes arrived, a message has {size}")
        sock.sendall(answer)
    stream.expect(row, LAST)
    sock.sendall(answer)


def serve_greet(stream: Stream, row: Row) -> None:
    """Nothing between the opening and the closing handshake."""


ROLES = {
    "flood": serve_flood,
    "sink": serve_sink,
    "echo": serve_echo,
    "greet": serve_greet,  # "hold" is in main(), the peers of servers in load.py
}


def accept(listener: socket.socket, row: Row, context: ssl.SSLContext | None) -> Stream:
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        sock = context.wrap_socket(sock, server_side=True)
    stream = Stream(sock)
    upgrade(stream, row)
    return stream


def allow_descriptors() -> None:
    """Let this process have as many sockets as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    job = json.loads(sys.argv[1])
    row = from_job(job)
    signal.alarm(job["patience"])
    if job["peer_cpu"] is not None:
        os.sched_setaffinity(0, {job["peer_cpu"]})
    allow_descriptors()
    context = None
    if row.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(job["certificate"])
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        print(listener.getsockname()[1], flush=True)
        if row.role in load.ROLES:
            control, _ = listener.accept()
            with control:
                load.run(control, row)
            return
        total = row.warmup + row.operations
        if row.role == "hold":
            for stream in [accept(listener, row, context) for _ in range(total)]:
                part(stream)
            return
        for _ in range(total if row.role == "greet" else 1):
            stream = accept(listener, row, context)
            ROLES[row.role or ""](stream, row)
            part(stream)


if __name__ == "__main__":
    main()
