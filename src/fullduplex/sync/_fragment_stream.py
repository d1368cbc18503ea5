"""Results of `recv_streaming` and `ping` on the blocking face."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Self

from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import check_open
from ..core.frames.close import ConnectionClosedOK
from ..core.typing import Data
from ._driver import Driver
from ._socket_io import NOTHING


class Messages:
    """
    The messages of a connection, for ``for``.

    Args:
        recv: of the connection; raises `ConnectionClosedOK` or `StopIteration` at the
            end.
        take: receives a message if that can be done without an operation, else
            returns `NOTHING`.
    """

    __slots__ = ("_recv", "_take")

    def __init__(
        self, recv: Callable[[], Data], take: Callable[[float], object]
    ) -> None:
        self._recv = recv
        self._take = take

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Data:
        message = self._take(inf)
        if message is not NOTHING:
            return message  # type: ignore[return-value]
        try:
            return self._recv()
        except ConnectionClosedOK:
            raise StopIteration from None

    def close(self) -> None:
        """End the iteration; the connection goes on."""
        self._recv = _end
        self._take = nothing


def _end() -> Data:
    raise StopIteration


def nothing(deadline: float) -> object:
    """Receive nothing, as `take` of `Messages` where there is no shortcut."""
    return NOTHING


class FragmentStream:
    """
    The payloads of the frames of one message, as they arrive.

    An iterator; also a context manager, which discards the rest of the message.
    """

    def __init__(
        self,
        session: Endpoint,
        driver: Driver,
        timeout: float | None,
        decode: bool | None,
    ) -> None:
        self._began = False
        self._done = False
        check_open(session, "recv_streaming")
        self._session = session
        self._driver = driver
        self._timeout = timeout
        self._decode = decode

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Data:
        if self._done:
            raise StopIteration
        timeout = self._timeout
        fragment = self._driver.run(
            operations.recv_fragment(
                self._session, self._decode, first=not self._began
            ),
            None if timeout is None else monotonic() + timeout,
        )
        self._began = True
        self._done = fragment.fin
        return fragment.data

    def close(self) -> None:
        """Discard the rest of the message."""
        if self._began and not self._done:
            self._done = True
            with self._driver.lock:
                self._session.abandon_stream()
                self._driver.step()
        self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._began and not self._done:
            # The garbage collector may be anywhere, also where the lock is held.
            self._driver.abandoned = True


class Pong(threading.Event):
    """
    Set once the pong has come; see `Connection.ping`.

    Attributes:
        latency: seconds from the ping to its pong; None before.
    """

    def __init__(self, ack_on_close: bool) -> None:
        super().__init__()
        self.latency: float | None = None
        self._ack_on_close = ack_on_close

    def acknowledged(self, rtt: float) -> None:
        """Note the pong; the session calls this."""
        self.latency = rtt
        self.set()

    def lost(self, exc: BaseException) -> None:
        """Note that the connection ended first; the session calls this."""
        if self._ack_on_close:
            self.set()
