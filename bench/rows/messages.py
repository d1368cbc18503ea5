"""The messages of a row: the client and the raw peer build the same ones alone.

Message ``i`` of a row is always the same, so that either side knows what has to
arrive without telling the other.  The last message of a measurement differs from
all others: whoever delivers it has counted right.
"""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass

from tests.kit.bytes import BINARY, MASK, RSV1, TEXT, frame

from .rows import Row

LAST = -1

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


def server_frame(content: str | bytes, opcode: int) -> bytes:
    return frame(opcode, content)


def client_frame(content: str | bytes, opcode: int) -> bytes:
    """A masked frame.  The mask is fixed: this is for the floor, not for the wild."""
    return frame(opcode, content, mask=MASK)


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
        frames.append(frame(opcode, data, rsv=RSV1))
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
