"""``python -m bench.compression``: the two tables of ``docs/compression.md``.

It measures gain and cost of compressing a message, by its size, and the memory of a
server's connection before and after its first messages.  Ours only, and asyncio only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

from tests.kit.bytes import MASK, RSV1, TEXT, frame

from .clients import CLIENTS
from .measure.counters import resident_size
from .peers.load import HEADERS
from .peers.peers import allow_descriptors
from .report.markdown import line
from .report.report import number

SIZES = [8, 16, 32, 64, 128, 256, 512, 1024]
MESSAGES = 400  # of each size in a round
ROUNDS = 9  # the cheapest one is shown

CONNECTIONS = 500
WARMUP = 50  # connections before those that count
EXTENSION = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

# By line of the table: which library, are messages compressed, are windows kept.
SETTINGS = {
    "`compression=None`": ("zlib", False, True),
    "window kept, `zlib`": ("zlib", True, True),
    "window kept, `zlib-ng`": ("zlib-ng", True, True),
    "`no_context_takeover` in both directions, `zlib`": ("zlib", True, False),
    "the same, `zlib-ng`": ("zlib-ng", True, False),
}


def events() -> Iterator[str]:
    """Trades as JSON: keys that repeat, figures that do not."""
    chance = random.Random(1)
    for identity in itertools.count(1000):
        yield json.dumps(
            {
                "type": "trade",
                "id": identity,
                "symbol": chance.choice(["BTC-USD", "ETH-USD", "SOL-USD"]),
                "side": chance.choice(["buy", "sell"]),
                "price": round(chance.uniform(100, 200), 2),
                "amount": chance.randrange(10**6),
            }
        )


def pieces(size: int) -> list[bytes]:
    """So many messages of ``size`` bytes, cut from the events."""
    text, found = "", events()
    while len(text) < size * MESSAGES:
        text += next(found) + "\n"
    return [text[at : at + size].encode() for at in range(0, size * MESSAGES, size)]


def compress(size: int, *, kept: bool) -> tuple[float, float]:
    """Bytes sent and microseconds of CPU time, a message."""
    from fullduplex.extensions.permessage_deflate import PerMessageDeflate

    stream = PerMessageDeflate(
        not kept, not kept, 12, 12, {"memLevel": 5}, min_size=0, adaptive=False
    )
    messages = pieces(size)
    begin, sent = time.process_time(), 0
    for message in messages:
        sent += len(stream.deflate(message, fin=True))
    return sent / MESSAGES, (time.process_time() - begin) / MESSAGES * 1e6


def sizes() -> Iterator[str]:
    cells = list(itertools.product([True, False], SIZES))
    best: dict[tuple[bool, int], tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for kept, size in cells:
            found = compress(size, kept=kept)
            best[kept, size] = min(best.get((kept, size), found), found)
    yield line(["bytes of JSON", *map(str, SIZES)])
    yield line(["---"] * (len(SIZES) + 1))
    for kept, window in ((True, "window kept"), (False, "window not kept")):
        sent = [f"{best[kept, size][0]:.0f}" for size in SIZES]
        spent = [f"{best[kept, size][1]:.2g}" for size in SIZES]
        yield line([f"{window}: bytes sent", *sent])
        yield line([f"{window}: µs to compress", *spent])


def peer(port: int, count: int, deflated: bool) -> None:
    """Open connections; then, for each line that comes in, a message over each."""
    data = "".join(itertools.islice(events(), 20))[:1024].encode()
    if deflated:
        # It begins with an empty window, and so fits both kinds of streams.
        stream = zlib.compressobj(wbits=-12)
        data = (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
    message = frame(TEXT, data, mask=MASK, rsv=RSV1 if deflated else 0)
    request = b"GET / HTTP/1.1\r\n" + HEADERS + EXTENSION * deflated + b"\r\n"
    socks = []
    for opened in range(1, WARMUP + count + 1):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(request)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(4096)
        if deflated is not (b"permessage-deflate" in answer):
            raise AssertionError(f"the server answered {answer[:200]!r}")
        socks.append(sock)
        if opened in (WARMUP, WARMUP + count):
            print("open", flush=True)
            sys.stdin.readline()
    while True:
        for sock in socks[WARMUP:]:
            sock.sendall(message)
            received = sock.recv(4)
            if received[0] & 15 != TEXT:
                raise AssertionError(f"the server sent {received!r}")
            left = received[1] & 127
            if left == 126:
                left = int.from_bytes(received[2:], "big") + 2
            left += 2 - len(received)
            while left:
                left -= len(sock.recv(left))
        print("done", flush=True)
        if not sys.stdin.readline():
            return


async def serving(deflate: bool, kept: bool, connections: int) -> list[float]:
    """KiB a connection: before any message, after the first, after eight."""
    from fullduplex import serve
    from fullduplex.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    options: dict[str, Any] = {}
    if not kept:
        options["extensions"] = [
            ServerPerMessageDeflateFactory(
                server_no_context_takeover=True, client_no_context_takeover=True
            )
        ]
    compression = "deflate" if deflate else None
    async with serve(
        handler, "127.0.0.1", 0, compression=compression, ping_interval=None, **options
    ) as server:
        port = server.sockets[0].getsockname()[1]
        arguments = ["peer", str(port), str(connections), str(int(deflate))]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.compression", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        sizes = []
        # Opened for warming up, opened, and then eight messages.
        for step in range(10):
            if not await child.stdout.readline():
                raise EOFError("the peer has gone")
            gc.collect()
            sizes.append(resident_size(os.getpid()))
            if step < 9:
                child.stdin.write(b"\n")
        child.stdin.close()
        await child.wait()
    return [(sizes[at] - sizes[0]) / connections / 1024 for at in (1, 2, 9)]


def memory() -> Iterator[str]:
    yield line(["", "before any message", "after the first", "after 8"])
    yield line(["---"] * 4)
    for name, (library, _, _) in SETTINGS.items():
        environment = {**os.environ, "FULLDUPLEX_ZLIB": library}
        command = [sys.executable, "-m", "bench.compression", "serve", name]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            reason = [*done.stderr.strip().splitlines(), "failed"][-2:][0]
            yield line([name, reason, "", ""])
        else:
            yield line([name, *(number(each) for each in json.loads(done.stdout))])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compression",
        description="Print the tables of docs/compression.md.",
    )
    parser.add_argument("what", nargs="*", help=argparse.SUPPRESS)
    words = parser.parse_args().what
    allow_descriptors()
    if words[:1] == ["peer"]:
        port, count, extended = map(int, words[1:])
        peer(port, count, bool(extended))
    elif words[:1] == ["serve"]:
        _, deflated, kept = SETTINGS[words[1]]
        connections = int(words[2]) if words[2:] else CONNECTIONS
        print(json.dumps(asyncio.run(serving(deflated, kept, connections))))
    else:
        # Before ours is imported: compiled, and with the zlib of Python.
        os.environ.update(CLIENTS["fullduplex"].environment)
        print(*sizes(), "", sep="\n")
        print(*memory(), sep="\n")


if __name__ == "__main__":
    main()
