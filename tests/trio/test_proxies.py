"""The trio client through proxies, and among several addresses."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.abc
import trustme

from fullduplex import InvalidProxyStatus, ProxyError
from fullduplex.trio import ClientConnection, ServerConnection, connect

from ..kit.bytes import redirect, response
from ..kit.proxies import deaf, free_port, microsocks, pproxy, relay_thread
from ..kit.trio_peer import Listener, listening
from .kit import serving

pytestmark = pytest.mark.pipe("socket")


@pytest.fixture(scope="module")
def open_proxy() -> Iterator[int]:
    with pproxy("http+socks4+socks5") as port:
        yield port


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


@asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[int]:
    async with serving(echo, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def works(uri: str, **options: Any) -> None:
    """Exchange messages over a connection, small ones and a large one."""
    async with connect(uri, **options) as ws:
        for message in ("hello", b"x" * 200_000):
            await ws.send(message)
            assert await ws.recv() == message


async def fails(uri: str, **options: Any) -> None:
    async with connect(uri, **options):
        raise AssertionError("connected")


# Proxies


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5", "socks5h"])
@pytest.mark.parametrize("secure", [False, True])
async def test_messages_pass_through_pproxy(
    scheme: str,
    secure: bool,
    open_proxy: int,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    options: dict[str, Any] = {"ssl": client_tls} if secure else {}
    async with echoing(ssl=server_tls if secure else None) as port:
        uri = f"{'wss' if secure else 'ws'}://localhost:{port}/"
        await works(uri, proxy=f"{scheme}://127.0.0.1:{open_proxy}", **options)


@pytest.mark.parametrize("secure", [False, True])
async def test_messages_pass_through_an_https_proxy_also_tls_inside_tls(
    secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    options: dict[str, Any] = {"ssl": client_tls} if secure else {}
    with relay_thread(server_tls) as relay:
        async with echoing(ssl=server_tls if secure else None) as port:
            await works(
                f"{'wss' if secure else 'ws'}://localhost:{port}/",
                proxy=f"https://127.0.0.1:{relay.port}",
                proxy_ssl=client_tls,
                proxy_server_hostname="localhost",
                **options,
            )
            assert relay.requests[0].target == f"localhost:{port}"


async def test_environment_is_used_but_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fullduplex.client")
    with relay_thread() as relay:
        async with echoing() as port:
            monkeypatch.setenv("ws_proxy", f"http://u:secret@127.0.0.1:{relay.port}")
            await works(f"ws://127.0.0.1:{port}/")
            assert not relay.requests
            await works(f"ws://example.com:{port}/")
        (request,) = relay.requests
        assert request.header("Proxy-Authorization") == "Basic dTpzZWNyZXQ="
    assert f"proxy http://127.0.0.1:{relay.port}, environment" in caplog.text
    assert "secret" not in caplog.text


async def test_redirect_chooses_the_proxy_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(listener: Listener) -> None:
        first = await (await listener.accept()).read_request()
        await first.write(redirect(listener.at("/2", "localhost")))
        second = await (await listener.accept()).handshake()
        for peer in (first, second):
            assert peer.header("Proxy-Authorization") is None
        await second.answer_close()

    with relay_thread() as relay:
        monkeypatch.setenv("ws_proxy", f"http://u:p@127.0.0.1:{relay.port}")
        async with listening() as listener, trio.open_nursery() as nursery:
            nursery.start_soon(serve, listener)
            async with connect(listener.at("/1", "example.com")):
                assert len(relay.requests) == 1


async def test_refusals_are_errors_of_the_proxy() -> None:
    with microsocks() as port:
        with pytest.raises(ProxyError, match="SOCKS proxy did not connect: Username"):
            await fails("ws://localhost:1/", proxy=f"socks5://a:b@127.0.0.1:{port}")
        with pytest.raises(ProxyError, match=r"refused.*given as proxy"):
            await fails(
                f"ws://localhost:{free_port()}/",
                proxy=f"socks5h://name:secret@127.0.0.1:{port}",
            )


async def test_refusal_has_status_body_and_diagnosis() -> None:
    async def refuse(listener: Listener) -> None:
        peer = await (await listener.accept()).read_request()
        await peer.write(response("HTTP/1.1 407 Auth", "Content-Length: 2") + b"no")

    async with listening() as listener, trio.open_nursery() as nursery:
        proxy = f"http://127.0.0.1:{listener.port}"
        nursery.start_soon(refuse, listener)
        with pytest.raises(InvalidProxyStatus) as caught:
            await fails("ws://example.com/", proxy=proxy)
    assert caught.value.response.body == b"no"
    assert f"(proxy {proxy}, given as proxy)" in str(caught.value)
    assert caught.value.diagnosis.proxy == proxy


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_is_silent_is_named_by_the_timeout(scheme: str) -> None:
    async with listening() as listener:
        proxy = f"{scheme}://127.0.0.1:{listener.port}"
        with pytest.raises(TimeoutError, match=f"timed out waiting for proxy {scheme}"):
            await fails("ws://127.0.0.1:1/", proxy=proxy, open_timeout=0.2)


async def test_proxy_that_is_not_there_keeps_the_class_and_is_named() -> None:
    for scheme in ("http", "https", "socks5h"):
        proxy = f"{scheme}://127.0.0.1:{free_port()}"
        with pytest.raises(ConnectionRefusedError) as caught:
            await fails("ws://localhost/", proxy=proxy)
        assert str(caught.value).endswith(f"refused (proxy {proxy}, given as proxy)")


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("nonsense", {}),
        ("http://proxy", {"proxy_ssl": True}),
        ("socks5://proxy", {"proxy_server_hostname": "a"}),
    ],
)
async def test_proxy_that_cannot_be_is_refused_by_the_call(
    proxy: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        connect("ws://a.b/", proxy=proxy, **options)


async def test_socks_without_python_socks_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ImportError, match=r"fullduplex\[socks\]"):
        await fails("ws://localhost/", proxy="socks5://127.0.0.1:1")


# Addresses


class Resolver(trio.abc.HostnameResolver):
    """Gives the same addresses for every name."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    async def getaddrinfo(
        self, host: Any, port: Any, *args: Any, **kwds: Any
    ) -> list[Any]:
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        options = {"type": socket.SOCK_STREAM}
        return [
            info
            for each in self.hosts
            for info in socket.getaddrinfo(each, port, **options)
        ]

    async def getnameinfo(self, *args: Any) -> Any:
        raise NotImplementedError


