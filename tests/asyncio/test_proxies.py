"""Connections through proxies, real ones among them."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import InvalidURI, SecurityError, connect, serve
from fullduplex.asyncio.server import ServerConnection
from fullduplex.core.errors import InvalidProxy
from fullduplex.core.handshake.errors import InvalidProxyStatus, ProxyError

from ..kit.asyncio_peer import listening
from ..kit.bytes import redirect
from ..kit.proxies import free_port, microsocks, pproxy, relaying, tinyproxy
from .conftest import Variant
from .kit import finish

pytestmark = pytest.mark.usefixtures("no_proxies")


@asynccontextmanager
async def echoing(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server that echoes; yields its port."""

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def works(uri: str, **options: Any) -> None:
    """Exchange messages over a connection, small ones and a large one."""
    async with connect(uri, **options) as ws:
        for message in ("hello", b"x" * 200_000):
            await ws.send(message)
            assert await ws.recv() == message


@pytest.fixture(scope="module")
def open_proxy() -> Iterator[int]:
    with pproxy("http+socks4+socks5") as port:
        yield port


@pytest.fixture(scope="module")
def socks_proxy() -> Iterator[int]:
    with microsocks() as port:
        yield port


@pytest.fixture(scope="module")
def http_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with tinyproxy(tmp_path_factory.mktemp("tinyproxy")) as port:
        yield port


# Real proxies


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5", "socks5h"])
async def test_ws_through_pproxy(scheme: str, open_proxy: int) -> None:
    async with echoing() as port:
        proxy = f"{scheme}://127.0.0.1:{open_proxy}"
        await works(f"ws://localhost:{port}/", proxy=proxy)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5", "socks5h"])
