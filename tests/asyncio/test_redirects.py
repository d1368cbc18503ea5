"""Redirects, and what must not go along."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from fullduplex import (
    InvalidStatus,
    InvalidURI,
    SecurityError,
    connect,
    unix_connect,
)
from fullduplex.uri import parse_uri

from ..kit.asyncio_peer import Listener, Peer, listening
from ..kit.bytes import redirect
from .kit import finish


async def redirected(listener: Listener, location: str, status: int = 302) -> Peer:
    """Take a connection and send it elsewhere; it must be closed then."""
    peer = await (await listener.accept()).read_request()
    peer.write(redirect(location, status))
    await peer.gone()
    return peer


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.variants("plain")
async def test_redirect_with_any_status_is_followed(status: int) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(connect(listener.at("/old?a=b")).connect())
        first = await redirected(listener, "/new?c=d", status)
        second = await (await listener.accept()).handshake()
        ws = await opening

        assert (first.target, second.target) == ("/old?a=b", "/new?c=d")
        assert ws.path == "/new?c=d"
        await finish(ws, second)


async def test_redirect_to_the_same_origin_sends_everything_again() -> None:
    async with listening() as listener:
        uri = f"ws://user:password@127.0.0.1:{listener.port}/a/b"
        opening = asyncio.ensure_future(
            connect(uri, extra_headers={"Cookie": "c", "X": "y"}, origin="o").connect()
        )
        first = await redirected(listener, "c")
        second = await (await listener.accept()).handshake()

        assert second.target == "/a/c"
        for name in ("Authorization", "Cookie", "X", "Origin"):
            assert first.headers(name) == second.headers(name) != []
        await finish(await opening, second)


async def test_redirect_to_another_origin_drops_credentials() -> None:
    headers = {
        "Authorization": "Bearer secret",
        "Cookie": "secret",
        "Proxy-Authorization": "secret",
        "X-Other": "kept",
    }
    async with listening() as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers=headers, subprotocols=["p"]).connect()
        )
        first = await redirected(one, two.at("/there"))
        second = await (await two.accept()).handshake()

        assert first.header("Authorization") == "Bearer secret"
        for name in ("Authorization", "Cookie", "Proxy-Authorization"):
            assert first.headers(name) != []
            assert second.headers(name) == []
        assert second.header("X-Other") == "kept"
        assert second.header("Sec-WebSocket-Protocol") == "p"
        assert second.header("Host") == f"127.0.0.1:{two.port}"
        assert b"secret" not in second.request
        await finish(await opening, second)


async def test_redirect_to_another_origin_drops_credentials_of_the_uri() -> None:
    async with listening() as one, listening() as two:
        uri = f"ws://user:password@127.0.0.1:{one.port}/"
        opening = asyncio.ensure_future(connect(uri).connect())
        first = await redirected(one, two.uri)
        second = await (await two.accept()).handshake()
        assert first.headers("Authorization") != []
        assert second.headers("Authorization") == []
        await finish(await opening, second)


async def test_redirect_there_and_back_does_not_restore_credentials() -> None:
    async with listening() as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers={"Cookie": "secret"}).connect()
        )
        await redirected(one, two.uri)
        await redirected(two, one.at("/back"))
        third = await (await one.accept()).handshake()
        assert third.headers("Cookie") == []
        await finish(await opening, third)


async def test_redirect_from_ws_to_wss_connects_with_tls(
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fullduplex._net import tls_context as _tls

    # What the system trusts, where the test can say it.
    monkeypatch.setattr(_tls, "default_context", lambda: client_tls)
    async with listening() as one, listening(ssl=server_tls) as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers={"Cookie": "secret"}).connect()
        )
        await redirected(one, two.at("/", "localhost"))
        second = await (await two.accept()).handshake()
        ws = await opening
        assert ws.secure
        assert ws.transport.get_extra_info("ssl_object") is not None
        assert second.headers("Cookie") == []
        await finish(ws, second)


async def test_redirect_from_wss_to_ws_is_refused(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.at("/", "localhost"), ssl=client_tls).connect()
        )
        await redirected(one, two.uri)
        with pytest.raises(SecurityError):
            await opening
        assert two.peers == []


async def test_redirects_without_end_are_refused_after_ten_requests() -> None:
    async with listening() as listener:

        async def serve() -> None:
            for number in range(10):
                await redirected(listener, f"/{number}")

        task = asyncio.ensure_future(serve())
        with pytest.raises(SecurityError):
            await connect(listener.uri)
        await task
        assert len(listener.peers) == 10


@pytest.mark.parametrize(
    ("location", "status", "error"),
    [
        ("ftp://127.0.0.1/", 302, InvalidURI),
        ("ws://127.0.0.1/#fragment", 302, InvalidURI),
        (None, 302, InvalidStatus),
        ("/elsewhere", 304, InvalidStatus),
        ("/elsewhere", 200, InvalidStatus),
    ],
)
@pytest.mark.variants("plain")
async def test_redirect_that_leads_nowhere_raises(
    location: str | None, status: int, error: type[Exception]
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(connect(listener.uri).connect())
        peer = await (await listener.accept()).read_request()
        peer.write(redirect(location, status))
        with pytest.raises(error):
            await opening
        await peer.gone()


async def test_redirect_with_a_destination_of_the_caller() -> None:
    async with listening() as one, listening() as two:
        # The same origin: the destination still holds.
        opening = asyncio.ensure_future(
            connect("ws://example.com/", host="127.0.0.1", port=one.port).connect()
        )
        await redirected(one, "/there")
        second = await (await one.accept()).handshake()
        assert (second.target, second.header("Host")) == ("/there", "example.com")
        await finish(await opening, second)

        # Another one: it does not.
        opening = asyncio.ensure_future(
            connect("ws://example.com/", host="127.0.0.1", port=one.port).connect()
        )
        await redirected(one, two.uri)
        with pytest.raises(ValueError, match="host"):
            await opening


async def test_redirect_with_sock_is_refused() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(connect("ws://localhost/", sock=sock).connect())
        await redirected(listener, "/there")
        with pytest.raises(ValueError, match="sock"):
            await opening


async def test_redirect_of_a_unix_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener, listening() as other:
        opening = asyncio.ensure_future(unix_connect(path).connect())
        await redirected(listener, "/there")
        second = await (await listener.accept()).handshake()
        assert second.target == "/there"
        await finish(await opening, second)

        opening = asyncio.ensure_future(unix_connect(path).connect())
        await redirected(listener, other.uri)
        with pytest.raises(ValueError, match="Unix"):
            await opening


class Forbidden(Exception):
    """Raised by a program that wants no redirects."""


class Refusing(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Choosing(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        target = super().process_redirect(exc)
        return f"{target}?chosen" if isinstance(target, str) else target


class Raising(connect):
    def handle_redirect(self, uri: str) -> None:
        raise Forbidden(uri)


class Silent(connect):
    def handle_redirect(self, uri: str) -> None:
        pass


class Naming(connect):
    def handle_redirect(self, uri: str) -> None:
        super().handle_redirect(f"{uri}?chosen")


@pytest.mark.parametrize(
    ("kind", "raised"),
    [(Refusing, InvalidStatus), (Raising, Forbidden), (Silent, InvalidStatus)],
)
@pytest.mark.variants("plain")
async def test_redirect_that_a_subclass_forbids_is_not_followed(
    kind: type[connect], raised: type[Exception]
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(kind(listener.at("/a")).connect())
        await redirected(listener, "/b")
        with pytest.raises(raised):
            await opening
        assert len(listener.peers) == 1


@pytest.mark.parametrize("kind", [Choosing, Naming])
@pytest.mark.variants("plain")
async def test_redirect_leads_where_a_subclass_says(kind: type[connect]) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(kind(listener.at("/a")).connect())
        await redirected(listener, "/b")
        second = await (await listener.accept()).handshake()
        assert second.target == "/b?chosen"
        await finish(await opening, second)


@pytest.mark.variants("plain")
async def test_subclass_can_compare_origins() -> None:
    class Home(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            target = super().process_redirect(exc)
            if isinstance(target, str):
                here, there = parse_uri(self.uri), parse_uri(target)
                if (here.host, here.port) != (there.host, there.port):
                    return SecurityError(target)
            return target

    async with listening() as listener:
        opening = asyncio.ensure_future(Home(listener.at("/a")).connect())
        await redirected(listener, "/b")
        await redirected(listener, "https://example.com/c")
        with pytest.raises(SecurityError, match="wss://example"):
            await opening


@pytest.mark.variants("plain")
async def test_subclass_cannot_lead_where_redirects_must_not() -> None:
    class Elsewhere(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            return "ftp://localhost/"

    async with listening() as listener:
        opening = asyncio.ensure_future(Elsewhere(listener.at("/a")).connect())
        await redirected(listener, "/b")
        with pytest.raises(InvalidURI):
            await opening
