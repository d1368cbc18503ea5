"""TLS as bytes in and bytes out (RFC 8446), on ``SSLContext.wrap_bio``.

The one TLS layer of the faces that read their sockets themselves: no socket, no
event loop, no thread.  Features of a context are kept: callbacks, subclasses that
override `wrap_bio`, `sslobject_class`, ALPN, sessions, PSK.

    tls.shake_hands()   until it returns True; send `output` each time, even on errors
    tls.feed(data)      what the socket has received; no bytes for its end
    tls.read_into(view) plain text, as long as `pending`
    tls.encrypt(data)   what to send for plain text
    tls.output()        what TLS itself wants to send; ask after each `feed`
    tls.farewell()      close_notify (RFC 8446, 6.1)

An `ssl.SSLSocket` must not be read by one thread while another one writes; here the
connection's lock, or its event loop, guards the memory.  TLS inside TLS, to a server
behind a proxy, is one on the other.
"""

from __future__ import annotations

import ssl
from typing import Any

from ..core.typing import BytesLike
from .tls_context import restore_session, store_session

#: Bytes of plain text in one record at most (RFC 8446, 5.1).
RECORD = 16384
# Bytes of plain text that are taken at a time while opening.
PIECE = 65536


class TLS:
    """
    One TLS connection in memory.

    Args:
        context: settings of encryption and trust.
        server_side: side of the connection.
        server_hostname: name that the certificate must have; None checks no name.
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
        "waiting",
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
        #: plain text that TLS does not take before it has heard more of the peer
        self.waiting: list[BytesLike] = []
        self._server_side = server_side
        #: encrypted bytes, from the peer and for it
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        #: object with the certificates, ciphers and versions
        self.object = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        if not server_side:
            restore_session(self.object)
        #: object with `read`, `write` and `pending`; the one of the interpreter, where
        #: there is one and no class overrides these methods
        self.coder: Any = _coder(self.object)

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
            while self.pending():
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
            self.over = True
            raise ssl.SSLZeroReturnError
        return size

    def encrypt(self, data: BytesLike) -> bytes:
        """
        Return what to send for plain text.

        TLS 1.2 takes none while it renegotiates; what it does not take now comes out
        of `output` later.

        Raises:
            ssl.SSLError: the connection is broken.
        """
        if self.waiting:
            self.waiting.append(data)
            return b""
        if len(data) <= RECORD:
            try:
                self.coder.write(data)
            except ssl.SSLWantReadError:
                self.waiting.append(data)
            sent = self.outgoing.read()
        else:
            sent = self._encrypt_records(memoryview(data).cast("B"))
        return sent if self._below is None else self._below.encrypt(sent)

    def _encrypt_records(self, view: memoryview) -> bytes:
        """Encrypt record by record; memory for output stays with TLS for its life."""
        records: list[bytes] = []
        for start in range(0, len(view), RECORD):
            try:
                self.coder.write(view[start : start + RECORD])
            except ssl.SSLWantReadError:
                self.waiting.append(view[start:])
                break
            finally:
                records.append(self.outgoing.read())
        return b"".join(records)

    def output(self) -> bytes:
        """
        Return what is to be sent.

        Raises:
            ssl.SSLError: the connection is broken.
        """
        data = self.outgoing.read() if self.outgoing.pending else b""
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            return data + b"".join(map(self.encrypt, waiting))
        if data and self._below is not None:
            data = self._below.encrypt(data)
        return data

    def finish(self) -> bool:
        """
        Make close_notify, once; it comes out of `output`.

        Returns:
            Whether the peer has sent its own, so that nothing more comes.
        """
        try:
            self.object.unwrap()
        except ssl.SSLWantReadError:
            return False
        except (OSError, ValueError):
            return self.over  # it sends on, or its end of TLS is broken
        return True

    def farewell(self) -> bytes:
        """Return what tells the peer that no more data comes."""
        self.finish()
        return self.output()

    def store_session(self) -> None:
        """Keep the session for the next connection of this client."""
        if not self._server_side:
            store_session(self.object)
        if self._below is not None:
            self._below.store_session()


def _coder(tls: ssl.SSLObject) -> Any:
    """Return what is called for each record: the inner object, if nobody minds."""
    kind = type(tls)
    if all(
        getattr(kind, name, None) is getattr(ssl.SSLObject, name)
        and name not in getattr(tls, "__dict__", ())
        for name in ("read", "write", "pending")
    ):
        return getattr(tls, "_sslobj", tls)
    return tls