async def test_dead_address_takes_no_longer_than_the_delay() -> None:
    async with echoing() as port:
        with deaf(port) as dead:
            trio.socket.set_custom_hostname_resolver(
                Resolver(dead, "127.0.0.9", "127.0.0.1")
            )
            with trio.fail_after(2):
                async with connect(f"ws://a.b:{port}/") as ws:
                    assert ws.remote_address[0] == "127.0.0.1"
                    assert ws.opening is not None
                    assert list(ws.opening.phases) == ["dns", "tcp", "handshake"]
                    assert len(ws.opening.addresses) == 3


async def test_failure_of_every_address_is_told() -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("127.0.0.8", "127.0.0.9"))
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as caught:
        await fails(f"ws://a.b:{port}/")
    assert str(caught.value).endswith(
        f"cannot connect to a.b:{port}: 127.0.0.8:{port}: connection refused; "
        f"127.0.0.9:{port}: connection refused"
    )


async def test_timeout_tells_what_became_of_each_address() -> None:
    port = free_port()
    with deaf(port) as dead:
        trio.socket.set_custom_hostname_resolver(Resolver("127.0.0.9", dead))
        with pytest.raises(TimeoutError) as caught:
            await fails(f"ws://a.b:{port}/", open_timeout=0.2)
    assert str(caught.value) == (
        f"timed out connecting to a.b:{port} (127.0.0.9:{port}: connection refused; "
        f"{dead}:{port}: no answer); open_timeout is 0.2 s"
    )
    assert caught.value.diagnosis.layer == "timeout"  # type: ignore[attr-defined]


async def test_name_that_is_unknown_is_named() -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(socket.gaierror, match=r"cannot resolve 'example\.com': Name"):
        await fails("ws://example.com/")


async def test_local_address_is_used_or_named() -> None:
    async with echoing() as port:
        uri = f"ws://127.0.0.1:{port}/"
        async with connect(uri, local_address="127.0.0.7") as ws:
            assert ws.local_address[0] == "127.0.0.7"
        with pytest.raises(OSError, match=r"bind to local address 192\.0\.2\.1"):
            await fails(uri, local_address="192.0.2.1")


# TLS


async def test_refused_certificate_tells_expected_and_found(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def accept(listener: Listener) -> None:
        peer = await listener.accept()
        with pytest.raises(trio.BrokenResourceError):
            await peer.stream.receive_some(1)

    async with listening(ssl=server_tls) as listener, trio.open_nursery() as nursery:
        nursery.start_soon(accept, listener)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await fails(listener.at("/", "other.org"), host="127.0.0.1", ssl=client_tls)
    assert "certificate for 'other.org' refused: " in str(caught.value)
    assert str(caught.value).endswith("for 'localhost', '127.0.0.1', 'example.com'")


def was_resumed(ws: ClientConnection) -> bool:
    return bool(ws._driver.pipe.tls.session_reused)  # type: ignore[union-attr]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_tls_session_is_resumed_at_the_same_host(
    version: str, authority: trustme.CA
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.maximum_version = ssl.TLSVersion[version]
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    resumed = []
    async with echoing(ssl=server) as port:
        for host in ("localhost", "localhost", "127.0.0.1"):
            async with connect(f"wss://{host}:{port}/", ssl=context) as ws:
                await ws.send("x")
                await ws.recv()
                resumed.append(was_resumed(ws))
    assert resumed == [False, True, False]
