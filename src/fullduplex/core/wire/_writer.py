"""Frames on their way out.  Pure-Python twin of ``_writer_c.pxi``."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from ..kernels._kernels import apply_mask
from ..typing import BytesLike

BLOCK = 4096

# One step of it is one call into C: no signal, no trace function and no thread that
# makes a frame meanwhile gets the same key.
_keys: Iterator[tuple[bytes]] = iter(())


def new_mask() -> bytes:
    """Take an unpredictable key (RFC 6455, 5.3) from a block of os.urandom."""
    global _keys
    for (key,) in _keys:
        return key
    keys = struct.iter_unpack("4s", os.urandom(BLOCK))
    (key,) = next(keys)
    _keys = keys
    return key  # type: ignore[no-any-return]


def forget_masks() -> None:
    """Throw the random block away; a forked child must not share it."""
    global _keys
    _keys = iter(())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_masks)


class FrameWriter:
    """
    Build frames into one run of bytes for the transport.

    Args:
        mask: whether frames are masked (5.1: a client must, a server must not).
    """

    __slots__ = ("_out", "count", "masked", "payload", "pending", "total")

    def __init__(self, *, mask: bool) -> None:
        #: whether it is a client's
        self.masked = mask
        self._out: list[bytes] = []
        #: bytes built and not taken yet
        self.pending = 0
        #: bytes taken so far
        self.total = 0
        #: bytes in data frames, as they travel
        self.payload = 0
        #: messages queued so far
        self.count = 0

    def add_message(self, message: object) -> bool:
        """
        Queue `message` as one frame if it is exactly a `str` or `bytes`.

        Returns:
            Whether it was; False leaves everything as it was.

        Raises:
            UnicodeEncodeError: lone surrogates; nothing is queued.
        """
        if type(message) is str:
            self.add(0x81, message)
            return True
        if type(message) is bytes:
            self.add(0x82, message)
            return True
        return False

    def add(self, head: int, payload: str | BytesLike) -> int:
        """
        Queue a frame.

        Args:
            head: first byte of the frame: fin, reserved bits, opcode.
            payload: text, sent as UTF-8, or any bytes-like object, copied.

        Returns:
            Bytes pending.
        """
        if isinstance(payload, str):
            data = str.encode(payload)
        elif isinstance(payload, bytes):
            data = payload
        else:
            data = memoryview(payload).tobytes()
        size = len(data)
        bit = 0x80 if self.masked else 0
        if size < 126:
            start = bytes((head, bit | size))
        elif size < 65536:
            start = bytes((head, bit | 126, size >> 8, size & 0xFF))
        else:
            start = bytes((head, bit | 127)) + size.to_bytes(8, "big")
        if self.masked:
            key = new_mask()
            frame = start + key + apply_mask(data, key)
        else:
            frame = start + data
        self._out.append(frame)
        self.pending += len(frame)
        if not head & 8:
            self.payload += size
            if head & 0x80:
                self.count += 1
        return self.pending

    def add_raw(self, data: BytesLike) -> None:
        """Queue a message that is one frame without a mask already."""
        self._out.append(bytes(data))
        self.pending += len(self._out[-1])
        self._count_frame(len(self._out[-1]))

    def count_unbuffered_frame(self, size: int) -> None:
        """
        Count a message that was written without passing here.

        Args:
            size: bytes in its only frame, which has no mask.
        """
        self.total += size
        self._count_frame(size)

    def _count_frame(self, size: int) -> None:
        head = 2 if size < 128 else 4 if size < 65540 else 10
        self.payload += max(size - head, 0)
        self.count += 1

    def take(self) -> bytes:
        """Return all pending bytes and forget them."""
        out = self._out
        result = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self.total += self.pending
        self.pending = 0
        return result
