"""Fragmented messages: one fragment, and the assembly of all."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from ..errors import TooManyFragments

# A message may have this many frames whatever they carry, and more as long as they
# carry SMALLEST_MEAN bytes on average.  An endless run of empty frames is refused, and
# a large message in small frames is not.
MAX_FRAGMENTS = 4096
SMALLEST_MEAN = 16
# Pieces are joined at this number, so that a message in tiny frames costs the
# memory of its payload and not that of an object for each frame.
JOIN_EVERY = 1024


@dataclass(slots=True)
class Fragment:
    """
    One frame of a message in several frames.

    Attributes:
        data: payload; `str` in a text message, where a character that is split
            between frames belongs to the frame that ends it.
        fin: whether it is the last one of its message.
    """

    data: str | bytes
    fin: bool


class TextDecoder:
    """Decode the text of one message frame by frame (RFC 6455, 5.6)."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def decode(self, data: bytes, fin: bool) -> str:
        """
        Decode one payload.

        Raises:
            UnicodeDecodeError: fail the connection with 1007.
        """
        return self._decoder.decode(data, fin)


class FragmentLimit:
    """Count the frames of a message and refuse a flood of them."""

    __slots__ = ("_frames", "_size")

    def __init__(self) -> None:
        self._frames = 0
        self._size = 0

    def count(self, size: int) -> None:
        """
        Count a frame of `size` bytes.

        Raises:
            TooManyFragments: fail the connection with 1009.
        """
        self._frames += 1
        self._size += size
        if self._frames > MAX_FRAGMENTS and self._size < SMALLEST_MEAN * self._frames:
            raise TooManyFragments(MAX_FRAGMENTS)


class MessageAssembler:
    """The part of a fragmented message that a receiver has taken so far."""

    __slots__ = ("_joined", "_pieces")

    def __init__(self) -> None:
        self._joined: list[str | bytes] = []
        self._pieces: list[str | bytes] = []

    def __bool__(self) -> bool:
        return bool(self._joined or self._pieces)

    def add(self, data: str | bytes) -> None:
        """Take the next piece; all pieces of a message have the same type."""
        if data or not self:
            self._pieces.append(data)
        if len(self._pieces) >= JOIN_EVERY:
            self._joined.append(_join(self._pieces))
            self._pieces.clear()

    def take(self) -> str | bytes:
        """Return the whole of it and start over."""
        whole = _join(self._joined + self._pieces)
        self._joined.clear()
        self._pieces.clear()
        return whole


def _join(pieces: list[str | bytes]) -> str | bytes:
    # The first piece tells the type of all; `join` refuses anything else.
    if isinstance(pieces[0], str):
        return "".join(pieces)  # type: ignore[arg-type]
    return b"".join(pieces)  # type: ignore[arg-type]
