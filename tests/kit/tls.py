"""Certificates and TLS contexts that all tests of a run share, and TLS for peers."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from typing import Any

import trustme


@functools.cache
def authority() -> trustme.CA:
    """Make who signs all certificates."""
    return trustme.CA()


def make_client_tls() -> ssl.SSLContext:
    """Make a context that trusts our servers, and has a certificate."""
    client = ssl.create_default_context()
    authority().configure_trust(client)
    authority().issue_cert("client.example").configure_cert(client)
    client.set_alpn_protocols(["http/1.1"])
    return client


def make_server_tls() -> ssl.SSLContext:
    """Make a context of a server for localhost, which asks for certificates."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(server)
    authority().configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.set_alpn_protocols(["http/1.1"])
    return server


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """`make_server_tls` and `make_client_tls`, once."""
    return make_server_tls(), make_client_tls()


class TLSSocket:
    """
    What `Peer` calls of a socket, over TLS, after the handshake.

    An `ssl.SSLSocket` cannot end one direction and read on.

    Args:
        sock: connected; it blocks.
        context: of this end.
        server_side: which end this is.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool
    ) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # one thread may read while another one writes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else "localhost",
        )
        while not self._shake():
            self._feed()

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._pass_on()
        return True

    def _pass_on(self) -> None:
        self._sock.sendall(self._outgoing.read())

    def _feed(self) -> None:
        data = self._sock.recv(65536)
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def recv(self, size: int) -> bytes:
        """Read plain text; none at the end, clean or not."""
        while True:
            try:
                with self._lock:
                    return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._feed()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""

    def sendall(self, data: bytes) -> None:
        """Send plain text."""
        view = memoryview(data)
        for start in range(0, len(view), 16384):
            with self._lock:
                self._tls.write(view[start : start + 16384])
                data = self._outgoing.read()
            self._sock.sendall(data)

    def shutdown(self, how: int) -> None:
        """End our direction, of TLS and of TCP; or TCP alone, in both directions."""
        if how == socket.SHUT_WR:
            with self._lock:
                try:
                    self._tls.unwrap()
                except (OSError, ValueError):
                    pass
            self._pass_on()
        self._sock.shutdown(how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class TLSByHand:
    """A client's TLS as bytes, which a test sends or keeps to itself."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        context = context or ssl.create_default_context()
        self._heard, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._heard, self._said, server_hostname="localhost"
        )

    def shake(self, heard: bytes = b"") -> tuple[bytes, bool]:
        """Go on with the handshake; returns what to send and whether it is done."""
        self._heard.write(heard)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return self._said.read(), False
        return self._said.read(), True

    def encrypted(self, data: bytes) -> bytes:
        """Write data as records."""
        if data:
            self._object.write(data)
        return self._said.read()

    def goodbye(self) -> bytes:
        """Write the alert ``close_notify``."""
        try:
            self._object.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._said.read()
