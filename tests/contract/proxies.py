"""Connecting through proxies, and to hosts with several addresses."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any

import pytest

from fullduplex import ConnectionClosed, InvalidProxyStatus, ProxyError

from ..kit.bytes import redirect, response
from ..kit.clock import Stopwatch
from ..kit.peer import Listener, Peer
from ..kit.proxies import deaf, free_port, microsocks, pproxy, relay_thread
from ..kit.tls import contexts
from .faces import Kit
from .records import collecting
from .registry import behaviour


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Have these variables in the environment, and no others that name proxies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@cache
def open_proxy() -> int:
    """Run pproxy until the process ends; return its port."""
    stack = ExitStack()
    port = stack.enter_context(pproxy("http+socks4+socks5"))
    atexit.register(stack.close)
    return port


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    listener = Listener(context=context)
    try:
        yield listener
    finally:
        listener.close()


@asynccontextmanager
async def echoing(kit: Kit, **options: Any) -> AsyncIterator[int]:
    """Run a server that echoes; gives its port."""

    async def echo(ws: Any) -> None:
        end = kit.end(ws)
        with suppress(ConnectionClosed):
            while True:
                await end.send(await end.recv())

    async with kit.server(echo, **options) as address:
        yield address[1]


async def works(kit: Kit, uri: str, **options: Any) -> None:
    """Exchange messages over a connection, small ones and a large one."""
    async with kit.connection(uri, **options) as ws:
        end = kit.end(ws)
        for message in ("hello", b"x" * 200_000):
            await end.send(message)
            assert await end.recv() == message


async def fails(kit: Kit, uri: str, **options: Any) -> None:
    async with kit.connection(uri, **options):
        raise AssertionError("connected")


# Proxies


@behaviour(sides=(), tls=False)
async def messages_pass_through_pproxy(kit: Kit) -> None:
    server, client = contexts()
    for secure in (False, True):
        options: dict[str, Any] = {"ssl": client} if secure else {}
        async with echoing(kit, ssl=server if secure else None) as port:
            uri = f"{'wss' if secure else 'ws'}://localhost:{port}/"
            for scheme in ("http", "socks4", "socks5", "socks5h"):
                proxy = f"{scheme}://127.0.0.1:{open_proxy()}"
                await works(kit, uri, proxy=proxy, **options)


@behaviour(sides=(), tls=False)
async def messages_pass_through_an_https_proxy_also_tls_inside_tls(kit: Kit) -> None:
    server, client = contexts()
    for secure in (False, True):
        options: dict[str, Any] = {"ssl": client} if secure else {}
        with relay_thread(server) as relay:
            async with echoing(kit, ssl=server if secure else None) as port:
                await works(
                    kit,
                    f"{'wss' if secure else 'ws'}://localhost:{port}/",
                    proxy=f"https://127.0.0.1:{relay.port}",
                    proxy_ssl=client,
                    proxy_server_hostname="localhost",
                    **options,
                )
                assert relay.requests[0].target == f"localhost:{port}"


@behaviour(sides=(), tls=False)
async def environment_is_used_but_not_for_loopback(kit: Kit) -> None:
    with (
        collecting(logging.INFO, "fullduplex.client") as (_, records),
        relay_thread() as relay,
        environment(ws_proxy=f"http://u:secret@127.0.0.1:{relay.port}"),
    ):
        async with echoing(kit) as port:
            await works(kit, f"ws://127.0.0.1:{port}/")
            assert not relay.requests
            await works(kit, f"ws://example.com:{port}/")
        (request,) = relay.requests
        assert request.header("Proxy-Authorization") == "Basic dTpzZWNyZXQ="
    log = "\n".join(text for _, text in records.kept)
    assert f"proxy http://127.0.0.1:{relay.port}, environment" in log
    assert "secret" not in log


@behaviour(sides=(), tls=False)
async def redirect_chooses_the_proxy_anew(kit: Kit) -> None:
    def serve(listener: Listener) -> None:
        first = listener.accept().read_request()
        first.write(redirect(listener.at("/2", "localhost")))
        second = listener.accept().handshake()
        for peer in (first, second):
            assert peer.header("Proxy-Authorization") is None
        second.answer_close()

    with (
        listening() as listener,
        relay_thread() as relay,
        environment(ws_proxy=f"http://u:p@127.0.0.1:{relay.port}"),
    ):
        serving = kit.spawn(lambda: kit.do(serve, listener))
        async with kit.connection(listener.at("/1", "example.com")):
            assert len(relay.requests) == 1
        await serving.result()


@behaviour(sides=(), tls=False)
async def refusals_are_errors_of_the_proxy(kit: Kit) -> None:
    with microsocks() as port:
        with pytest.raises(ProxyError, match="SOCKS proxy did not connect: Username"):
            proxy = f"socks5://a:b@127.0.0.1:{port}"
            await fails(kit, "ws://localhost:1/", proxy=proxy)
        with pytest.raises(ProxyError, match=r"refused.*given as proxy"):
            proxy = f"socks5h://name:secret@127.0.0.1:{port}"
            await fails(kit, f"ws://localhost:{free_port()}/", proxy=proxy)


@behaviour(sides=(), tls=False)
async def refusal_has_status_body_and_diagnosis(kit: Kit) -> None:
    def refuse(listener: Listener) -> Peer:
        peer = listener.accept().read_request()
        peer.write(response("HTTP/1.1 407 Auth", "Content-Length: 2") + b"no")
        return peer

    with listening() as listener:
        proxy = f"http://127.0.0.1:{listener.port}"
        refusing = kit.spawn(lambda: kit.do(refuse, listener))
        with pytest.raises(InvalidProxyStatus) as caught:
            await fails(kit, "ws://example.com/", proxy=proxy)
        await refusing.result()
    assert caught.value.response.body == b"no"
    assert f"(proxy {proxy}, given as proxy)" in str(caught.value)
    assert caught.value.diagnosis.proxy == proxy


@behaviour(sides=(), tls=False)
async def proxy_that_is_silent_is_named_by_the_timeout(kit: Kit) -> None:
    for scheme in ("http", "socks5"):
        with listening() as listener:
            proxy = f"{scheme}://127.0.0.1:{listener.port}"
            message = f"timed out waiting for proxy {scheme}"
            with pytest.raises(TimeoutError, match=message):
                await fails(kit, "ws://127.0.0.1:1/", proxy=proxy, open_timeout=0.2)


@behaviour(sides=(), tls=False)
async def proxy_that_is_not_there_keeps_the_class_and_is_named(kit: Kit) -> None:
    for scheme in ("http", "https", "socks5h"):
        proxy = f"{scheme}://127.0.0.1:{free_port()}"
        with pytest.raises(ConnectionRefusedError) as caught:
            await fails(kit, "ws://localhost/", proxy=proxy)
        assert str(caught.value).endswith(f"refused (proxy {proxy}, given as proxy)")


@behaviour(sides=(), tls=False)
async def proxy_that_cannot_be_is_refused_by_the_call(kit: Kit) -> None:
    for proxy, options in (
        ("nonsense", {}),
        ("http://proxy", {"proxy_ssl": True}),
        ("socks5://proxy", {"proxy_server_hostname": "a"}),
    ):
        with pytest.raises(ValueError):
            kit.connect("ws://a.b/", proxy=proxy, **options)


@behaviour(sides=(), tls=False)
async def socks_without_python_socks_names_the_extra(kit: Kit) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "python_socks", None)
        with pytest.raises(ImportError, match=r"fullduplex\[socks\]"):
            await fails(kit, "ws://localhost/", proxy="socks5://127.0.0.1:1")


# Addresses


@behaviour(sides=(), tls=False)
async def dead_address_takes_no_longer_than_the_delay(kit: Kit) -> None:
    async with echoing(kit) as port:
        with (
            environment(),
            deaf(port) as dead,
            kit.resolving(dead, "127.0.0.9", "127.0.0.1"),
        ):
            watch = Stopwatch()
            async with kit.connection(f"ws://a.b:{port}/") as ws:
                assert ws.remote_address[0] == "127.0.0.1"
                assert ws.opening is not None
                assert list(ws.opening.phases) == ["dns", "tcp", "handshake"]
                assert len(ws.opening.addresses) == 3
            assert 0.2 < watch.elapsed < 2


@behaviour(sides=(), tls=False)
async def failure_of_every_address_is_told(kit: Kit) -> None:
    port = free_port()
    with (
        environment(),
        kit.resolving("127.0.0.8", "127.0.0.9"),
        pytest.raises(ConnectionRefusedError) as caught,
    ):
        await fails(kit, f"ws://a.b:{port}/")
    assert str(caught.value).endswith(
        f"cannot connect to a.b:{port}: 127.0.0.8:{port}: connection refused; "
        f"127.0.0.9:{port}: connection refused"
    )


@behaviour(sides=(), tls=False)
async def timeout_tells_what_became_of_each_address(kit: Kit) -> None:
    port = free_port()
    with (
        environment(),
        deaf(port) as dead,
        kit.resolving("127.0.0.9", dead),
        pytest.raises(TimeoutError) as caught,
    ):
        await fails(kit, f"ws://a.b:{port}/", open_timeout=0.2)
    assert str(caught.value) == (
        f"timed out connecting to a.b:{port} (127.0.0.9:{port}: connection refused; "
        f"{dead}:{port}: no answer); open_timeout is 0.2 s"
    )
    assert caught.value.diagnosis.layer == "timeout"  # type: ignore[attr-defined]


@behaviour(sides=(), tls=False)
async def name_that_is_unknown_is_named(kit: Kit) -> None:
    with environment(), kit.resolving(), pytest.raises(socket.gaierror) as caught:
        await fails(kit, "ws://example.com/")
    assert caught.value.errno == socket.EAI_NONAME
    assert "cannot resolve 'example.com': Name or" in str(caught.value)


# TLS


@behaviour(sides=(), tls=False)
async def refused_certificate_tells_expected_and_found(kit: Kit) -> None:
    server, client = contexts()

    def accept(listener: Listener) -> None:
        with pytest.raises(OSError):
            listener.accept()

    with environment(), listening(server) as listener:
        accepting = kit.spawn(lambda: kit.do(accept, listener))
        uri = listener.at("/", "other.org")
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await fails(kit, uri, host="127.0.0.1", ssl=client)
        await accepting.result()
    assert "certificate for 'other.org' refused: " in str(caught.value)
    assert str(caught.value).endswith("; it is for 'localhost', '127.0.0.1'")
