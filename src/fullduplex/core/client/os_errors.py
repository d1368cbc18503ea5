"""Texts of errors of the operating system."""

from __future__ import annotations

import os
from typing import Final

# Errors of Windows whose texts do not mention networks, or that have no errno.
WINDOWS: Final = {
    64: "connection reset by the network",
    121: "no answer",
    1225: "connection refused",
    1231: "network is unreachable",
    1232: "host is unreachable",
    1236: "connection aborted",
}

# Beginnings of the texts of event loops and trio, which contain the address.
WORDY: Final = ("Connect call failed", "Error connecting to", "[Errno")


def describe_os_error(exc: OSError) -> str:
    """Say what failed in words of the system, without the address."""
    number = getattr(exc, "winerror", None)
    if number in WINDOWS:
        return WINDOWS[number]
    text = exc.strerror
    if exc.errno:
        plain = os.strerror(exc.errno)
        if not text or text == plain or text.startswith(WORDY):
            return plain.lower()
    return text or str(exc) or type(exc).__name__


def with_description(exc: OSError) -> OSError:
    """Return the same error in the words of `why`."""
    return OSError(describe_os_error(exc))


def set_error_text(exc: OSError, text: str) -> None:
    """Change what an error says, and nothing else about it."""
    if exc.strerror is None:
        exc.args = (text,)
    else:
        exc.strerror = text
        exc.args = (exc.errno, text)
