"""TLS as bytes in and bytes out, so that no thread waits inside of it.

An `ssl.SSLSocket` must not be read by one thread while another one writes.  Here
the socket carries what TLS made, and TLS itself is memory, guarded by the lock of
the connection.  TLS inside TLS, to a server behind a proxy, is one on the other.
"""

from __future__ import annotations

import ssl
from typing import Any

from .._tls import remember, resume
from ..core.typing import BytesLike

__all__ = ["TLS"]

# Bytes of plain text that are taken at a time while opening; a record has 16 KiB.
PIECE = 65536


class TLS:
    """
    One TLS connection in memory.

    Args:
        context: how to encrypt, and whom to trust.
        server_side: which end this is.
        server_hostname: whom the certificate must name; None checks no name.
        below: the TLS connection that carries this one.
    """

    __slots__ = (
        "_below",
        "_server_side",
        "coder",
        "incoming",
        "object",
        "outgoing",
        "over",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        below: TLS | None = None,
    ) -> None:
        self._below = below
        #: whether the peer has said that no more comes
        self.over = False
        self._server_side = server_side
        #: what was encrypted, from the peer and for it
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        #: what tells of certificates, ciphers and versions
        self.object = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        if not server_side:
            resume(self.object)
        #: the same without a call in between, where there is such a thing
        self.coder: Any = getattr(self.object, "_sslobj", self.object)

    @property
    def single(self) -> bool:
        """Whether it is not carried by other TLS."""
        return self._below is None

    def feed(self, data: BytesLike) -> None:
        """
        Take bytes from the socket; none at its end.

        Raises:
            ssl.SSLError: the connection below is broken.
        """
        if not data:
            self.incoming.write_eof()
        elif self._below is None:
            self.incoming.write(data)
        else:
            self._below.feed(data)
            self.incoming.write(self._below.read())

    def shake_hands(self) -> bool:
        """
        Go on with the handshake; send `output` afterwards, also when it fails.

        Returns:
            Whether it is done.

        Raises:
            ssl.SSLError: it failed.
        """
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes:
        """
        Return all plain text that is there, at least for now.

        Raises:
            ssl.SSLError: the connection is broken.
            ssl.SSLZeroReturnError: the peer ended it, and nothing is left.
        """
        pieces: list[bytes] = []
        try:
            while self.incoming.pending or self.object.pending():
                piece = self.object.read(PIECE)
                if not piece:
                    self.over = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        if self.over and not pieces:
            raise ssl.SSLZeroReturnError
        return b"".join(pieces)

    def pending(self) -> bool:
        """Whether there may be more to read, without anything being fed."""
        return bool(self.incoming.pending or self.coder.pending())

    def read_into(self, view: memoryview) -> int:
        """
        Write plain text into memory; returns its size, 0 for none now.

        Raises:
            ssl.SSLError: as `read`, also `ssl.SSLZeroReturnError`.
        """
        try:
            size: int = self.coder.read(len(view), view)
        except ssl.SSLWantReadError:
            return 0
        if not size:
            raise ssl.SSLZeroReturnError
        return size

    def encrypt(self, data: BytesLike) -> bytes:
        """Return what to send for plain text."""
        self.coder.write(data)
        data = self.outgoing.read()
        return data if self._below is None else self._below.encrypt(data)

    def output(self) -> bytes:
        """Return what is to be sent."""
        if not self.outgoing.pending:
            return b""
        data = self.outgoing.read()
        if data and self._below is not None:
            data = self._below.encrypt(data)
        return data

    def farewell(self) -> bytes:
        """Return what tells the peer that no more data comes."""
        try:
            self.object.unwrap()
        except (OSError, ValueError):
            pass  # the peer's own farewell is not waited for
        return self.output()

    def remember(self) -> None:
        """Keep the session for the next connection of this client."""
        if not self._server_side:
            remember(self.object)
        if self._below is not None:
            self._below.remember()
