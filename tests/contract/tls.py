"""Contexts of TLS for our servers and clients."""

from __future__ import annotations

import functools
import ssl

import trustme

__all__ = ["authority", "contexts", "make_client_tls"]


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


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server for localhost, which asks for certificates; a client that trusts it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert("localhost").configure_cert(server)
    authority().configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.set_alpn_protocols(["http/1.1"])
    return server, make_client_tls()
