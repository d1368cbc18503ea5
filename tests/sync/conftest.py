"""After each test, no thread and no socket may be left."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from ..kit.fixtures import authority, client_tls, no_proxies, server_tls
from ..kit.leaks import sockets

__all__ = ["authority", "client_tls", "no_proxies", "server_tls"]

SETTLING = 3.0  # seconds until what was ended must be gone


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
