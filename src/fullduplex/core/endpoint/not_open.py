"""Null object in place of the endpoint, before a connection is open.

The fast paths of `recv` and `send` look at two fields of the session.  Those of this
object send every call to the slow path, which raises `InvalidState`.  Open connections
need no further check.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import InvalidState

# Operations of the session by the method that programs call.
METHODS = {"recv_fragment": "recv_streaming", "begin_fragments": "send"}


class NotOpen:
    """Refuses every operation."""

    __slots__ = ("now",)

    slow = -1
    clear_to_send = False
    now: float  # senders note the time

    def __getattr__(self, name: str) -> NoReturn:
        raise InvalidState(
            f"{METHODS.get(name, name)}() works once the opening handshake is done; "
            "hooks such as process_request run before"
        )


# Any: each face holds it where it will hold a `Session`.
NOT_OPEN: Any = NotOpen()
