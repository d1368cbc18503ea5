"""TLS: whose name is verified, and against what."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from typing import Any

import pytest
import trustme

from fullduplex import connect
from fullduplex._net import tls_context as _tls

from ..kit.asyncio_peer import Listener, listening
from ..kit.bytes import TEXT, frame
from .kit import finish


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


# What is resumed


@pytest.fixture
def default_tls(
    client_tls: ssl.SSLContext, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """The context for all who give none; it trusts our authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr(_tls, "default_context", lambda: context)
    return context


async def resumed(listener: Listener, host: str, **options: Any) -> bool:
    """Connect once, with a message, and tell whether TLS was resumed."""
    uri = f"wss://{host}:{listener.port}/"
    opening = asyncio.ensure_future(connect(uri, host="127.0.0.1", **options).connect())
    peer = await (await listener.accept()).handshake(glued=frame(TEXT, "hello"))
    ws = await opening
    # By now the tickets have arrived: they come before the first data.
    assert await ws.recv() == "hello"
    tls = ws.transport.get_extra_info("ssl_object")
    await finish(ws, peer)
    return bool(tls.session_reused)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.usefixtures("default_tls")
async def test_tls_session_is_resumed_at_the_same_host_only(
    server_tls: ssl.SSLContext, authority: trustme.CA, version: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.maximum_version = ssl.TLSVersion[version]
    authority.issue_cert("localhost", "example.com").configure_cert(context)
    async with listening(ssl=context) as listener:
        assert not await resumed(listener, "localhost")
        assert await resumed(listener, "localhost")
        assert not await resumed(listener, "example.com")
        assert await resumed(listener, "example.com", ssl=True)


async def test_tls_session_is_not_resumed_where_less_was_checked(
    server_tls: ssl.SSLContext, default_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        default_tls.check_hostname = False
        assert not await resumed(listener, "example.org")
        default_tls.check_hostname = True
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"wss://example.org:{listener.port}/", host="127.0.0.1")


async def test_tls_sessions_of_a_context_of_the_caller_are_resumed(
    server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    own = ssl.create_default_context()
    authority.configure_trust(own)
    async with listening(ssl=server_tls) as listener:
        assert not await resumed(listener, "localhost", ssl=own)
        assert await resumed(listener, "localhost", ssl=own)
    assert own.sslobject_class is ssl.SSLObject


# What is said


async def test_tls_tells_what_was_expected_and_what_was_found(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await connect(
                f"wss://example.org:{listener.port}/", host="127.0.0.1", ssl=client_tls
            )
    exc: Any = caught.value
    assert exc.expected == "example.org"
    assert exc.found == ["localhost", "127.0.0.1", "example.com"]
    assert re.fullmatch(
        r"certificate for 'example\.org' refused: [hH]ostname mismatch.*; "
        r"it is for 'localhost', '127\.0\.0\.1', 'example\.com'",
        str(exc),
    )


@pytest.mark.variants("two")
async def test_tls_tells_whose_authority_is_unknown(server_tls: ssl.SSLContext) -> None:
    async with listening(ssl=server_tls) as listener:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await connect(listener.at("/", "localhost"))
    assert "'localhost' refused: unable to get local issuer" in str(caught.value)


async def test_timeout_in_tls_says_so(client_tls: ssl.SSLContext) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError, match="the TLS handshake with localhost; "):
            await connect(
                f"wss://localhost:{listener.port}/", ssl=client_tls, open_timeout=0.1
            )
