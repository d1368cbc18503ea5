"""Servers that do what no server of ours does, made of bytes."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..kit.bytes import switching_protocols


def mute() -> AbstractContextManager[str]:
    """Accept one connection and then answer nothing."""
    return _answering(_accept, stays=True)


FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: secret\r\nX-Why: quota\r\n"
    b"Content-Length: 13\r\n\r\nnot today\x1b[1m"
)


def refusing(answer: bytes = FORBIDDEN) -> AbstractContextManager[str]:
    """Answer the request with 403, or with these bytes."""
    return _answering(lambda head: answer, stays=False)


def _accept(head: bytes) -> bytes:
    found = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert found is not None
    return switching_protocols(found[1].decode())


@contextmanager
def _answering(answer: Callable[[bytes], bytes], *, stays: bool) -> Iterator[str]:
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        ours, _ = listener.accept()
        with ours:
            head = b""
            while b"\r\n\r\n" not in head:
                head += ours.recv(4096)
            ours.sendall(answer(head))
            if stays:
                over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        over.set()
        thread.join()
