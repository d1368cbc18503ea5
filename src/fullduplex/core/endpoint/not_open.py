"""Null object in place of the endpoint, before a connection is open.

The fast paths of `recv` and `send` look at two fields of the endpoint.  Those of this
object send every call to the slow path, which raises `InvalidState`.  Open connections
need no further check.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import InvalidState

# Methods that programs call, by what carries them out.
METHODS = {
    "begin_wait": "recv",
    "recv_fragment": "recv_streaming",
    "add": "send",
    "end": "send",
}


class NotOpen:
    """Refuses every operation."""

    __slots__ = ("now",)

    recv_blockers = -1
    clear_to_send = False
    now: float  # senders note the time

    def __getattr__(self, name: str) -> NoReturn:
        raise InvalidState(
            f"{METHODS.get(name, name)}() works once the opening handshake is done; "
            "hooks such as process_request run before"
        )


# Any: each face holds it where it will hold an `Endpoint`.
NOT_OPEN: Any = NotOpen()


def check_open(endpoint: Any, method: str) -> None:
    """
    Refuse a call on a connection that is not open yet.

    Raises:
        InvalidState: `endpoint` is `NOT_OPEN`.
    """
    if endpoint is NOT_OPEN:
        getattr(NOT_OPEN, method)


def refuse(operation: Any) -> NoReturn:
    """
    Refuse an operation for the lack of an endpoint; drivers call this.

    Raises:
        InvalidState: always.
    """
    operation.close()
    NotOpen.__getattr__(NOT_OPEN, operation.__name__)
