"""The messages of a row: the client and the raw peer build the same ones alone.

Message ``i`` of a row is always the same, so that either side knows what has to
arrive without telling the other.  The last message of a measurement differs from
all others: whoever delivers it has counted right.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from dataclasses import dataclass

from .rows import Row

LAST = -1

TEXT, BINARY, CLOSE = 1, 2, 8

# Long enough for a write to be worth its system call.
BLOCK_SIZE = 256 * 1024


def message(row: Row, index: int) -> str | bytes:
    """Message number ``index`` of the row, or the one that ends it (``LAST``)."""
    label = "last" if index == LAST else f"{index:08d}"
    if row.kind == "json":
        return json_message(label, row.size)
    if row.kind == "text":
        return label.ljust(row.size, "." if index == LAST else "x")
    pattern = bytes(range(256)) * (row.size // 256 + 1)
    return (label.encode() + pattern)[: row.size]


def json_message(label: str, size: int) -> str:
    """An update of an order book: keys that repeat, figures that do not."""
    rng = random.Random(label)
    symbol = rng.choice(["BTC-USD", "ETH-USD", "SOL-USD"])
    bids: list[dict[str, float]] = [
        {
            "price": round(rng.uniform(100, 200), 2),
            "amount": rng.randrange(10**6),
        }
        for _ in range(size // 40)
    ]
    update = {
        "channel": "orderbook",
        "id": label,
        "symbol": symbol,
        "bids": bids,
    }
    while len(text := json.dumps(update)) > size:
        bids.pop()
    return text.ljust(size)  # white space after a document is still JSON


def payload(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def opcode(row: Row) -> int:
    return BINARY if row.kind == "binary" else TEXT


def header(size: int, opcode: int, *, rsv1: bool = False, mask: bool = False) -> bytes:
    """The head of a final frame without its mask (RFC 6455, 5.2)."""
    first = 0x80 | (0x40 if rsv1 else 0) | opcode
    bit = 0x80 if mask else 0
    if size < 126:
        return struct.pack("!BB", first, bit | size)
    if size < 65536:
        return struct.pack("!BBH", first, bit | 126, size)
    return struct.pack("!BBQ", first, bit | 127, size)


def server_frame(content: str | bytes, opcode: int) -> bytes:
    data = payload(content)
    return header(len(data), opcode) + data


def client_frame(content: str | bytes, opcode: int) -> bytes:
    """A masked frame.  The mask is fixed: this is for the floor, not for the wild."""
    data = payload(content)
    mask = b"\x12\x34\x56\x78"
    return header(len(data), opcode, mask=True) + mask + apply_mask(data, mask)


def apply_mask(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    number = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return number.to_bytes(size, "big")


def deflate(contents: list[str | bytes], opcode: int) -> bytes:
    """Compressed frames that may follow any others (RFC 7692, 7.2.1).

    The first starts with an empty window, so nothing refers to what came before,
    and the whole can be sent again and again on a connection that keeps context.
    """
    compressor = zlib.compressobj(wbits=-15)
    frames = []
    for content in contents:
        data = compressor.compress(payload(content))
        data = (data + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        frames.append(header(len(data), opcode, rsv1=True) + data)
    return b"".join(frames)


@dataclass(frozen=True)
class Flood:
    """The bytes a client gets in the scenario ``receive``.

    Args:
        warmup: the frames before the client says go.
        block: many frames, sent ``repeat`` times.
        rest: frames up to the number of operations, the last message too.
    """

    warmup: bytes
    block: bytes
    repeat: int
    rest: bytes

    @property
    def size(self) -> int:
        """Bytes of the measured part."""
        return len(self.block) * self.repeat + len(self.rest)


def frames_in_block(row: Row) -> int:
    return max(1, BLOCK_SIZE // row.size)


def flood(row: Row) -> Flood:
    def frames(indexes: range) -> bytes:
        contents = [message(row, index) for index in indexes]
        if row.deflate:
            return deflate(contents, opcode(row))
        return b"".join(server_frame(content, opcode(row)) for content in contents)

    length = frames_in_block(row)
    repeat, rest = divmod(row.operations - 1, length)
    last = message(row, LAST)
    return Flood(
        warmup=frames(range(row.warmup)),
        block=frames(range(length)),
        repeat=repeat,
        rest=frames(range(rest))
        + (
            deflate([last], opcode(row))
            if row.deflate
            else server_frame(last, opcode(row))
        ),
    )
