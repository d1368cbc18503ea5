"""CPU time for each message that a uvicorn server echoes, by ``--ws``.

``python -m bench.uvicorn_echo`` runs uvicorn with each implementation in a process
of its own, all with the same application and settings, and talks to it over raw
sockets with frames made beforehand.  It measures the server's CPU time, user and
system, between two marks.  Rounds of all implementations alternate; the median of a row
is shown, and the ratio to the best of uvicorn's own.

Where clients send one message and wait, most of the time goes to the three system calls
of a message, which are the same for all.  The row "bare" shows their cost, with an
`asyncio.Protocol` that knows the one frame to expect and answers with another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

OURS = "fullduplex.integrations.uvicorn:WebSocketProtocol"
PEERS = ("websockets", "websockets-sansio", "wsproto")
BARE = "bare"
PATIENCE = 20.0  # seconds
KEY = b"\x11\x22\x33\x44"


@dataclass(frozen=True)
class Row:
    """
    Behaviour of the clients.

    Attributes:
        name: the printed name.
        size: bytes of a message.
        connections: number of clients that send at the same time.
        window: messages that each sends before it waits for the echoes.
        messages: number of echoed messages in a round, in all.
        deflate: whether they offer permessage-deflate.
    """

    name: str
    size: int
    connections: int
    window: int
    messages: int
    deflate: bool = False


ROWS = (
    Row("one client, one at a time, 64 B", 64, 1, 1, 8_000),
    Row("32 clients, one each, 64 B", 64, 32, 1, 16_000),
    Row("one client, 16 in flight, 64 B", 64, 1, 16, 32_000),
    Row("32 clients, 4 in flight each, 64 B", 64, 32, 4, 32_000),
    Row("32 clients, one each, 4 KiB", 4096, 32, 1, 12_000),
    Row("32 clients, one each, 64 B, deflate", 64, 32, 1, 8_000, deflate=True),
)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The application: raw ASGI, so that no framework's cost is shared out."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event["text"]})


def serve(ws: str, loop: str, http: str) -> None:
    """Run in the measured process; prints the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    if ws == BARE:
        run = __import__("uvloop").run if loop == "uvloop" else asyncio.run
        run(serve_bare(listener))
    import uvicorn

    config = uvicorn.Config(
        echo,
        ws=ws,
        loop=loop,
        http=http,
        lifespan="off",
        log_level="error",
        ws_ping_interval=None,
    )
    uvicorn.Server(config).run(sockets=[listener])


async def serve_bare(listener: socket.socket) -> None:
    """Answer the handshake, then each read with as many bytes of a frame."""

    class Bare(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            if data[:1] == b"G":
                self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            else:
                # The client's frame without its mask, which nobody looks at here.
                self.transport.write(data[:1] + bytes([data[1] & 0x7F]) + data[6:])

    server = await asyncio.get_running_loop().create_server(Bare, sock=listener)
    await server.serve_forever()


def masked_text(payload: bytes) -> bytes:
    """Make a client's frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes([0x81, 0x80 | size])
    else:
        head = bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
    mask = (KEY * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + KEY + masked.to_bytes(size, "big")


def open_client(port: int, deflate: bool) -> socket.socket:
    """Connect and do the opening handshake."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
    client.sendall(
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n" + offer.encode() + b"\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    assert deflate == (b"permessage-deflate" in answer), answer
    return client


def read_frames(client: socket.socket, count: int) -> bytes:
    """Read that many frames of a server; returns the payload of the last one."""
    data = bytearray()
    at = 0
    payload = b""
    while count:
        while len(data) < at + 2 or len(data) < at + size_of(data, at):
            part = client.recv(262144)
            assert part, "the server closed the connection"
            data += part
        whole = size_of(data, at)
        start = at + (2 if data[at + 1] < 126 else 4)
        payload = bytes(data[start : at + whole])
        at += whole
        count -= 1
    assert at == len(data)
    return payload


def size_of(data: bytearray, at: int) -> int:
    """Size of a whole frame, as far as its head is there."""
    size = data[at + 1]
    if size < 126:
        return 2 + size
    if len(data) < at + 4:
        return 4
    return 4 + int.from_bytes(data[at + 2 : at + 4], "big")


class Server:
    """A measured process."""

    def __init__(self, ws: str, loop: str, http: str) -> None:
        self.ws = ws
        arguments = ["--serve", ws, "--loop", loop, "--http", http]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "bench.uvicorn_echo", *arguments],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        # The CPU clock of another process, as clock_getcpuclockid(3) builds it.
        self._clock = (~self._process.pid << 3) | 2

    def cpu(self) -> float:
        return time.clock_gettime(self._clock)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def measure(self, row: Row) -> float:
        """Return microseconds of CPU time for each echoed message."""
        clients = [open_client(self.port, row.deflate) for _ in range(row.connections)]
        payload = os.urandom(row.size // 2).hex().encode()
        burst = masked_text(payload) * row.window
        turns = row.messages // row.connections // row.window
        last = b""

        def turn() -> bytes:
            for client in clients:
                client.sendall(burst)
            for client in clients:
                last = read_frames(client, row.window)
            return last

        for _ in range(max(turns // 10, 3)):
            turn()
        begin = self.cpu()
        for _ in range(turns):
            last = turn()
        used = self.cpu() - begin
        assert row.deflate or self.ws == BARE or last == payload
        for client in clients:
            client.close()
        return used / (turns * row.connections * row.window) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.uvicorn_echo")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--loop", default="uvloop", choices=["uvloop", "asyncio"])
    parser.add_argument("--http", default="httptools", choices=["httptools", "h11"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.loop, options.http)
        return
    names = (OURS,) if options.ours_only else (OURS, *PEERS, BARE)
    servers = {name: Server(name, options.loop, options.http) for name in names}
    results: dict[str, dict[str, float]] = {}
    try:
        for row in ROWS:
            # Frames of more than one byte of length, or many, are beyond the bare one.
            simple = row.window == 1 and row.size < 126 and not row.deflate
            shown = [name for name in names if name != BARE or simple]
            times: dict[str, list[float]] = {name: [] for name in shown}
            for _ in range(options.rounds):
                for name in shown:
                    times[name].append(servers[name].measure(row))
            medians = {name: statistics.median(times[name]) for name in shown}
            results[row.name] = medians
            print(f"{row.name}; CPU µs a message, {options.loop}")
            best = min((medians[name] for name in PEERS if name in medians), default=0)
            for name in shown:
                ratio = f"{medians[name] / best:6.2f} of best" if best else ""
                label = "fullduplex" if name == OURS else name
                print(f"  {label:20}{medians[name]:8.2f}{ratio}", flush=True)
    finally:
        for server in servers.values():
            server.stop()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
