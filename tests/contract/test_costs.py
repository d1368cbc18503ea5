"""The cost of raw attackers, at most that of the table in ``docs/limits.md``."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..kit.bytes import BINARY, CONT, PING, RSV1, TEXT, frame

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the system tells no memory in use"
)

KIB, MIB = 2**10, 2**20
FACES = ["asyncio", "pure", "sync", "trio"]
LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"
MASK = b"\0\0\0\0"
CONNECTIONS = 10
REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)


class Server:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.port = int(self._out.readline())
        self.socks: list[socket.socket] = []

    def look(self, line: str = "") -> tuple[int, float]:
        """Return its resident memory in bytes, and the CPU time that it has used."""
        self._in.write(f"{line}\n")
        self._in.flush()
        resident, spent = self._out.readline().split()
        return int(resident), float(spent)

    def connect(self, request: str = "", *, opened: bool = True) -> socket.socket:
        """Send a request; read the answer if the connection is to be open."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.socks.append(sock)
        sock.sendall(request.encode())
        answer = b""
        while opened and not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(4096)
        return sock

    def settled(self) -> tuple[int, float]:
        """Return what `look` does once the server has nothing to do any more."""
        before = self.look()[1]
        while True:
            time.sleep(0.05)
            now = self.look()[1]
            if now - before < 0.02:
                break
            before = now
        return self.look("collect")


@contextmanager
def serving(face: str, compression: str = "none") -> Iterator[Server]:
    environ = {**os.environ, "FULLDUPLEX_IMPL": "pure" if face == "pure" else "auto"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.contract.cost_server", face, compression],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        server = Server(process)
        try:
            # What the first connections need once is not the cost of the others.
            for _ in range(2):
                server.connect(REQUEST + "\r\n")
            yield server
        finally:
            for sock in server.socks:
                sock.close()
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def flood(socks: list[socket.socket], data: bytes) -> None:
    """Send over all of them, until the server takes nothing more."""
    views = {sock: memoryview(data) for sock in socks}
    for sock in socks:
        sock.setblocking(False)
    moved = time.monotonic()
    while views and time.monotonic() < moved + 0.1:
        for sock, view in list(views.items()):
            try:
                sent = sock.send(view)
            except BlockingIOError:
                continue
            moved = time.monotonic()
            if sent < len(view):
                views[sock] = view[sent:]
            else:
                del views[sock]
        time.sleep(0.002)


def repeated(*frames: bytes) -> bytes:
    """Several times what is read at once, and what the systems keep, or 8 times."""
    once = b"".join(frames)
    return once * max(4 * MIB // len(once), 8)


def bombs() -> bytes:
    """Compressed messages of 1 MiB each, for one window."""
    deflate = zlib.compressobj(9, wbits=-12)
    data = b""
    while len(data) < 400 * KIB:
        piece = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        data += frame(BINARY, piece[:-4], rsv=RSV1, mask=MASK)
    return data


# By the rows of the tables, what is sent.
UNAUTHENTICATED = {
    "nothing": b"",
    "an endless head": (b"X-A: " + b"a" * 4000 + b"\r\n") * 15,
}
AUTHENTICATED = {
    "nothing": b"",
    "a head that announces 1 MiB": b"\x82\xff" + MIB.to_bytes(8, "big") + MASK,
    "a message but for its last byte": frame(BINARY, bytes(MIB), mask=MASK)[:-1],
    "messages of one byte": repeated(frame(TEXT, "a", mask=MASK)),
    "fragments without end": frame(TEXT, "a", fin=False, mask=MASK)
    + repeated(frame(CONT, "", fin=False, mask=MASK)),
    "pings": frame(PING, "a", mask=MASK) * 30_000,
    "messages of 1 MiB": repeated(frame(BINARY, bytes(MIB), mask=MASK)),
    "text with one wide character": repeated(
        frame(TEXT, "a" * (MIB - 4) + "\U0001d11e", mask=MASK)
    ),
}
COMPRESSED = {"compressed messages of 1 MiB": bombs()}
EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def attack(server: Server, data: bytes, head: str | None) -> tuple[float, float]:
    """Return the KiB and the seconds of CPU time that one attacker costs."""
    before, spent = server.settled()
    request = REQUEST + ("" if head is None else head + "\r\n")
    socks = [
        server.connect(request, opened=head is not None) for _ in range(CONNECTIONS)
    ]
    flood(socks, data)
    after, now = server.settled()
    for sock in socks:
        sock.close()
    return (after - before) / CONNECTIONS / KIB, (now - spent) / CONNECTIONS


def allowed(name: str) -> int:
    """Return what the documentation says that it takes at most, in KiB."""
    found = re.search(rf"^\| {name} \| (\d+) \|", LIMITS.read_text(), re.MULTILINE)
    assert found is not None, name
    return int(found[1])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_attackers_cost_no_more_than_the_table_says(
    face: str, compression: str
) -> None:
    if face == "trio":
        pytest.importorskip("trio")
    scenarios: list[tuple[str, bytes, str | None]] = []
    if compression == "none":
        scenarios += [(*item, None) for item in UNAUTHENTICATED.items()]
        scenarios += [(*item, "") for item in AUTHENTICATED.items()]
    else:
        scenarios += [(*item, EXTENSION) for item in COMPRESSED.items()]
    with serving(face, compression) as server:
        for name, data, head in scenarios:
            taken, spent = attack(server, data, head)
            print(f"{face}: {name}: {taken:.0f} KiB, {spent * 1000:.1f} ms")
            assert taken <= allowed(name), name
            # Once: a program that reads nothing makes no more work.
            assert spent < 1, name
