"""TLS: whose name is verified, and against what."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest
import trustme

from fullduplex import (
    connect,
)

from .kit import (
    TEXT,
    finish,
    frame,
    listening,
)


async def test_tls_connects_to_a_server_that_is_trusted(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(listener.at("/", "localhost"), ssl=client_tls).connect()
        )
        peer = await (await listener.accept()).handshake(glued=frame(TEXT, "glued"))
        ws = await opening
        assert peer.header("Host") == f"localhost:{listener.port}"
        assert await ws.recv() == "glued"
        assert ws.secure
        await finish(ws, peer)


async def test_tls_keeps_the_name_of_the_uri_when_host_leads_elsewhere(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(
                f"wss://example.com:{listener.port}/", host="127.0.0.1", ssl=client_tls
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)

        # The destination is in the certificate, the name of the URI is not.
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(
                f"wss://example.org:{listener.port}/", host="127.0.0.1", ssl=client_tls
            )


async def test_tls_with_server_hostname_verifies_that_name(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(
                f"wss://example.org:{listener.port}/",
                host="127.0.0.1",
                server_hostname="example.com",
                ssl=client_tls,
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


async def test_tls_over_sock_verifies_the_name_of_the_uri(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(
            connect("wss://example.com/", sock=sock, ssl=client_tls).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


@pytest.mark.parametrize("options", [{}, {"ssl": True}], ids=repr)
async def test_tls_by_default_trusts_only_what_the_system_trusts(
    options: dict[str, Any], server_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.at("/", "localhost"), **options)


async def test_tls_to_a_server_without_it_is_an_oserror(
    client_tls: ssl.SSLContext,
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(f"wss://localhost:{listener.port}/", ssl=client_tls).connect()
        )
        peer = await listener.accept()
        peer.write(b"this is no TLS\r\n")
        with pytest.raises(OSError):
            await opening


async def test_tls_to_a_server_that_is_silent_times_out(
    client_tls: ssl.SSLContext,
) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError):
            await connect(
                f"wss://localhost:{listener.port}/", ssl=client_tls, open_timeout=0.1
            )


async def test_tls_to_a_server_of_another_authority_is_refused(
    authority: trustme.CA,
) -> None:
    stranger = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(stranger)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with listening(ssl=stranger) as listener:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.at("/", "localhost"), ssl=context)
