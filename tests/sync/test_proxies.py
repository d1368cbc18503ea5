"""The blocking client through proxies, and among several addresses."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from fullduplex.core.handshake.errors import InvalidProxyStatus, ProxyError
from fullduplex.sync import ServerConnection, connect

from ..kit.bytes import redirect, response
from ..kit.clock import Stopwatch
from ..kit.proxies import deaf, free_port, microsocks, pproxy, relay_thread
from .kit import job, listening, served

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture(scope="module")
def open_proxy() -> Iterator[int]:
    with pproxy("http+socks4+socks5") as port:
        yield port


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


def works(uri: str, **options: Any) -> None:
    """Exchange messages over a connection, small ones and a large one."""
    with connect(uri, **options) as ws:
        for message in ("hello", b"x" * 200_000):
            ws.send(message)
            assert ws.recv() == message


def port_of(uri: str) -> int:
    return int(uri.rstrip("/").rpartition(":")[2])


# Proxies


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5", "socks5h"])
@pytest.mark.parametrize("secure", [False, True])
def test_messages_pass_through_pproxy(
    scheme: str,
    secure: bool,
    open_proxy: int,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    proxy = f"{scheme}://127.0.0.1:{open_proxy}"
    with served(echo, ssl=server_tls if secure else None) as (_, uri):
        options = {"ssl": client_tls} if secure else {}
        address = f"{'wss' if secure else 'ws'}://localhost:{port_of(uri)}/"
        works(address, proxy=proxy, **options)


@pytest.mark.parametrize("secure", [False, True])
def test_messages_pass_through_an_https_proxy_also_tls_inside_tls(
    secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with (
        served(echo, ssl=server_tls if secure else None) as (_, uri),
        relay_thread(server_tls) as relay,
    ):
        options = {"ssl": client_tls} if secure else {}
        works(
            f"{'wss' if secure else 'ws'}://localhost:{port_of(uri)}/",
            proxy=f"https://127.0.0.1:{relay.port}",
            proxy_ssl=client_tls,
            proxy_server_hostname="localhost",
            **options,
        )
        assert relay.requests[0].target == f"localhost:{port_of(uri)}"


def test_environment_is_used_but_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fullduplex.client")
    with served(echo) as (_, uri), relay_thread() as relay:
        monkeypatch.setenv("ws_proxy", f"http://u:secret@127.0.0.1:{relay.port}")
        works(uri)
        assert not relay.requests
        works(f"ws://example.com:{port_of(uri)}/")
        assert relay.requests[0].header("Proxy-Authorization") == "Basic dTpzZWNyZXQ="
    assert f"proxy http://127.0.0.1:{relay.port}, environment" in caplog.text
    assert "secret" not in caplog.text


def test_redirect_chooses_the_proxy_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as listener, relay_thread() as relay:
        monkeypatch.setenv("ws_proxy", f"http://u:p@127.0.0.1:{relay.port}")
        opening = job(connect, listener.at("/1", "example.com"))
        first = listener.accept().read_request()
        first.write(redirect(listener.at("/2", "localhost")))
        second = listener.accept().handshake()
        with opening.result():
            assert len(relay.requests) == 1
            for peer in (first, second):
                assert peer.header("Proxy-Authorization") is None
            second.close()


def test_refusals_are_errors_of_the_proxy() -> None:
    with microsocks() as port:
        with pytest.raises(ProxyError, match="SOCKS proxy did not connect: Username"):
            connect("ws://localhost:1/", proxy=f"socks5://a:b@127.0.0.1:{port}")
        with pytest.raises(ProxyError, match=r"refused.*given as proxy"):
            connect(
                f"ws://localhost:{free_port()}/",
                proxy=f"socks5h://name:secret@127.0.0.1:{port}",
            )


def test_refusal_has_status_and_body() -> None:
    with listening() as listener:
        proxy = f"http://127.0.0.1:{listener.port}"
        opening = job(connect, "ws://example.com/", proxy=proxy)
        peer = listener.accept().read_request()
        peer.write(response("HTTP/1.1 407 Auth", "Content-Length: 2") + b"no")
        with pytest.raises(InvalidProxyStatus) as caught:
            opening.result()
        assert caught.value.response.body == b"no"
        assert caught.value.diagnosis.proxy == proxy
        assert f"(proxy {proxy}, given as proxy)" in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_proxy_that_is_silent_is_named_by_the_timeout(scheme: str) -> None:
    with listening() as listener:
        proxy = f"{scheme}://127.0.0.1:{listener.port}"
        with pytest.raises(TimeoutError, match=f"timed out waiting for proxy {scheme}"):
            connect("ws://127.0.0.1:1/", proxy=proxy, open_timeout=0.2)


def test_proxy_that_is_not_there_keeps_the_class_and_is_named() -> None:
    for scheme in ("http", "https", "socks5h"):
        proxy = f"{scheme}://127.0.0.1:{free_port()}"
        with pytest.raises(ConnectionRefusedError) as caught:
            connect("ws://localhost/", proxy=proxy)
        assert str(caught.value).endswith(f"refused (proxy {proxy}, given as proxy)")


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("nonsense", {}),
        ("http://proxy", {"proxy_ssl": True}),
        ("socks5://proxy", {"proxy_server_hostname": "a"}),
    ],
)
def test_proxy_that_cannot_be_is_refused_by_the_call(
    proxy: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        connect("ws://a.b/", proxy=proxy, **options)


def test_socks_without_python_socks_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ImportError, match=r"fullduplex\[socks\]"):
        connect("ws://localhost/", proxy="socks5://127.0.0.1:1")


# Addresses


def resolving(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let the resolver give these addresses for every name."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwds: Any) -> list[Any]:
        if kwds.get("flags") == socket.AI_NUMERICHOST:
            return ask(host, port, *args, **kwds)
        return [info for each in hosts for info in ask(each, port, *args, **kwds)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_dead_address_takes_no_longer_than_the_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served(echo) as (_, uri), deaf(port_of(uri)) as dead:
        resolving(monkeypatch, dead, "127.0.0.9", "127.0.0.1")
        with Stopwatch() as watch, connect(f"ws://a.b:{port_of(uri)}/") as ws:
            assert ws.remote_address[0] == "127.0.0.1"
            assert ws.opening is not None
            assert list(ws.opening.phases) == ["dns", "tcp", "handshake"]
            assert len(ws.opening.addresses) == 3
    assert watch.elapsed < 2


def test_failure_of_every_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.8", "127.0.0.9")
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match=f"8:{port}: .* 127.0.0.9:{port}"):
        connect(f"ws://a.b:{port}/")


def test_timeout_tells_what_became_of_each_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    with deaf(port) as dead:
        resolving(monkeypatch, "127.0.0.9", dead)
        with pytest.raises(TimeoutError) as caught:
            connect(f"ws://a.b:{port}/", open_timeout=0.2)
    assert str(caught.value) == (
        f"timed out connecting to a.b:{port} (127.0.0.9:{port}: connection refused; "
        f"{dead}:{port}: no answer); open_timeout is 0.2 s"
    )
    assert caught.value.diagnosis.layer == "timeout"  # type: ignore[attr-defined]


def test_name_that_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **kwds: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(socket.gaierror, match="cannot resolve 'example"):
        connect("ws://example.com/")


def test_source_address_is_used_or_named() -> None:
    with served(echo) as (_, uri):
        with connect(uri, source_address=("127.0.0.7", 0)) as ws:
            assert ws.local_address[0] == "127.0.0.7"
        with pytest.raises(OSError, match="bind to local address 192"):
            connect(uri, source_address=("192.0.2.1", 0))


# TLS


def test_refused_certificate_tells_expected_and_found(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:
        accepting = job(listener.accept)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(
                f"wss://example.org:{listener.port}/", host="127.0.0.1", ssl=client_tls
            )
        with pytest.raises(ssl.SSLError):
            accepting.result()
    assert "certificate for 'example.org' refused: " in str(caught.value)
    names = "'localhost', '127.0.0.1', 'example.com'"
    assert str(caught.value).endswith(f"; it is for {names}")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_session_is_resumed_at_the_same_host(
    version: str, authority: trustme.CA
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.maximum_version = ssl.TLSVersion[version]
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with served(echo, ssl=server) as (_, uri):
        port = port_of(uri)
        resumed = []
        for host in ("localhost", "localhost", "127.0.0.1"):
            with connect(f"wss://{host}:{port}/", ssl=context) as ws:
                ws.send("x")
                ws.recv()
                resumed.append(ws._driver.tls.object.session_reused)
        assert resumed == [False, True, False]
