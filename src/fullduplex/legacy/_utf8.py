"""A guess whether a payload is text, for logs."""

from __future__ import annotations

import codecs


def is_utf8_fragment(
    data: bytes, must_start_clean: bool = False, must_end_clean: bool = False
) -> bool:
    """
    Guess whether bytes are a part of a text in UTF-8 (RFC 3629, 3).

    Args:
        data: the bytes.
        must_start_clean: False allows the rest of a character at the start.
        must_end_clean: False allows the begin of a character at the end.

    Returns:
        False if they are no UTF-8, or have characters that cannot be printed.
    """
    start = 0
    if not must_start_clean:
        while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
            start += 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data[start:], must_end_clean)
    except UnicodeDecodeError:
        return False
    return "\\x" not in repr(text)
