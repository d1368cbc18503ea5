"""Where fuzzing begins: inputs that are right, and words that matter in each."""

from __future__ import annotations

import zlib

from ..kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

__all__ = ["SEEDS", "WORDS"]

KEY = b"\x11\x22\x33\x44"
BETWEEN = b"\xf5\x0f"  # parts of an input of several messages


def compressed(data: bytes, *, final: bool = False, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, wbits=-15)
    output = stream.compress(data)
    if final:
        return output + stream.flush() + b"\x00"
    return (output + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


PAYLOADS = [
    compressed(b"hello, hello, hello"),
    compressed(b"hello", level=0),
    compressed(b"the end", final=True),
    compressed(bytes(5000)),
    compressed(bytes(range(256)) * 2),
    compressed("é𝄞".encode() * 30),
    b"\x00",
    b"",
]

MESSAGES = [
    [(TEXT, b"hello")],
    [(TEXT, "é𝄞 and more".encode())],
    [(BINARY, bytes(126)), (PING, b"x"), (PONG, b"")],
    [(BINARY, bytes(range(256)) * 257)],
    [(TEXT, b"a" * 125), (TEXT, b"b" * 126), (CLOSE, b"\x03\xe8bye")],
    [(CLOSE, b"")],
]


def streams() -> list[bytes]:
    """Frames, masked and not, in one piece and fragmented."""
    found = []
    for masked in (False, True):
        key = KEY if masked else None
        flags = [masked | more for more in (0, 2, 4, 8, 14, 32, 46)]
        for number, parts in enumerate(MESSAGES):
            data = b"".join(frame(op, content, mask=key) for op, content in parts)
            head = bytes([flags[number % 7], number * 37 & 0xFF, 0, 0, 90, 128, 0])
            found.append(head + data)
        fragments = (
            frame(TEXT, "é".encode()[:1], mask=key, fin=False)
            + frame(PING, b"p", mask=key)
            + frame(CONT, "é".encode()[1:], mask=key)
        )
        found.append(bytes([masked | 12, 5, 0, 0, 99, 140, 200]) + fragments)
        for payload in PAYLOADS[:5]:
            data = frame(TEXT, payload, mask=key, rsv=4) * 2
            found.append(bytes([masked | 20, 6, 4, 0, 77, 0, 0]) + data)
    return found


def deflated() -> list[bytes]:
    heads = [b"\x00\x06\x00\x80", b"\x41\x0e\x40\x00", b"\xff\x05\x00\x00"]
    return [
        head + BETWEEN.join(PAYLOADS[start:]) for head in heads for start in range(6)
    ]


REQUEST = (
    b"GET /chat?a=%20b HTTP/1.1\r\nHost: example.com:8765\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; "
    b"client_max_window_bits\r\nOrigin:\t http://x \r\n\r\n"
)
REQUESTS = [
    REQUEST,
    REQUEST + b"\x81\x85\x00\x00\x00\x00hello",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET http://x/y HTTP/1.1\r\nHost: x\r\nHost: y\r\n folded\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05hello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nConnection: close\r\n\r\nto the end",
    b"HTTP/1.0 200 Connection established\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ws://y/\r\nContent-Length: 0\r\n\r\n",
]


def cut_in_two(texts: list[bytes]) -> list[bytes]:
    return [bytes([flags, 0, 60, 128, 250]) + t for flags in (0, 1, 5) for t in texts]


def bursts() -> list[bytes]:
    """More messages than may wait, with other frames between them."""
    found = []
    for flags in range(8):
        key = KEY if flags & 1 else None
        data = b""
        for number, payload in enumerate(PAYLOADS[:4] * 4):
            data += frame(TEXT, f"number {number}", mask=key)
            data += frame(BINARY, bytes(number), mask=key)
            data += frame(TEXT, "part", mask=key, fin=False)
            data += frame(PING, b"p", mask=key) + frame(CONT, "", mask=key)
            if flags & 2:
                data += frame(BINARY, payload, mask=key, rsv=4)
        data += frame(CLOSE, b"\x03\xe8", mask=key)
        found.append(bytes([flags, flags * 3, 30, 0, 90, 128, 200, 1, 2]) + data)
    return found


SEEDS: dict[str, list[bytes]] = {
    "held": bursts(),
    "frames": streams(),
    "deflate": deflated(),
    "request": cut_in_two(REQUESTS),
    "response": cut_in_two(RESPONSES),
    "messages": [b"\x00hello\xf5\x0fworld", b"\x0dh\xc3\xa9\xf5\x0f" + bytes(70_000)],
}

LENGTHS = [
    b"\x7e\x00\x7e",
    b"\xfe\xff\xff",
    b"\x7f" + bytes(8),
    b"\xff\x7f" + b"\xff\xff\xff",
]
HTTP = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b": ", b" ", b"\t", b",", b";", b"\x00"),
    *(b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2", b"GET", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"Content-Length: 2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"\x80",
        b"\xff",
        b"0\r\n",
    ),
    *(b"101", b"204", b"304", b"407", b"FFFFFFFFFFFFFFFF", b"18446744073709551616"),
]
WORDS: dict[str, list[bytes]] = {
    "held": [
        *(b"\x81", b"\x01", b"\x80", b"\x00", b"\x82", b"\x88", b"\x89", b"\xc2"),
        *(b"\xff", b"\xed\xa0\x80", b"\x81\x01a" * 9, b"\x81\x80" + KEY),
    ],
    "frames": [
        *LENGTHS,
        *(b"\x81", b"\x01", b"\x80", b"\x00", b"\x82", b"\x88", b"\x89", b"\x8a"),
        *(b"\xc1", b"\xc2", b"\x03\xe8", b"\x03\xed", b"\xff", b"\xf0\x9f\xa6\x86"),
        *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"),
    ],
    "deflate": [
        *(BETWEEN, b"\x00\x00\xff\xff", b"\x00", b"\x01\x00\x00\xff\xff"),
        *(b"\x03\x00", b"\x4b\x4c", b"\xff\xff", b"\x00\x05\x00\xfa\xff"),
    ],
    "request": HTTP,
    "response": HTTP,
    "messages": [BETWEEN, b"\xc3\xa9", b"\xff", bytes(125), bytes(126)],
}
