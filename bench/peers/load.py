"""The raw peers of a server: clients that load it, listen to it, or only come.

The load is shared out, so that each connection has as many of the row's operations;
the next message leaves when an answer has arrived.
"""

from __future__ import annotations

import selectors
import socket

from tests.kit.bytes import CLOSE

from ..rows import messages
from ..rows.messages import LAST, client_frame, message, server_frame
from ..rows.rows import Row

HEADERS = (
    b"Host: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)
REQUEST = b"GET / HTTP/1.1\r\n" + HEADERS


def open_connection(port: int, path: str = "/") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"GET {path} HTTP/1.1\r\n".encode() + HEADERS + b"\r\n")
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
    size = len(answer)
    window = min(row.burst, turns)
    by_number = {sock.fileno(): sock for sock in socks}
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            # Number of frames that were sent, and of bytes that came back.
            selector.register(sock, selectors.EVENT_READ, [window, 0])
            sock.sendall(request * window)
        while selector.get_map():
            for key, _ in selector.select():
                state, sock = key.data, by_number[key.fd]
                data = sock.recv(65536)
                if not data:
                    raise EOFError("the server closed TCP")
                state[1] += len(data)
                if state[1] < turns * size:
                    count = min(turns, state[1] // size + window) - state[0]
                    if count:
                        state[0] += count
                        sock.sendall(request * count)
                    continue
                if state[1] > turns * size or not data.endswith(answer[-len(data) :]):
                    raise AssertionError(f"echo of message {index} differs")
                selector.unregister(sock)


def receive(socks: list[socket.socket], row: Row, index: int, copies: int) -> None:
    """Read message ``index`` from each connection ``copies`` times, as `exchange`."""
    answer = server_frame(message(row, index), messages.opcode(row))
    wanted = copies * len(answer)
    by_number = {sock.fileno(): sock for sock in socks}
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ, [0])
        while selector.get_map():
            for key, _ in selector.select():
                state, sock = key.data, by_number[key.fd]
                data = sock.recv(65536)
                if not data:
                    raise EOFError("the server closed TCP")
                state[0] += len(data)
                if state[0] < wanted:
                    continue
                if state[0] > wanted or not data.endswith(answer[-len(data) :]):
                    raise AssertionError(f"broadcast {index} differs")
                selector.unregister(sock)


class Control:
    """The socket over which the peer and the server tell each other when."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rwb")
        self.port = int(self._file.readline())

    def say(self, word: str) -> None:
        self._file.write(f"{word}\n".encode())
        self._file.flush()

    def wait(self) -> None:
        if not self._file.readline():
            raise EOFError("the server has gone")

    def close(self) -> None:
        self._file.close()


def part(socks: list[socket.socket]) -> None:
    """Close all connections, the server first (RFC 6455, 7.1.1)."""
    for sock in socks:
        sock.sendall(client_frame(b"\x03\xe8", CLOSE))
    for sock in socks:
        while sock.recv(64):
            pass
        sock.close()


def run_load(control: Control, row: Row) -> None:
    """Warm up, wait for the server's go, do the rest."""
    socks = [open_connection(control.port) for _ in range(row.connections)]
    for index in range(row.warmup // row.connections):
        exchange(socks, row, index, 1)
    control.say("warm")
    control.wait()
    exchange(socks, row, LAST, row.operations // row.connections)
    control.say("done")
    part(socks)


def run_members(control: Control, row: Row) -> None:
    """Read each broadcast to its end before the next one is sent."""
    socks = [open_connection(control.port) for _ in range(row.connections)]
    control.say("open")
    for index in range(row.warmup // row.connections):
        receive(socks, row, index, 1)
        control.say("got")
    rounds = row.operations // row.connections // row.burst
    for number in range(rounds):
        receive(socks, row, LAST if number == rounds - 1 else 0, row.burst)
        control.say("got")
    part(socks)


def run_crowd(control: Control, row: Row) -> None:
    """Open connections and do nothing with them."""
    socks = [open_connection(control.port) for _ in range(row.warmup)]
    control.say("warm")
    control.wait()
    socks += [open_connection(control.port) for _ in range(row.operations)]
    control.say("done")
    control.wait()
    part(socks)


def run_knock(control: Control, row: Row) -> None:
    """Open a connection and close it, again and again."""

    def knock(count: int) -> None:
        for _ in range(count):
            part([open_connection(control.port)])

    knock(row.warmup)
    control.say("warm")
    control.wait()
    knock(row.operations)
    control.say("done")


ROLES = {
    "load": run_load,
    "members": run_members,
    "crowd": run_crowd,
    "knock": run_knock,
}


def run(sock: socket.socket, row: Row) -> None:
    """Be the peer of a server that says over ``sock`` where it is."""
    control = Control(sock)
    assert row.role is not None
    ROLES[row.role](control, row)
    control.close()
