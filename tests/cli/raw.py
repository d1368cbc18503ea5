"""Servers that do what no server of ours does, made of bytes."""

from __future__ import annotations

import re
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha1

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


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
    accept = b64encode(sha1(found[1] + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


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
