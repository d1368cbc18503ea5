"""After each test, no thread and no socket may be left."""

from __future__ import annotations

import gc
import os
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

SETTLING = 3.0  # seconds until what was ended must be gone


def sockets() -> set[str]:
    """The sockets of this process; empty where the system does not tell."""
    found: set[str] = set()
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    threads = set(threading.enumerate())
    before = sockets()
    yield
    deadline = time.monotonic() + SETTLING
    while set(threading.enumerate()) - threads or sockets() - before:
        if time.monotonic() > deadline:
            gc.collect()
            left = set(threading.enumerate()) - threads
            assert not left, f"threads left: {left}"
            assert not sockets() - before, "sockets left"
            return
        time.sleep(0.002)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server whose certificate is for localhost and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A client that trusts that server."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
