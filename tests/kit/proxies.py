"""Proxies: real ones in processes of their own, and one that tells what it saw.

Also an address where nobody answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .asyncio_peer import Peer

# pproxy takes uvloop where it is, and a current loop that newer Pythons don't have.
PPROXY = """
import asyncio, sys
sys.modules["uvloop"] = None
asyncio.set_event_loop(asyncio.new_event_loop())
from pproxy.server import main
main()
"""
STARTING = 10.0  # seconds until a process must listen
TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
Allow 127.0.0.1
BasicAuth name secret
"""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def deaf(port: int, host: str = "127.0.0.5") -> Iterator[str]:
    """Listen where no connection attempt gets an answer, as behind a bad firewall."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        # What the system takes although nobody accepts it.
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((host, port))
        yield host


@contextmanager
def process_on(port: int, *command: str) -> Iterator[int]:
    """Run a program until the end of the block; yields its port."""
    environ = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
    )
    try:
        deadline = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None:
                    pytest.skip(f"{command[0]} does not run here")
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def pproxy(schemes: str, auth: str = "") -> Iterator[int]:
    """
    Run pproxy, which does not tell clients about failures.

    Args:
        schemes: what it speaks, such as ``http+socks5``.
        auth: user name and password, with a colon.
    """
    if importlib.util.find_spec("pproxy") is None:
        pytest.skip("pproxy is not installed")
    port = free_port()
    listen = f"{schemes}://127.0.0.1:{port}{'#' + auth if auth else ''}"
    with process_on(
        port, sys.executable, "-W", "ignore", "-c", PPROXY, "-l", listen
    ) as port:
        yield port


@contextmanager
def microsocks() -> Iterator[int]:
    """Run microsocks, a SOCKS5 proxy, for the user ``name`` with ``secret``."""
    program = shutil.which("microsocks")
    if program is None:
        pytest.skip("microsocks is not installed")
    port = free_port()
    options = f"-i 127.0.0.1 -p {port} -u name -P secret".split()
    with process_on(port, program, *options) as port:
        yield port


@contextmanager
def tinyproxy(folder: Path) -> Iterator[int]:
    """Run tinyproxy, an HTTP proxy, for the user ``name`` with ``secret``."""
    program = shutil.which("tinyproxy")
    if program is None:
        pytest.skip("tinyproxy is not installed")
    port = free_port()
    settings = folder / "tinyproxy.conf"
    settings.write_text(TINYPROXY.format(port=port))
    with process_on(port, program, "-d", "-c", str(settings)) as port:
        yield port


class Relay:
    """An HTTP proxy that makes tunnels, and keeps the requests that it got."""

    def __init__(self) -> None:
        self.requests: list[Peer] = []
        self.port = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client = Peer(reader, writer)
        try:
            await client.read_request()
            self.requests.append(client)
            _, _, port = client.target.rpartition(":")
            # Every name leads here: there is no other network in tests.
            there = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = (pump(reader, there[1]), pump(there[0], writer))
            await asyncio.gather(*ways)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry everything in one direction."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def relaying(*, ssl: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """Run a `Relay` in this loop; with `ssl` it is an ``https`` proxy."""
    relay = Relay()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(relay.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=ssl)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def relay_thread(context: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """Run a `Relay` in a thread, for tests without a loop; as `relaying`."""
    ready: Any = threading.Event()

    async def run() -> None:
        async with relaying(ssl=context) as relay:
            ready.relay, ready.stop = relay, asyncio.Event()
            ready.loop = asyncio.get_running_loop()
            ready.set()
            await ready.stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(STARTING)
        yield ready.relay
    finally:
        ready.loop.call_soon_threadsafe(ready.stop.set)
        thread.join()
