"""WebSocket frames and heads of HTTP messages, built and parsed byte by byte.

Nothing here calls the code under test, so that no test compares it with itself.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1 = 4
#: A masking key for frames of a client.
MASK = b"\x11\x22\x33\x44"

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: The example of RFC 6455, 1.3: Sec-WebSocket-Key and Sec-WebSocket-Accept.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: The response header that accepts an offer of permessage-deflate.
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

# Frames


def xor(data: bytes, key: bytes) -> bytes:
    """Mask or unmask `data` (RFC 6455, 5.3)."""
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    number = int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")
    return number.to_bytes(size, "big")


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    mask: bytes | None = None,
    fin: bool = True,
    rsv: int = 0,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """
    Build a frame (RFC 6455, 5.2).

    Args:
        mask: four bytes, or None for a frame that is not masked.
        rsv: the reserved bits, 0 to 7.
        length: what the header announces; by default the size of `payload`.
        width: bytes in which the length is written: 0, 2 or 8; by default the
            smallest that will do.
    """
    data = payload.encode() if isinstance(payload, str) else payload
    if length is None:
        length = len(data)
    if width is None:
        width = 0 if length < 126 else 2 if length < 2**16 else 8
    short = {0: length, 2: 126, 8: 127}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short])
    head += length.to_bytes(width, "big") if width else b""
    return head + (data if mask is None else mask + xor(data, mask))


def close_frame(
    code: int | None = 1000, reason: str = "", *, mask: bytes | None = None
) -> bytes:
    """Build a close frame; without a code an empty one."""
    payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
    return frame(CLOSE, payload, mask=mask)


def deflated(data: bytes) -> bytes:
    """Compress a message (RFC 7692, 7.2.1)."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


@dataclass(frozen=True)
class Received:
    """A frame that a peer got; `payload` is unmasked."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    @property
    def rsv1(self) -> bool:
        return self.rsv & RSV1 != 0

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode()

    @property
    def close(self) -> tuple[int | None, str]:
        """Code and reason of a close frame."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return None, ""
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()

    @property
    def code(self) -> int | None:
        return self.close[0]

    @property
    def reason(self) -> str:
        return self.close[1]


async def read_frame(take: Callable[[int], Awaitable[bytes]]) -> Received:
    """
    Parse one frame.

    Args:
        take: reads a number of bytes; if there are fewer, it raises an `EOFError`
            whose argument is what there was.

    Raises:
        EOFError: there is no whole frame; its argument is empty at the end of TCP.
    """
    head = await take(2)
    first, second = head
    size = second & 0x7F
    masked = second & 0x80 != 0
    try:
        if size >= 126:
            size = int.from_bytes(await take(2 if size == 126 else 8), "big")
        key = await take(4) if masked else bytes(4)
        payload = xor(await take(size), key)
    except EOFError as exc:
        raise EOFError(head) from exc
    return Received(first & 0x0F, payload, first & 0x80 != 0, first >> 4 & 7, masked)


def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the coroutine waits for an event loop")


def dissect(data: bytes) -> list[Received]:
    """Parse a run of whole frames."""
    position = 0

    async def take(size: int) -> bytes:
        nonlocal position
        piece = data[position : position + size]
        assert len(piece) == size, "the last frame is not whole"
        position += size
        return piece

    frames = []
    while position < len(data):
        frames.append(driven(read_frame(take)))
    return frames


# HTTP


def accept_value(key: str) -> str:
    """Compute ``Sec-WebSocket-Accept`` (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def response(*lines: str) -> bytes:
    """Build the head of a response."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("iso-8859-1")


def redirect(location: str | None, status: int = 302) -> bytes:
    """Build a redirect; without a location it is an incomplete one."""
    lines = [f"HTTP/1.1 {status} Redirect", "Content-Length: 0"]
    if location is not None:
        lines.append(f"Location: {location}")
    return response(*lines)


def switching_protocols(key: str, *headers: str) -> bytes:
    """Build the response 101 to a key, with further headers."""
    return response(
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_value(key)}",
        *headers,
    )


def request(
    line: str = "GET / HTTP/1.1",
    *more: str,
    without: str | None = None,
    **changed: str,
) -> bytes:
    """
    Build a request for a WebSocket connection.

    Args:
        line: the request line.
        more: further headers.
        without: name of a header to leave out.
        changed: headers with another value, with ``_`` for ``-``.
    """
    headers = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changed.items():
        headers[name.replace("_", "-")] = value
    if without is not None:
        del headers[without]
    return response(line, *(f"{name}: {headers[name]}" for name in headers), *more)
