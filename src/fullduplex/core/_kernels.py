"""Masking and the UTF-8 check, in plain Python: the readable reference."""

from __future__ import annotations

import codecs
import sys

from .typing import BytesLike

__all__ = ["Utf8Check", "apply_mask"]


def apply_mask(data: BytesLike, mask: BytesLike) -> bytes:
    """
    Mask or unmask a payload (RFC 6455, 5.3); the operation is its own inverse.

    Args:
        data: payload; any bytes-like object, also a non-contiguous memoryview.
        mask: masking key; 4 bytes.

    Raises:
        TypeError: `data` or `mask` is not bytes-like.
        ValueError: `mask` is not 4 bytes long.
    """
    if isinstance(data, str) or isinstance(mask, str):
        raise TypeError("data and mask must be bytes-like, not str")
    if isinstance(data, memoryview):
        data = data.tobytes()
    key = bytes(mask)
    if len(key) != 4:
        raise ValueError(f"mask has {len(key)} bytes; a mask is 4 bytes long")
    size = len(data)
    # One xor of two big integers is the fastest loop over bytes that
    # the interpreter has.
    order = sys.byteorder
    repeated = key * (size // 4) + key[: size % 4]
    masked = int.from_bytes(data, order) ^ int.from_bytes(repeated, order)
    return masked.to_bytes(size, order)


class Utf8Check:
    """
    Check UTF-8 that arrives in pieces (RFC 3629).

    An error is found at the first byte that no continuation could make valid,
    not only at the end of the character.
    """

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: BytesLike) -> bool:
        """Return False once the bytes so far cannot begin valid UTF-8."""
        piece = self._pending + bytes(data)
        try:
            _, used = codecs.utf_8_decode(piece, "strict", False)
        except UnicodeDecodeError:
            return False
        self._pending = piece[used:]
        return True

    @property
    def complete(self) -> bool:
        """Whether the bytes so far end with a whole character."""
        return not self._pending
