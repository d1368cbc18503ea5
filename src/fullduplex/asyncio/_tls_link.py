"""Read and write paths of TLS on asyncio.  Pure-Python twin of ``_tls_link_c.pyx``.

Its steps run for each read and each write.  It is the base of `TlsTransport`, which
does the rest.  The compiled body gives TLS whole records only, so that TLS is never
asked for what it can't have yet, and calls our own drivers and transports without a
detour.
"""

from __future__ import annotations

import ssl
from typing import Any

from .._net.tls import RECORD, TLS

# Encrypted bytes that TLS is given at a time: its memory for input stays with it.
PORTION = RECORD + 2048


class TlsLink:
    """
    Encrypted bytes below, plain bytes above.

    Args:
        tls: in memory.
        memory: where the transport below reads to.
    """

    __slots__ = (
        "closing",
        "lower",
        "memory",
        "paused",
        "protocol",
        "rest",
        "slow",
        "tls",
    )

    def __init__(self, tls: TLS, memory: memoryview) -> None:
        self.tls = tls
        self.memory = memory
        #: the transport below, once there is one
        self.lower: Any = None
        #: the protocol for plain text; it has `get_buffer`
        self.protocol: Any = None
        #: received bytes that TLS has not been given
        self.rest = b""
        #: whether writing takes more than to encrypt: during the handshake, while
        #: plain text waits, and after the end
        self.slow = True
        #: whether the protocol wants nothing for now
        self.paused = False
        #: whether there is nothing more to tell the protocol but the end
        self.closing = False

    # Input

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give memory for encrypted bytes (asyncio calls this)."""
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read (asyncio calls this)."""
        self.rest += self.memory[:nbytes]
        if self.slow or self.closing:
            self._received_slowly()
        else:
            self.pump()

    def hold(self, data: bytes) -> None:
        """Take bytes that were read in another way."""
        self.rest += data

    def drop_rest(self) -> None:
        """Forget what TLS has not been given."""
        self.rest = b""

    def feed_some(self) -> bool:
        """Give TLS a portion of what was received; returns whether there was any."""
        rest = self.rest
        if not rest:
            return False
        self.tls.feed(rest[:PORTION])
        self.rest = rest[PORTION:]
        return True

    def holds(self) -> bool:
        """Whether there may be plain text to deliver, without reading anything."""
        return bool(self.rest) or self.tls.pending()

    def pump(self) -> None:
        """Deliver plain text until there is no more, or the protocol pauses."""
        tls = self.tls
        failure: BaseException | None = None
        while not (self.paused or self.closing):
            if not tls.pending() and not self.feed_some():
                break
            try:
                view = self.protocol.get_buffer(-1)
            except Exception as exc:
                self._protocol_failed(exc, "get_buffer")
                return
            try:
                size = tls.read_into(view)
            except ssl.SSLZeroReturnError:
                self._peer_finished()
                break
            except Exception as exc:
                failure = exc
                break
            self._send_output()
            if size:
                try:
                    self.protocol.buffer_updated(size)
                except Exception as exc:
                    self._protocol_failed(exc, "buffer_updated")
                    return
        if failure is not None:
            self._broken(failure)

    # Output

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; nothing once the transport is closing."""
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        if self.slow:
            self._write_slowly(data)
        elif data and not self.closing:
            try:
                self.lower.write(self.tls.encrypt(data))
            except ssl.SSLError as exc:
                self._broken(exc)
            else:
                self.slow = bool(self.tls.waiting)

    def set_protocol(self, protocol: Any) -> None:
        """Deliver to another protocol from here on; it has `get_buffer`."""
        self.protocol = protocol

    def set_lower(self, lower: Any) -> None:
        """Write to a transport from here on."""
        self.lower = lower

    # Methods of `TlsTransport`

    def _received_slowly(self) -> None:
        """Take `rest` during the handshake, or after the end."""
        raise NotImplementedError

    def _write_slowly(self, data: bytes | bytearray | memoryview) -> None:
        """Write while `slow`."""
        raise NotImplementedError

    def _send_output(self) -> None:
        """Send what TLS itself wants to send."""
        raise NotImplementedError

    def _peer_finished(self) -> None:
        """Note close_notify of the peer."""
        raise NotImplementedError

    def _broken(self, exc: BaseException) -> None:
        """End a connection whose TLS has failed."""
        raise NotImplementedError

    def _protocol_failed(self, exc: BaseException, where: str) -> None:
        """Report a fault of the protocol, and end the connection."""
        raise NotImplementedError
