"""A bare socket, blocking, and no WebSocket: the floor under everyone.

It sends bytes built beforehand and counts the bytes that arrive; it neither parses
nor masks nor inflates while it is measured.  The coroutines never wait.  The server
alone is on the event loop, which many connections need.
"""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from tests.kit.bytes import CLOSE, KEY, switching_protocols

from ..peers.load import REQUEST
from ..rows import messages
from ..rows.messages import LAST, client_frame, message, server_frame
from . import Skip, Target

Message = str | bytes

BUFFER = bytearray(64 * 1024)  # shared, as nobody looks into it


def version() -> str:
    return platform.python_version()


class Connection:
    def __init__(self, sock: socket.socket, target: Target, early: bytes) -> None:
        self.sock = sock
        self.early = early  # bytes that came with the answer to the handshake
        self.row = target.row
        # The last message is built beforehand: nobody pays for building it then.
        self.final = message(target.row, LAST)
        self.frames = self.build(self.final)

    def build(self, content: Message) -> tuple[bytes, bytes]:
        """The frame that we send, and the one that comes back."""
        opcode = messages.opcode(self.row)
        return client_frame(content, opcode), server_frame(content, opcode)

    def skip(self, size: int) -> None:
        """Read ``size`` bytes and forget them."""
        sock, buffer = self.sock, BUFFER
        while size > 0:
            count = sock.recv_into(buffer, min(size, len(BUFFER)))
            if not count:
                raise EOFError("the peer closed TCP")
            size -= count

    def take(self, size: int) -> bytes:
        data = bytearray(self.early[:size])
        self.early = self.early[size:]
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError("the peer closed TCP")
            data += more
        return bytes(data)

    async def collect(self, count: int) -> list[Message]:
        if self.row.scenario == "send":
            head = self.take(2)
            return [self.take(head[1]).decode()]
        flood = messages.flood(self.row)
        if self.take(len(flood.warmup)) != flood.warmup:
            raise AssertionError("the warm-up differs")
        self.wire_size = flood.size
        self.last = flood.rest[-100:]
        return [message(self.row, index) for index in range(count)]

    async def receive(self, count: int) -> Message:
        self.skip(self.wire_size - len(self.last))
        if self.take(len(self.last)) != self.last:
            raise AssertionError("the last bytes differ")
        return self.final

    async def send(self, content: Message, count: int, burst: int) -> None:
        frame, _ = self.frames if content == self.final else self.build(content)
        for _ in range(count):
            self.sock.sendall(frame)

    async def echo(self, content: Message, count: int) -> Message:
        frame, answer = self.frames if content == self.final else self.build(content)
        sock, size = self.sock, len(answer)
        for _ in range(count - 1):
            sock.sendall(frame)
            self.skip(size)
        sock.sendall(frame)
        if self.take(size) != answer:
            raise AssertionError("the last echo differs")
        return content

    async def close(self) -> None:
        self.sock.sendall(client_frame(b"\x03\xe8", CLOSE))
        while self.sock.recv(64):
            pass
        self.sock.close()


async def open(target: Target) -> Connection:
    sock = socket.create_connection(("127.0.0.1", target.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if target.ssl is not None:
        sock = target.ssl.wrap_socket(sock, server_hostname="127.0.0.1")
    request = REQUEST
    if target.row.deflate:
        request += b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    sock.sendall(request + b"\r\n")
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    head, _, early = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise AssertionError(head)
    return Connection(sock, target, early)


# The answer to the key in ``REQUEST``: the example of RFC 6455, 1.3.
HANDSHAKE = switching_protocols(KEY)


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Sockets straight on the event loop's selector, without transports."""
    if target.row.scenario != "serve" or target.row.burst > 1:
        raise Skip("no floor for this row")
    row, opcode = target.row, messages.opcode(target.row)
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    last = server_frame(message(row, LAST), opcode)
    size = len(last) + 4
    buffer = bytearray(size)

    def attach(sock: socket.socket) -> None:
        first = [HANDSHAKE]
        for index in range(row.warmup // row.connections):
            first.append(server_frame(message(row, index), opcode))
        first.reverse()
        left = size

        def readable() -> None:
            nonlocal left
            if len(first) == 1 + row.warmup // row.connections:
                sock.recv(4096)
                left = 0
            else:
                count = sock.recv_into(buffer, left)
                left -= count
                if not count or (not first and buffer[0] & 15 == CLOSE):
                    loop.remove_reader(sock)
                    sock.close()
                    return
            if not left:
                left = size
                sock.send(first.pop() if first else last)

        loop.add_reader(sock, readable)

    def acceptable() -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        attach(sock)

    loop.add_reader(listener, acceptable)

    async def stop() -> None:
        loop.remove_reader(listener)
        listener.close()

    return listener.getsockname()[1], stop


async def broadcaster(target: Target) -> Any:
    """One system call a delivery."""
    opcode = messages.opcode(target.row)
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    members: list[socket.socket] = []

    def acceptable() -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def readable() -> None:
            if sock.recv(4096).startswith(b"GET "):
                sock.send(HANDSHAKE)
                members.append(sock)
                return
            loop.remove_reader(sock)
            sock.close()

        loop.add_reader(sock, readable)

    loop.add_reader(listener, acceptable)

    async def send(content: Message, count: int) -> None:
        while len(members) < target.row.connections:
            await asyncio.sleep(0.01)
        frame = server_frame(content, opcode)
        for _ in range(count):
            for sock in members:
                sock.send(frame)

    async def stop() -> None:
        loop.remove_reader(listener)
        listener.close()

    return listener.getsockname()[1], send, stop
