"""Frames, messages of HTTP and what becomes of them, made of bytes by hand."""

from __future__ import annotations

import ssl
import struct
import zlib
from dataclasses import dataclass

# What a server answers to an offer of permessage-deflate.
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1 = 0x80, 0x40
# A key for frames of a client.
MASK = b"\x12\x34\x56\x78"


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
) -> bytes:
    """Write one frame (RFC 6455, 5.2)."""
    data = payload.encode() if isinstance(payload, str) else payload
    masked = 0x80 if mask is not None else 0
    head = bytes([(FIN if fin else 0) | rsv | opcode])
    if len(data) < 126:
        head += bytes([masked | len(data)])
    elif len(data) < 2**16:
        head += struct.pack("!BH", masked | 126, len(data))
    else:
        head += struct.pack("!BQ", masked | 127, len(data))
    return head + (data if mask is None else mask + xor(data, mask))


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    """Write a close frame; None for an empty one."""
    return frame(
        CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode()
    )


def deflated(data: bytes) -> bytes:
    """Compress a message as RFC 7692, 7.2.1, wants it."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TLSByHand:
    """A client's TLS as bytes, which a test sends or keeps to itself."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        context = context or ssl.create_default_context()
        self._heard, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._heard, self._said, server_hostname="localhost"
        )

    def shake(self, heard: bytes = b"") -> tuple[bytes, bool]:
        """Go on with the handshake; returns what to send and whether it is done."""
        self._heard.write(heard)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return self._said.read(), False
        return self._said.read(), True

    def encrypted(self, data: bytes) -> bytes:
        """Write data as records."""
        if data:
            self._object.write(data)
        return self._said.read()

    def goodbye(self) -> bytes:
        """Write the alert ``close_notify``."""
        try:
            self._object.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._said.read()


def response(*lines: str) -> bytes:
    """Write the head of a response."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("iso-8859-1")


def redirect(location: str | None, status: int = 302) -> bytes:
    """Write a redirect; without a location it is an incomplete one."""
    lines = [f"HTTP/1.1 {status} Redirect", "Content-Length: 0"]
    if location is not None:
        lines.append(f"Location: {location}")
    return response(*lines)


def xor(data: bytes, mask: bytes) -> bytes:
    """Mask or unmask."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(
        size, "big"
    )


@dataclass(frozen=True)
class Received:
    """A frame that the peer got; `payload` is unmasked."""

    opcode: int
    payload: bytes
    fin: bool
    rsv1: bool
    masked: bool

    @property
    def text(self) -> str:
        return self.payload.decode()

    @property
    def code(self) -> int | None:
        """Code of a close frame."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return None
        return int.from_bytes(self.payload[:2], "big")

    @property
    def reason(self) -> str:
        return self.payload[2:].decode()
