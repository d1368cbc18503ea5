"""Servers and clients for which the system has no descriptor left."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from fullduplex import IMPLEMENTATION

from .programs import FACES

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc"
)

PATIENCE = 20.0
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "trio" and importlib.util.find_spec("trio") is None:
        pytest.skip("trio is missing")
    return name


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ends.programs", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Client:
    """A client that opens as much of a connection as the server lets it."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        sock.settimeout(0.3)
        self.sock = sock
        self.served = False
        try:
            if context is not None:
                self.sock = context.wrap_socket(sock, server_hostname="localhost")
            self.sock.sendall(REQUEST)
            self.served = self.sock.recv(65536).startswith(b"HTTP/1.1 101")
        except TimeoutError:
            pass

    def close(self) -> None:
        self.sock.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_server_without_descriptors_goes_on_as_soon_as_one_is_free(
    face: str, tls: bool, tmp_path: Path
) -> None:
    if face == "asyncio" and IMPLEMENTATION == "pure":
        pytest.skip("the loop's listener accepts")
    certificate, context = "", None
    if tls:
        authority = trustme.CA()
        context = ssl.create_default_context()
        authority.configure_trust(context)
        path = tmp_path / "certificate.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
            path
        )
        certificate = str(path)
    with ended(program("serve", face, certificate)) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        clients = []
        while True:
            client = Client(port, context)
            clients.append(client)
            if not client.served:
                break
        assert len(clients) > 2
        # Some more wait, and the server tries again a few times.
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        time.sleep(1.2)
        for sock in waiting:
            sock.close()
        clients[-1].close()
        # The connection that ends makes room at once: not at the next attempt.
        waits = []
        for _ in range(3):
            clients.pop(0).close()
            began = time.monotonic()
            for _ in range(20):
                client = Client(port, context)
                if client.served:
                    break
                client.close()
            assert client.served
            clients.append(client)
            waits.append(time.monotonic() - began)
        assert min(waits) < 0.3
        for client in clients:
            client.close()
        _, errors = server.communicate("", timeout=PATIENCE)
    assert errors.count("no connection can be accepted for now") == 1, errors
    assert "trio.serve_listeners" not in errors


def test_client_without_descriptors_says_so(face: str) -> None:
    with ended(program("connect", face)) as client:
        said, errors = client.communicate(timeout=PATIENCE)
    name, number, text = said.split(maxsplit=2)
    assert (name, number) == ("OSError", str(errno.EMFILE)), (said, errors)
    # Not the name of a module that could not be loaded for it.
    assert ".py" not in text
