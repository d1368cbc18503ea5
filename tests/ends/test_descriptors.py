"""A number of a descriptor that was given back is never used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fullduplex import IMPLEMENTATION, ConnectionClosed, connect, serve
from fullduplex.asyncio import _transports as _transport
from fullduplex.sync import connect as blocking_connect

from ..kit.clock import PATIENCE
from ..kit.peer import Listener


@contextlib.contextmanager
def answering(context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """Accept one connection and do its handshake."""
    listener = Listener(context=context)
    thread = threading.Thread(target=lambda: listener.accept().handshake(), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        thread.join(PATIENCE)
        listener.close()


def successor(number: int) -> tuple[socket.socket, socket.socket]:
    """Make a pair of sockets of which the first has this number."""
    first, second = socket.socketpair()
    if second.fileno() == number:
        first, second = second, first
    assert first.fileno() == number
    second.setblocking(False)
    return first, second


def nothing_arrived(sock: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        sock.recv(100)


async def attempt(awaitable: Any) -> None:
    with contextlib.suppress(ConnectionClosed):
        await asyncio.wait_for(awaitable, PATIENCE)


def test_socket_that_asyncio_shows_cannot_be_closed() -> None:
    async def main() -> None:
        with answering() as listener:
            async with connect(listener.uri, close_timeout=0.1) as ws:
                sock = ws.transport.get_extra_info("socket")
                assert sock.fileno() >= 0
                for name in ("close", "detach", "send", "recv"):
                    assert not hasattr(sock, name)

    asyncio.run(main())


def test_listening_socket_that_asyncio_shows_cannot_be_closed() -> None:
    async def main() -> None:
        async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0) as server:
            (sock,) = server.sockets
            assert sock.getsockname()[1] > 0
            assert not hasattr(sock, "close")
            assert not hasattr(sock, "detach")

    asyncio.run(main())


@pytest.mark.skipif(IMPLEMENTATION == "pure", reason="the loop's listener accepts")
def test_listening_socket_that_the_program_closes_is_accepted_on_no_more() -> None:
    async def main() -> None:
        errors: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        listening = socket.create_server(("127.0.0.1", 0))
        async with serve(lambda ws: ws.wait_closed(), sock=listening):
            number = listening.fileno()
            listening.close()
            with socket.create_server(("127.0.0.1", 0)) as other:
                assert other.fileno() == number
                with socket.create_connection(other.getsockname()):
                    await asyncio.sleep(0.05)
                    other.accept()[0].close()
        assert not errors

    asyncio.run(main())


def test_socket_that_the_program_closes_is_not_written_by_asyncio() -> None:
    async def main() -> None:
        errors: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        with answering() as listener:
            sock = socket.create_connection(("127.0.0.1", listener.port))
            ws = await connect(listener.uri, sock=sock, close_timeout=0.1)
            number = sock.fileno()
            sock.close()
            with contextlib.ExitStack() as stack:
                first, second = map(stack.enter_context, successor(number))
                await attempt(ws.send("for the server"))
                await attempt(ws.wait_closed())
                nothing_arrived(second)
                # It was not closed either.
                second.send(b"x")
                assert first.recv(1) == b"x"
        assert ws.closed

    if _transport.TcpTransport is None:
        pytest.skip("transports of asyncio are asyncio's business")
    asyncio.run(main())


def test_socket_that_the_program_closes_is_not_written_by_blocking_calls() -> None:
    with answering() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        ws = blocking_connect(listener.uri, sock=sock, close_timeout=0.1)
        number = sock.fileno()
        sock.close()
        with contextlib.ExitStack() as stack:
            first, second = map(stack.enter_context, successor(number))
            with pytest.raises(ConnectionClosed):
                for _ in range(3):
                    ws.send("for the server")
                    ws.recv(timeout=1)
            nothing_arrived(second)
            second.send(b"x")
            assert first.recv(1) == b"x"


@pytest.mark.parametrize("tls", [False, True])
def test_socket_of_a_blocking_connection_is_for_looking(tls: bool) -> None:
    server_tls = client_tls = None
    if tls:
        authority = trustme.CA()
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
    with answering(server_tls) as listener:  # noqa: SIM117
        with blocking_connect(listener.uri, ssl=client_tls, close_timeout=0.1) as ws:
            sock = ws.socket
            assert sock.getpeername() == ws.remote_address
            assert sock.fileno() >= 0
            for name in ("detach", "send", "recv", "makefile", "settimeout"):
                with pytest.raises(AttributeError, match="belongs to the connection"):
                    getattr(sock, name)
            with pytest.raises(AttributeError):
                sock.nothing  # noqa: B018
            if tls:
                assert sock.getpeercert()["subjectAltName"] == (("DNS", "localhost"),)
                assert sock.version().startswith("TLS")
            else:
                assert not hasattr(sock, "getpeercert")
            sock.close()
            assert ws.closed
            assert ws.close_code == 1006
            assert sock.fileno() == -1


# Errors of the system

STRERROR = """
#include <string.h>
char *strerror(int e) { (void)e; return "zur\\xfc" "ckgesetzt"; }
"""

RESET = """
import asyncio, socket, struct
from fullduplex import serve

ended = asyncio.Event()
complaints = []

async def handler(ws):
    await ws.wait_closed()
    ended.set()

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with serve(handler, "127.0.0.1", 0) as server:
        client = socket.create_connection(server.sockets[0].getsockname())
        client.sendall(
            b"GET / HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: websocket\\r\\n"
            b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
        )
        client.setblocking(False)
        await loop.sock_recv(client, 1000)
        linger = struct.pack("ii", 1, 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.close()
        await asyncio.wait_for(ended.wait(), 5)
    print("ended", complaints)

asyncio.run(main())
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="needs a C compiler and LD_PRELOAD",
)
def test_messages_of_the_system_need_not_be_utf_8(tmp_path: Path) -> None:
    source, library = tmp_path / "strerror.c", tmp_path / "strerror.so"
    source.write_text(STRERROR)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", RESET],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ended []\n", done.stderr


FORGOTTEN = """
import asyncio, sys
from fullduplex import connect

async def main():
    global kept
    kept = await connect(sys.argv[1], close_timeout=0.1)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""


def test_connection_that_is_left_open_at_exit_is_closed_without_noise() -> None:
    with answering() as listener:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FORGOTTEN, listener.uri],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    assert "ImportError" not in done.stderr, done.stderr
    assert "AttributeError" not in done.stderr, done.stderr