async def test_wss_through_pproxy(
    scheme: str,
    open_proxy: int,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async with echoing(server_tls) as port:
        proxy = f"{scheme}://127.0.0.1:{open_proxy}"
        await works(f"wss://localhost:{port}/", proxy=proxy, ssl=client_tls)


@pytest.mark.variants("two")
async def test_credentials_are_sent_to_microsocks(socks_proxy: int) -> None:
    async with echoing() as port:
        uri = f"ws://localhost:{port}/"
        for scheme in ("socks5", "socks5h"):
            proxy = f"{scheme}://name:secret@127.0.0.1:{socks_proxy}"
            await works(uri, proxy=proxy)
            for user in ("", "name:wrong@"):
                proxy = f"{scheme}://{user}127.0.0.1:{socks_proxy}"
                with pytest.raises(ProxyError, match="SOCKS proxy did not") as caught:
                    await connect(uri, proxy=proxy)
                assert "wrong" not in str(caught.value)


@pytest.mark.variants("two")
async def test_microsocks_tells_that_the_server_is_not_there(socks_proxy: int) -> None:
    address = f"127.0.0.1:{socks_proxy}"
    with pytest.raises(ProxyError) as caught:
        await connect(
            f"ws://localhost:{free_port()}/", proxy=f"socks5h://name:secret@{address}"
        )
    assert str(caught.value) == (
        "the SOCKS proxy did not connect: Connection refused by destination host "
        f"(proxy socks5h://{address}, given as proxy)"
    )


@pytest.mark.variants("two")
async def test_credentials_are_sent_to_tinyproxy(http_proxy: int) -> None:
    async with echoing() as port:
        uri = f"ws://localhost:{port}/"
        await works(uri, proxy=f"http://name:secret@127.0.0.1:{http_proxy}")
        for user, status in (("", 407), ("name:wrong@", 401)):
            with pytest.raises(InvalidProxyStatus) as caught:
                await connect(uri, proxy=f"http://{user}127.0.0.1:{http_proxy}")
            assert caught.value.response.status_code in (status, 407)
            assert b"<html" in caught.value.response.body


async def test_tinyproxy_tells_that_the_server_is_not_there(http_proxy: int) -> None:
    with pytest.raises(InvalidProxyStatus) as caught:
        await connect(
            f"ws://localhost:{free_port()}/",
            proxy=f"http://name:secret@127.0.0.1:{http_proxy}",
        )
    assert caught.value.response.status_code >= 500


# TLS to the proxy, and inside it


async def test_ws_through_an_https_proxy(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with echoing() as port, relaying(ssl=server_tls) as relay:
        proxy = f"https://localhost:{relay.port}"
        await works(f"ws://example.com:{port}/", proxy=proxy, proxy_ssl=client_tls)
        assert relay.requests[0].target == f"example.com:{port}"


async def test_wss_through_an_https_proxy_is_tls_inside_tls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with echoing(server_tls) as port, relaying(ssl=server_tls) as relay:
        await works(
            f"wss://example.com:{port}/",
            proxy=f"https://localhost:{relay.port}",
            ssl=client_tls,
            proxy_ssl=client_tls,
        )


async def test_tls_inside_tls_carries_much_at_once(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    sent = [random.Random(number).randbytes(100_000) for number in range(20)]
    async with (
        echoing(server_tls) as port,
        relaying(ssl=server_tls) as relay,
        connect(
            f"wss://example.com:{port}/",
            proxy=f"https://localhost:{relay.port}",
            ssl=client_tls,
            proxy_ssl=client_tls,
            compression=None,
        ) as ws,
    ):
        sending = asyncio.gather(*map(ws.send, sent))
        assert [await ws.recv() for _ in sent] == sent
        await sending


async def test_each_tls_verifies_its_own_name(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with echoing(server_tls) as port, relaying(ssl=server_tls) as relay:
        proxy = f"https://localhost:{relay.port}"
        options: dict[str, Any] = {
            "proxy": proxy,
            "ssl": client_tls,
            "proxy_ssl": client_tls,
        }

        await works(
            f"wss://other.com:{port}/",
            server_hostname="example.com",
            proxy_server_hostname="127.0.0.1",
            **options,
        )


async def test_each_certificate_that_is_refused_says_whose_it_is(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, variant: Variant
) -> None:
    if variant.name == "asyncio-loop" and sys.version_info < (3, 13):
        # asyncio reports a TypeError of its own, beside what is raised.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with (
        listening(ssl=server_tls) as listener,
        relaying(ssl=server_tls) as relay,
    ):
        proxy = f"https://localhost:{relay.port}"
        options: dict[str, Any] = {
            "proxy": proxy,
            "ssl": client_tls,
            "proxy_ssl": client_tls,
        }
        with pytest.raises(ssl.SSLCertVerificationError, match="other") as caught:
            await connect(listener.at("/", "other.com"), **options)
        assert "proxy" not in str(caught.value)
        with pytest.raises(ssl.SSLCertVerificationError, match="'another'") as caught:
            await connect(
                listener.at("/", "example.com"),
                proxy_server_hostname="another",
                **options,
            )
        assert f"(proxy {proxy}, given as proxy)" in str(caught.value)


async def test_https_proxy_is_verified_by_default(server_tls: ssl.SSLContext) -> None:
    async with relaying(ssl=server_tls) as relay:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect("ws://a.b/", proxy=f"https://localhost:{relay.port}")
        assert not relay.requests


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("http://proxy", {"proxy_ssl": True}),
        ("https://proxy", {"proxy_ssl": None}),
        ("socks5://proxy", {"proxy_server_hostname": "a"}),
    ],
)
@pytest.mark.variants("plain")
async def test_tls_that_contradicts_the_proxy_is_refused_by_the_call(
    proxy: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="the proxy is"):
        connect("ws://a.b/", proxy=proxy, **options)


# What is used when


@pytest.mark.variants("two")
async def test_environment_is_used_but_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with echoing() as port, relaying() as relay:
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:p@127.0.0.1:{relay.port}")

        await works(f"ws://localhost:{port}/")
        await works(f"ws://127.0.0.1:{port}/")
        await works(f"ws://example.com:{port}/", host="127.0.0.1")
        await works(f"ws://localhost:{port}/", proxy=None)
        assert not relay.requests
        await works(f"ws://example.com:{port}/")
        assert len(relay.requests) == 1
        await works(f"ws://localhost:{port}/", proxy=f"http://127.0.0.1:{relay.port}")
        assert len(relay.requests) == 2
        monkeypatch.setenv("no_proxy", "example.com")
        with pytest.raises(OSError):
            await connect(f"ws://example.com:{port}/", host="127.0.0.2", port=1)
        assert len(relay.requests) == 2


@pytest.mark.variants("two")
async def test_host_and_port_are_where_the_tunnel_leads() -> None:
    async with echoing() as port, relaying() as relay:
        proxy = f"http://127.0.0.1:{relay.port}"
        await works("ws://example.com/", proxy=proxy, host="localhost", port=port)
        assert relay.requests[0].target == f"localhost:{port}"


@pytest.mark.variants("plain")
async def test_socket_of_the_caller_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    monkeypatch.setenv("ws_proxy", "http://127.0.0.1:1")
    async with echoing() as port:
        sock = socket.create_connection(("127.0.0.1", port))
        await works("ws://example.com/", sock=sock)


@pytest.mark.variants("two")
async def test_local_address_is_that_of_the_way_to_the_proxy(open_proxy: int) -> None:
    async with echoing() as port, relaying() as relay:
        for proxy in (
            f"http://127.0.0.1:{relay.port}",
            f"socks5h://127.0.0.1:{open_proxy}",
        ):
            async with connect(
                f"ws://localhost:{port}/", proxy=proxy, local_addr=("127.0.0.3", 0)
            ) as ws:
                assert ws.local_address[0] == "127.0.0.3"
        async with connect(
            f"ws://localhost:{port}/",
            proxy=f"http://127.0.0.1:{relay.port}",
            proxy_local_addr=("127.0.0.4", 0),
        ) as ws:
            assert ws.local_address[0] == "127.0.0.4"


@pytest.mark.variants("plain")
async def test_proxy_of_the_environment_that_is_none_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("all_proxy", "gopher://u:secret@proxy")
    with pytest.raises(InvalidProxy, match="environment variable all_proxy") as caught:
        await connect("ws://example.com/")
    assert "secret" not in str(caught.value)


# Credentials


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


async def test_credentials_go_to_those_they_are_for() -> None:
    async with listening() as listener, relaying() as relay:
        opening = asyncio.ensure_future(
            connect(
                f"ws://me:mine@localhost:{listener.port}/",
                proxy=f"http://pr:ox%79@127.0.0.1:{relay.port}",
                extra_headers={"Cookie": "c=d"},
                user_agent_header="agent",
            ).connect()
        )
        peer = await (await listener.accept()).handshake()

        request = relay.requests[0]
        assert request.header("Proxy-Authorization") == basic("pr:oxy")
        assert request.header("User-Agent") == "agent"
        assert request.header_names == ["Host", "User-Agent", "Proxy-Authorization"]
        assert peer.header("Authorization") == basic("me:mine")
        assert peer.header("Proxy-Authorization") is None
        await finish(await opening, peer)


@pytest.mark.variants("two")
async def test_proxy_is_chosen_anew_for_each_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as listener, relaying() as relay, relaying() as other:
        monkeypatch.setenv("ws_proxy", f"http://u:p@127.0.0.1:{relay.port}")
        monkeypatch.setenv("no_proxy", "")
        opening = asyncio.ensure_future(
            connect(listener.at("/1", "example.com")).connect()
        )
        first = await (await listener.accept()).read_request()
        monkeypatch.setenv("ws_proxy", f"http://127.0.0.1:{other.port}")
        first.write(redirect(listener.at("/2", "example.org")))
        second = await (await listener.accept()).read_request()
        second.write(redirect(listener.at("/3", "localhost")))
        third = await (await listener.accept()).handshake()

        assert [len(relay.requests), len(other.requests)] == [1, 1]
        assert other.requests[0].target == f"example.org:{listener.port}"
        assert other.requests[0].header("Proxy-Authorization") is None
        for peer in (first, second, third):
            assert peer.header("Proxy-Authorization") is None
        await finish(await opening, third)


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("ftp://localhost/", InvalidURI),
        ("http://localhost/", SecurityError),
        ("ws://localhost/", SecurityError),
    ],
)
async def test_redirect_through_a_proxy_keeps_its_rules(
    location: str,
    error: type[Exception],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async with listening(ssl=server_tls) as listener, relaying() as relay:
        opening = asyncio.ensure_future(
            connect(
                listener.at("/", "localhost"),
                ssl=client_tls,
                proxy=f"http://127.0.0.1:{relay.port}",
            ).connect()
        )
        peer = await (await listener.accept()).read_request()
        peer.write(redirect(location))
        with pytest.raises(error):
            await opening


# What is said


@pytest.mark.variants("plain")
async def test_log_says_once_which_proxy_and_why(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "fullduplex.client")
    async with echoing() as port, relaying() as relay:
        monkeypatch.setenv("ws_proxy", f"http://user:secret@127.0.0.1:{relay.port}")
        await works(f"ws://example.com:{port}/?token=hidden")
        await works(f"ws://localhost:{port}/")

    records = [r for r in caplog.records if r.message.startswith("connecting to ")]
    assert [(r.levelname, r.message) for r in records] == [
        (
            "INFO",
            f"connecting to example.com, port {port}: "
            f"proxy http://127.0.0.1:{relay.port}, environment variable ws_proxy",
        ),
        (
            "DEBUG",
            f"connecting to localhost, port {port}: "
            "no proxy, the host is loopback or link-local",
        ),
    ]
    assert "secret" not in caplog.text


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks4a"])
async def test_proxy_that_is_not_there_keeps_the_class_and_is_named(
    scheme: str,
) -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as caught:
        await connect("ws://localhost/", proxy=f"{scheme}://u:secret@127.0.0.1:{port}")
    assert str(caught.value).endswith(
        f"cannot connect to 127.0.0.1:{port}: connection refused "
        f"(proxy {scheme}://127.0.0.1:{port}, given as proxy)"
    )


@pytest.mark.variants("two")
async def test_certificate_of_a_server_behind_a_proxy_is_verified(
    open_proxy: int, server_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        for scheme in ("http", "socks5h"):
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(
                    listener.at("/", "localhost"),
                    proxy=f"{scheme}://127.0.0.1:{open_proxy}",
                )
