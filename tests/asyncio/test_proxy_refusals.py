"""Proxies that refuse, answer nonsense, stall or vanish; and what is noted of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import connect
from fullduplex.core.handshake.errors import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)

from ..kit.asyncio_peer import Listener, Peer, Stopwatch, listening
from ..kit.bytes import response
from ..kit.proxies import free_port, relaying
from .kit import finish

pytestmark = pytest.mark.usefixtures("no_proxies")

Step = Callable[[Peer], Awaitable[Any]]


def answering(data: bytes, *, end: bool = False) -> Step:
    """Answer the request with these bytes; then close TCP, or stay."""

    async def step(peer: Peer) -> None:
        await peer.read_request()
        peer.write(data)
        if end:
            peer.close()

    return step


@asynccontextmanager
async def refusing(
    scheme: str, step: Step, server_tls: ssl.SSLContext
) -> AsyncIterator[tuple[Listener, str]]:
    """Run a proxy that takes one step for each connection; yields its address."""
    async with listening(ssl=server_tls if scheme == "https" else None) as listener:

        async def run() -> None:
            while True:
                await step(await listener.accept())

        running = asyncio.ensure_future(run())
        try:
            yield listener, f"{scheme}://localhost:{listener.port}"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def attempt(
    scheme: str,
    step: Step,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    **options: Any,
) -> Exception:
    """Connect through a proxy like that; returns what was raised."""
    if scheme == "https":
        options["proxy_ssl"] = client_tls
    async with refusing(scheme, step, server_tls) as (_, proxy):
        with pytest.raises(Exception) as caught:
            await connect("ws://example.com/", proxy=proxy, **options)
    return caught.value


schemes = pytest.mark.parametrize("scheme", ["http", "https"])


@schemes
async def test_refusal_has_status_headers_and_body(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    data = response(
        "HTTP/1.1 407 Proxy Authentication Required",
        'Proxy-Authenticate: Basic realm="x"',
        "Content-Length: 5",
    )
    exc = await attempt(scheme, answering(data + b"hello"), server_tls, client_tls)

    assert isinstance(exc, InvalidProxyStatus)
    assert exc.response.status_code == 407
    assert exc.response.headers["Proxy-Authenticate"] == 'Basic realm="x"'
    assert exc.response.body == b"hello"
    assert f"(proxy {scheme}://localhost:" in str(exc)


@schemes
async def test_refusal_that_goes_on_for_ever_is_not_waited_for(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    watch = Stopwatch()
    data = response("HTTP/1.1 502 Bad Gateway", "X: y")
    exc = await attempt(scheme, answering(data), server_tls, client_tls)

    assert isinstance(exc, InvalidProxyStatus)
    assert watch.elapsed < 2


@schemes
async def test_refusal_with_an_endless_body_takes_bounded_memory(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def step(peer: Peer) -> None:
        await peer.read_request()
        peer.write(response("HTTP/1.1 503 x", "Connection: close"))
        while not peer.writer.is_closing():
            peer.write(b"x" * 65536)
            await peer.drain()

    exc = await attempt(scheme, step, server_tls, client_tls)

    assert isinstance(exc, InvalidProxyStatus)
    assert "body has" in str(exc.__cause__)


@schemes
@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 O", b"\x05\xff\r\n", b"x" * 10000], ids=len
)
async def test_what_is_no_answer_is_an_error_of_the_proxy(
    scheme: str, data: bytes, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    exc = await attempt(scheme, answering(data, end=True), server_tls, client_tls)

    assert isinstance(exc, InvalidProxyMessage)
    assert f"(proxy {scheme}://localhost:" in str(exc)


@schemes
async def test_server_that_speaks_before_it_is_asked_is_no_server(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    data = response("HTTP/1.1 200 OK") + b"220 mail.example.com ESMTP\r\n"
    exc = await attempt(scheme, answering(data), server_tls, client_tls)

    assert isinstance(exc, ProxyError)
    assert "before the server was asked" in str(exc)


@schemes
async def test_proxy_that_is_silent_is_named_by_the_timeout(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    exc = await attempt(
        scheme, answering(b"HTTP/1.1"), server_tls, client_tls, open_timeout=0.2
    )

    assert isinstance(exc, TimeoutError)
    assert str(exc).startswith(f"timed out waiting for proxy {scheme}://localhost:")
    assert str(exc).endswith("given as proxy; open_timeout is 0.2 s")


@schemes
async def test_proxy_that_resets_is_named(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def step(peer: Peer) -> None:
        await peer.read_request()
        peer.reset()

    exc = await attempt(scheme, step, server_tls, client_tls)

    assert isinstance(exc, OSError | InvalidProxyMessage)
    assert f"(proxy {scheme}://localhost:" in str(exc)


@schemes
@pytest.mark.parametrize("secure", [False, True])
async def test_tunnel_that_is_cut_at_once_fails_soon(
    scheme: str, secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    step = answering(response("HTTP/1.1 200 OK"), end=True)
    options: dict[str, Any] = {"ssl": client_tls} if secure else {}
    if scheme == "https":
        options["proxy_ssl"] = client_tls
    async with refusing(scheme, step, server_tls) as (_, proxy):
        uri = "wss://example.com/" if secure else "ws://example.com/"
        watch = Stopwatch()
        with pytest.raises(Exception) as caught:
            await connect(uri, proxy=proxy, **options)
    assert not isinstance(caught.value, TimeoutError)
    assert watch.elapsed < 2


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", True),
        (b"HTTP/1.1 400 Bad Request\r\n", True),
        (b"\x05\xff", False),
        (b"\x00\x5b" + bytes(6), False),
    ],
    ids=repr,
)
@pytest.mark.variants("two")
async def test_what_is_no_socks_is_an_error_of_the_proxy(
    scheme: str, data: bytes, end: bool
) -> None:
    async def step(peer: Peer) -> None:
        await peer.reader.read(64)
        peer.write(data)
        if end:
            peer.close()

    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(
                "ws://127.0.0.1:1/",
                proxy=f"{scheme}://127.0.0.1:{listener.port}",
                open_timeout=0.5,
            ).connect()
        )
        await step(await listener.accept())
        # Some of the answers are the beginning of one in the other version.
        with pytest.raises((ProxyError, TimeoutError)) as caught:
            await opening
        assert f"proxy {scheme}://127.0.0.1:{listener.port}, given" in str(caught.value)


@schemes
@pytest.mark.variants("two")
async def test_cancelling_while_the_proxy_thinks_leaves_nothing_open(
    scheme: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    asked = asyncio.Event()

    async def step(peer: Peer) -> None:
        await peer.read_request()
        asked.set()

    options: dict[str, Any] = {}
    if scheme == "https":
        options["proxy_ssl"] = client_tls
    async with refusing(scheme, step, server_tls) as (listener, proxy):
        task = asyncio.ensure_future(
            connect("ws://example.com/", proxy=proxy, **options).connect()
        )
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await listener.peers[0].gone()


# What is noted


@pytest.mark.variants("two")
async def test_opening_is_noted_with_its_phases_and_the_proxy(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener, relaying() as relay:
        proxy = f"http://user:secret@localhost:{relay.port}"
        opening = asyncio.ensure_future(
            connect(
                f"wss://me:mine@localhost:{listener.port}/path",
                ssl=client_tls,
                proxy=proxy,
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        ws = await opening
        noted = ws.opening

        assert noted is not None
        assert noted.trail == [f"wss://localhost:{listener.port}/path"]
        assert noted.proxy == f"http://localhost:{relay.port}"
        assert noted.proxy_reason == "given as proxy"
        assert noted.addresses[-1] == (f"127.0.0.1:{relay.port}", None)
        assert list(noted.phases) == ["dns", "tcp", "proxy", "tls", "handshake"]
        assert all(seconds >= 0 for seconds in noted.phases.values())
        await finish(ws, peer)


@pytest.mark.variants("two")
async def test_failure_has_a_diagnosis_with_all_that_was_noted() -> None:
    async def step(peer: Peer) -> None:
        await answering(response("HTTP/1.1 403 No", "Content-Length: 2") + b"no")(peer)

    async with listening() as listener:
        proxy = f"http://user:secret@localhost:{listener.port}"
        opening = asyncio.ensure_future(
            connect("ws://example.com/path", proxy=proxy).connect()
        )
        await step(await listener.accept())
        with pytest.raises(InvalidProxyStatus) as caught:
            await opening
        port = listener.port
    diagnosis = caught.value.diagnosis
    assert diagnosis.layer == "proxy"
    assert diagnosis.uri == "ws://example.com/path"
    assert diagnosis.proxy == f"http://localhost:{port}"
    assert diagnosis.addresses[-1] == (f"127.0.0.1:{port}", None)
    assert diagnosis.response is not None
    assert diagnosis.response.body == b"no"


@pytest.mark.variants("two")
async def test_failures_of_the_system_have_a_diagnosis_too() -> None:
    for port, timeout, layer in ((free_port(), 5, "RST"), (free_port(), 0, "timeout")):
        with pytest.raises(OSError) as caught:
            await connect(f"ws://127.0.0.1:{port}/", open_timeout=timeout)
        diagnosis: Any = caught.value.diagnosis  # type: ignore[attr-defined]
        assert diagnosis.layer == layer
        assert diagnosis.uri == f"ws://127.0.0.1:{port}/"


@pytest.mark.variants("two")
async def test_opening_without_proxy_and_tls_has_only_its_phases() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(connect(listener.uri).connect())
        peer = await (await listener.accept()).handshake()
        ws = await opening

        assert ws.opening is not None
        assert list(ws.opening.phases) == ["dns", "tcp", "handshake"]
        assert ws.opening.proxy is None
        assert ws.opening.proxy_reason == "the host is loopback or link-local"
        await finish(ws, peer)
