"""The raw peer of a server: many connections, one message under way in each.

It shares out the row's operations, so that each connection has as many, and sends
the next message when the answer to the last one has arrived.
"""

from __future__ import annotations

import selectors
import socket

from . import messages
from .messages import CLOSE, LAST, client_frame, message, server_frame
from .rows import Row

REQUEST = (
    b"GET / HTTP/1.1\r\n"
    b"Host: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def open_connection(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(REQUEST + b"\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(4096)
        if not data:
            raise EOFError("the server closed TCP")
        head += data
    if not head.startswith(b"HTTP/1.1 101 "):
        raise AssertionError(f"the server answered {head[:64]!r}")
    return sock


def exchange(socks: list[socket.socket], row: Row, index: int, turns: int) -> None:
    """Send message ``index`` over each connection ``turns`` times; compare the last."""
    content, opcode = message(row, index), messages.opcode(row)
    request, answer = client_frame(content, opcode), server_frame(content, opcode)
    buffer = bytearray(len(answer))
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            # What is left to send, and what is left to read of this answer.
            selector.register(sock, selectors.EVENT_READ, [turns - 1, len(answer)])
            sock.sendall(request)
        while selector.get_map():
            for key, _ in selector.select():
                state, sock = key.data, key.fileobj
                count = sock.recv_into(buffer, state[1])
                if not count:
                    raise EOFError("the server closed TCP")
                state[1] -= count
                if state[1]:
                    continue
                if state[0]:
                    state[:] = state[0] - 1, len(answer)
                    sock.sendall(request)
                    continue
                if count == len(answer) and buffer != answer:
                    raise AssertionError(f"echo of message {index} differs")
                selector.unregister(sock)


def run(control: socket.socket, row: Row) -> None:
    """Warm up, wait for the server's go, do the rest."""
    with control.makefile("rwb") as server:
        socks = [
            open_connection(int(port)) for port in [server.readline()] * row.connections
        ]
        for index in range(row.warmup // row.connections):
            exchange(socks, row, index, 1)
        server.write(b"warm\n")
        server.flush()
        server.readline()
        exchange(socks, row, LAST, row.operations // row.connections)
        server.write(b"done\n")
        server.flush()
        for sock in socks:
            sock.sendall(client_frame(b"\x03\xe8", CLOSE))
        for sock in socks:
            while sock.recv(64):
                pass
            sock.close()
