"""A socket before the connection is open: bytes with a deadline, TLS included.

The socket stays in blocking mode for all of its life.  Calls that must not block have
the flag ``MSG_DONTWAIT``; all waiting is done in `wait_for`, which signals interrupt.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from .._net.tls import TLS
from ..core.typing import BytesLike

IN, OUT = 1, 4
#: flag for calls that must not wait; without it, the socket is non-blocking
DONTWAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

PIECE = 65536
# Seconds between calls of `HandshakeSocket.poll_hook`.
LOOK = 0.25


if hasattr(select, "poll"):

    def wait_for(sock: Any, events: int, seconds: float) -> int:
        """
        Wait until a socket can be read or written.

        Args:
            events: `IN`, `OUT` or both.
            seconds: largest time to wait; 0 or less for no waiting.

        Returns:
            The events that occurred, `IN` also for the end and for errors; 0 when time
            is over.
        """
        poll = select.poll()
        poll.register(sock, events)
        wait = None if seconds == math.inf else max(math.ceil(seconds * 1000), 0)
        for _, found in poll.poll(wait):
            return found if not found & ~(IN | OUT) else IN | (found & OUT)
        return 0

else:  # pragma: no cover (Windows)

    def wait_for(sock: Any, events: int, seconds: float) -> int:
        """Wait until a socket can be read or written."""
        readers = [sock] if events & IN else []
        writers = [sock] if events & OUT else []
        # Ctrl-C does not interrupt this call.
        wait = min(max(seconds, 0.0), 0.1)
        readable, writable, failed = select.select(readers, writers, [sock], wait)
        return IN * bool(readable or failed) | OUT * bool(writable)


class HandshakeSocket:
    """
    A connected socket, and the TLS connections on it.

    Args:
        sock: in any mode; it is the channel's from here on.
        deadline: until when everything must be done, on the clock of
            `time.monotonic`; infinity for no limit.
    """

    __slots__ = ("deadline", "guest", "poll_hook", "sock", "tls")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        #: whether the socket is the program's too, which may close it
        self.guest = False
        #: encryption, if there is any
        self.tls: TLS | None = None
        #: called now and then while waiting; what it raises ends the waiting
        self.poll_hook: Callable[[], None] | None = None
        sock.settimeout(None if DONTWAIT else 0)

    def _wait(self, events: int) -> None:
        """Wait for the socket, up to the deadline."""
        while True:
            left = self.deadline - monotonic()
            poll_hook = self.poll_hook
            if wait_for(
                self.sock, events, left if poll_hook is None else min(left, LOOK)
            ):
                return
            if left <= 0:
                raise TimeoutError("timed out")
            if poll_hook is not None:
                poll_hook()

    def _send_raw(self, data: bytes, patience: float | None = None) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view, DONTWAIT) :]
            except BlockingIOError:
                self._wait(OUT)
            else:
                if patience is not None:
                    self.deadline = monotonic() + patience

    def _receive_raw(self) -> bytes:
        self._wait(IN)
        return self.sock.recv(PIECE)

    def send(self, data: BytesLike, patience: float | None = None) -> None:
        """
        Send all of `data`.

        Args:
            patience: seconds by which the deadline is put off whenever the peer has
                taken something; None leaves it.

        Raises:
            TimeoutError: the deadline has passed.
            OSError: the connection is broken.
        """
        if data:
            tls = self.tls
            raw = bytes(data) if tls is None else tls.encrypt(data)
            self._send_raw(raw, patience)

    def receive(self) -> bytes:
        """
        Wait for bytes; none at the end.

        Raises:
            TimeoutError: the deadline has passed.
            OSError: the connection is broken.
        """
        if self.tls is None:
            return self._receive_raw()
        while True:
            try:
                data = self.tls.read()
                if data:
                    return data
                raw = self._receive_raw()
                if not raw:
                    return b""
                self.tls.feed(raw)
                self._send_raw(self.tls.output())
            except ssl.SSLZeroReturnError:
                return b""

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """
        Encrypt from here on, inside of the encryption that there is.

        Raises:
            TimeoutError: the deadline has passed.
            OSError: the handshake failed; `ssl.SSLError` is one of these.
        """
        tls = TLS(
            context,
            server_side=server_side,
            server_hostname=server_hostname,
            below=self.tls,
        )
        done = False
        while not done:
            try:
                done = tls.shake_hands()
            except ssl.SSLError:
                try:
                    # An alert tells the peer what was wrong.
                    self._send_raw(tls.output())
                except OSError:
                    pass
                raise
            self._send_raw(tls.output())
            if not done:
                tls.feed(self._receive_raw())
        self.tls = tls

    def wait_for_end(self, deadline: float) -> bool:
        """Wait until the peer has ended TCP; returns whether it has."""
        peek = socket.MSG_PEEK | DONTWAIT
        while True:
            left = deadline - monotonic()
            try:
                if wait_for(self.sock, IN, min(left, LOOK)):
                    if not self.sock.recv(1, peek):
                        return True
                    # Bytes that nobody wants yet hide the end.
                    sleep(max(min(left, LOOK), 0))
            except BlockingIOError:
                pass
            except (OSError, ValueError):
                return True
            if left <= 0:
                return False

    def finish(self) -> None:
        """Close our direction; the peer may still send."""
        if self.tls is not None:
            self._send_raw(self.tls.farewell())
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket at once."""
        self.sock.close()
