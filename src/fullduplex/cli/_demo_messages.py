"""Messages for the demonstration: mixed sizes, both kinds, the same every time."""

from __future__ import annotations

import random
from collections.abc import Iterator

# Sizes in bytes, both ends included, and how often out of 100.  The bounds are
# where the length field of a frame grows (RFC 6455, 5.2) and powers of two.
_SIZES = [(16, 125), (126, 4_096), (4_097, 65_535), (65_536, 262_144)]
_WEIGHTS = [60, 30, 9, 1]
_LARGEST = 262_144
_EMPTY_EVERY = 1_000  # messages

# One, two, three and four bytes a character in UTF-8, spaces apart.
_SCRIPTS = ["full duplex ", "в обе стороны ", "双方向通信。", "🦆🦢🦩🐧"]  # noqa: RUF001


def mixed_messages(count: int, *, seed: int = 6455) -> Iterator[str | bytes]:
    """
    Yield messages of 0 to 262,144 bytes, text and binary.

    Apart from the empty ones no two are equal, so that echoes in the wrong
    order are noticed.

    Args:
        count: number of messages.
        seed: equal seeds give equal messages.
    """
    source = random.Random(seed)  # noqa: S311  these are no secrets
    noise = source.randbytes(_LARGEST)
    for number in range(count):
        size = source.randint(*source.choices(_SIZES, _WEIGHTS)[0])
        text_wanted = source.random() < 0.5
        script = source.choice(_SCRIPTS)
        if number % _EMPTY_EVERY == _EMPTY_EVERY // 2:
            yield "" if text_wanted else b""
        elif text_wanted:
            head = f"{number} "
            repeats, rest = divmod(size - len(head), len(script.encode()))
            yield head + script * repeats + "." * rest
        else:
            head_bytes = number.to_bytes(8, "big")
            yield head_bytes + noise[: size - len(head_bytes)]


def size_of(message: str | bytes) -> int:
    """Return how many bytes a message has on the wire, without its header."""
    return len(message.encode() if isinstance(message, str) else message)
