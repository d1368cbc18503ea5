"""Pings among frames that have been received and wait to be parsed.

While the queue of messages is full, what is behind its mark stays bytes.  A ping in
there need not wait for the application: RFC 6455, 5.5.2, wants its answer as soon as
is practical.
"""

from __future__ import annotations

from ..kernels.kernels import apply_mask

PING = 0x89  # with FIN; control frames are never fragmented (RFC 6455, 5.5)
MAX_CONTROL_SIZE = 125


def last_ping(data: bytes, masked: bool) -> bytes | None:
    """
    Find the last whole ping; earlier ones need no answer then (RFC 6455, 5.5.3).

    Args:
        data: frames, from the start of one; the last one may be cut.
        masked: whether their payloads are.

    Returns:
        Its payload, unmasked; None if there is no ping.
    """
    found: tuple[int, int] | None = None
    at, end = 0, len(data)
    while at + 2 <= end:
        size = data[at + 1] & 0x7F
        start = at + 2
        if size == 126:
            size = int.from_bytes(data[start : start + 2], "big")
            start += 2
        elif size == 127:
            size = int.from_bytes(data[start : start + 8], "big")
            start += 8
        if masked:
            start += 4
        if start + size > end:
            break
        if data[at] == PING and size <= MAX_CONTROL_SIZE:
            found = start, start + size
        at = start + size
    if found is None:
        return None
    start, stop = found
    payload = data[start:stop]
    return apply_mask(payload, data[start - 4 : start]) if masked else payload
