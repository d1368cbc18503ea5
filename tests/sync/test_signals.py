"""A signal interrupts a loop of calls that do not wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex.sync import ClientConnection, connect

from ..kit.peer import Listener, Peer

CALLS: dict[str, Callable[[ClientConnection], Any]] = {
    "send": lambda ws: ws.send(b"x" * 10),
    "fragments": lambda ws: ws.send([b"a", b"b"]),
    "ping": lambda ws: ws.ping(),
    "flush": lambda ws: ws.flush(),
    "recv": lambda ws: ws.recv(),
}
# A loop that is not interrupted ends nevertheless.
BOUND = 10_000_000


class Interrupt(BaseException):
    """The exception that Ctrl-C raises in a test."""


@pytest.mark.parametrize("name", CALLS)
def test_signal_interrupts_a_loop_of_calls(name: str) -> None:
    listener = Listener()
    peers: list[Peer] = []

    def live() -> None:
        peers.append(listener.accept().handshake())
        frames = peers[0].frame(2, b"x" * 10) * 1000
        try:
            while name == "recv":
                peers[0].write(frames)
            peers[0].gone()
        except OSError:
            pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    living = threading.Thread(target=live, daemon=True)
    living.start()
    ws = connect(listener.uri, compression=None, ping_interval=None, close_timeout=1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupt):
            for _ in range(BOUND):
                CALLS[name](ws)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        peers[0].reset()
        ws.close()
        living.join()
        listener.close()
