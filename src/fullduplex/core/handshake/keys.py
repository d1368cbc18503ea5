"""The key of an opening handshake and the answer to it (RFC 6455, 1.3 and 4.1)."""

from __future__ import annotations

import hashlib
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Final

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

KEY_SIZE: Final = 16  # bytes, before base64


def generate_key(random: Callable[[int], bytes] = os.urandom) -> str:
    """
    Make the value of ``Sec-WebSocket-Key``.

    Args:
        random: gives that many bytes which nobody can predict.
    """
    return encoded(random(KEY_SIZE))


def accept_key(key: str) -> str:
    """
    Compute the value of ``Sec-WebSocket-Accept`` that answers a key.

    Args:
        key: value of ``Sec-WebSocket-Key``.
    """
    # The RFC chose SHA-1 to show that a server speaks WebSocket, not to protect.
    digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
    return encoded(digest)


def encoded(data: bytes) -> str:
    """Return base64 of some bytes."""
    return b2a_base64(data, newline=False).decode()


def check_key(key: str) -> None:
    """
    Check the value of ``Sec-WebSocket-Key`` (RFC 6455, 4.2.1).

    Raises:
        ValueError: it is not base64, or not of 16 bytes.
    """
    size = len(a2b_base64(key, strict_mode=True))
    if size != KEY_SIZE:
        raise ValueError(f"key has {size} bytes, expected {KEY_SIZE}")
