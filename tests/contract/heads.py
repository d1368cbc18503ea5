"""HTTP heads: what a refusal is, what is asked for, and what they may cost."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

import pytest
import trustme

from fullduplex import InvalidProxyStatus, InvalidStatus

from ..kit.clock import PATIENCE, Stopwatch
from ..kit.peer import Listener, Peer
from .faces import Kit
from .registry import behaviour
from .serving import talk

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ASK = ("Upgrade: websocket", "Connection: Upgrade", KEY, "Sec-WebSocket-Version: 13")


async def verdict(
    kit: Kit, answer: bytes, end: Callable[[Peer], None], **options: Any
) -> InvalidStatus:
    """Connect to a peer that answers with some bytes; `end` ends TCP or doesn't."""
    listener = Listener()

    def reply() -> Peer:
        peer = listener.accept()
        peer.read_head()
        with suppress(ConnectionError):  # it need not take all of it
            peer.write(answer)
        end(peer)
        return peer

    replying = kit.spawn(lambda: kit.do(reply))
    try:
        with pytest.raises(InvalidStatus) as caught:
            async with kit.connection(listener.uri, **options):
                pass
        peer = await replying.result()
        await kit.do(peer.gone)  # nothing is left open
    finally:
        listener.close()
    return caught.value


def stays(peer: Peer) -> None:
    """Keep TCP open."""


@behaviour(sides=())
async def refusal_counts_whatever_its_version_and_its_body(kit: Kit) -> None:
    for start, lines, body in (
        ("HTTP/1.0 503 Busy", "X: y", "later"),
        ("HTTP/1.0 404 Nothing", "Content-Length: 5", "later"),
        ("HTTP/1.1 999 Denied", "Content-Length: 2, 2", "no"),
        ("HTTP/1.1 429 Busy", "Content-Length: 100", "short"),
        ("HTTP/1.1 403 No", "Transfer-Encoding: gzip, chunked", "2\r\nno\r\n0\r\n\r\n"),
        ("HTTP/1.1 403", "no colon", "no"),
    ):
        answer = f"{start}\r\nRetry-After: 7\r\n{lines}\r\n\r\n{body}".encode()
        error = await verdict(kit, answer, Peer.half_close)
        assert str(error.response.status_code) == start.split()[1]
        assert error.response.headers["Retry-After"] == "7"
        assert error.response.body.decode() in body
        assert error.response.body


@behaviour(sides=())
async def refusal_with_a_huge_body_counts_and_keeps_1_mib(kit: Kit) -> None:
    answer = b"HTTP/1.1 403 No\r\n\r\n" + bytes(2**20 + 2**16)
    error = await verdict(kit, answer, stays)
    assert error.response.status_code == 403
    assert len(error.response.body) == 2**20


@behaviour(sides=())
async def refusal_that_leaves_tcp_open_counts_soon(kit: Kit) -> None:
    clock = Stopwatch()
    answer = b"HTTP/1.1 403 Forbidden\r\nServer: x\r\n\r\nwhy"
    error = await verdict(kit, answer, stays, open_timeout=60)
    assert (error.response.status_code, error.response.body) == (403, b"why")
    assert clock.elapsed < 30


@behaviour(sides=())
async def refusal_counts_also_when_open_timeout_ends_its_body(kit: Kit) -> None:
    answer = b"HTTP/1.0 503 Busy\r\nContent-Length: 9\r\n\r\nwhy"
    error = await verdict(kit, answer, stays, open_timeout=0.3)
    assert (error.response.status_code, error.response.body) == (503, b"why")
    assert isinstance(error.__cause__, TimeoutError)


@behaviour(sides=())
async def refusal_that_ends_with_a_reset_counts(kit: Kit) -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n"
    listener = Listener()

    def reply() -> None:
        peer = listener.accept()
        peer.read_head()
        peer.write(answer)
        peer.reset()

    replying = kit.spawn(lambda: kit.do(reply))
    try:
        with pytest.raises((InvalidStatus, ConnectionResetError)) as caught:
            async with kit.connection(listener.uri):
                pass
        await replying.result()
    finally:
        listener.close()
    # The reset may have overtaken the response.
    if isinstance(caught.value, InvalidStatus):
        assert caught.value.response.headers["Retry-After"] == "7"


@behaviour(sides=())
async def refusal_of_a_proxy_counts_as_that_of_a_server(kit: Kit) -> None:
    for answer, end, timeout in (
        (b"HTTP/1.0 407 Auth\r\nRetry-After: 7\r\n\r\nwhy", stays, 0.3),
        (b"HTTP/1.1 999 No\r\nRetry-After: 7\r\n\r\nwhy", stays, 60),
        (
            b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nwhy",
            Peer.half_close,
            60,
        ),
    ):
        listener = Listener()

        def reply(
            listener: Listener = listener,
            answer: bytes = answer,
            end: Callable[[Peer], None] = end,
        ) -> Peer:
            peer = listener.accept()
            peer.read_head()
            peer.write(answer)
            end(peer)
            return peer

        replying = kit.spawn(partial(kit.do, reply))
        try:
            proxy = f"http://127.0.0.1:{listener.port}"
            options: dict[str, Any] = {"proxy": proxy, "open_timeout": timeout}
            with pytest.raises(InvalidProxyStatus) as caught:
                async with kit.connection("ws://example.com/", **options):
                    pass
            peer = await replying.result()
            await kit.do(peer.gone)
        finally:
            listener.close()
        response = caught.value.response
        assert str(response.status_code).encode() in answer
        assert response.headers["Retry-After"] == "7"
        assert response.body == b"why"


@behaviour(sides=())
async def redirect_to_http_is_followed_as_ws_without_its_body(kit: Kit) -> None:
    first, second = Listener(), Listener()

    def serve() -> None:
        peer = first.accept()
        peer.read_head()
        location = f"Location: http://127.0.0.1:{second.port}/"
        # TCP stays open, and the body never comes.
        peer.write(f"HTTP/1.0 301 Moved\r\n{location}\r\n\r\n".encode())
        second.accept().handshake().answer_close()

    serving = kit.spawn(lambda: kit.do(serve))
    try:
        async with kit.connection(first.uri, close_timeout=0.5):
            pass
        await serving.result()
    finally:
        first.close()
        second.close()


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext, list[str | None]]:
    """Make TLS for name.example: server, client, and the names that SNI tells."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("name.example").configure_cert(server)
    names: list[str | None] = []
    server.sni_callback = lambda tls, name, context: names.append(name)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client, names


@behaviour(sides=())
async def refusal_over_tls_counts_however_it_ends(kit: Kit) -> None:
    server, client, _ = contexts()
    for lines, end, timeout in (
        ("X: y", Peer.close, 60),  # without a word of TLS
        ("Content-Length: 9", Peer.close, 60),
        ("Content-Length: 9", Peer.reset, 60),
        ("X: y", stays, 0.3),
    ):
        listener = Listener(context=server)

        def reply(
            listener: Listener = listener,
            lines: str = lines,
            end: Callable[[Peer], None] = end,
        ) -> None:
            peer = listener.accept()
            peer.read_head()
            head = f"HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n{lines}\r\n\r\nwhy"
            peer.write(head.encode())
            if end is Peer.reset:
                # What was sent must not be overtaken.
                peer.sock.settimeout(0.1)
                with suppress(TimeoutError):
                    peer.sock.recv(1)
            end(peer)

        replying = kit.spawn(partial(kit.do, reply))
        try:
            uri = f"wss://name.example:{listener.port}/"
            options: dict[str, Any] = {
                "ssl": client,
                "host": "127.0.0.1",
                "port": listener.port,
                "open_timeout": timeout,
            }
            with pytest.raises(InvalidStatus) as caught:
                async with kit.connection(uri, **options):
                    pass
            await replying.result()
        finally:
            listener.close()
        response = caught.value.response
        assert (response.status_code, response.body) == (503, b"why")
        assert response.headers["Retry-After"] == "7"


@behaviour(sides=())
async def final_dot_of_a_host_is_not_for_tls(kit: Kit) -> None:
    server, client, names = contexts()
    listener = Listener(context=server)

    def serve() -> str | None:
        peer = listener.accept().handshake()
        peer.answer_close()
        return peer.header("Host")

    del names[:]
    serving = kit.spawn(lambda: kit.do(serve))
    try:
        uri = f"wss://name.example.:{listener.port}/"
        options = {"ssl": client, "host": "127.0.0.1", "port": listener.port}
        async with kit.connection(uri, close_timeout=0.5, **options):
            pass
        assert await serving.result() == f"name.example.:{listener.port}"
        assert names == ["name.example"]
    finally:
        listener.close()


# Requests


async def opening(kit: Kit, address: tuple[str, int], *lines: str) -> bytes:
    """Send a request, and read the head of the response."""

    def exchange() -> bytes:
        with socket.create_connection(address, PATIENCE) as sock:
            peer = Peer(sock, masks=True)
            peer.write("\r\n".join([*lines, "", ""]).encode())
            return peer.read_head()

    return await kit.do(exchange)


def reached(seen: list[Any], count: int) -> bool:
    return len(seen) == count


@behaviour(sides=())
async def request_for_an_absolute_uri_is_one_for_its_path(kit: Kit) -> None:
    seen: list[Any] = []

    async def handler(ws: Any) -> None:
        seen.append((ws.path, ws.request_headers.get_all("Host")))

    def process_request(connection: Any, request: Any) -> Any:
        seen.append(request.path)

    options = {"process_request": process_request, "compression": None}
    async with kit.server(handler, **options) as address:
        for target in ("http://other:81/admin?x", "ws://other:81", "/plain"):
            expected = len(seen) + 2
            lines = (f"GET {target} HTTP/1.1", "Host: localhost", *ASK)
            answer = await opening(kit, address, *lines)
            assert answer.startswith(b"HTTP/1.1 101 ")
            await kit.until(partial(reached, seen, expected))
    other, plain = ["other:81"], ["localhost"]
    assert seen == [
        "/admin?x",
        ("/admin?x", other),
        "/",
        ("/", other),
        "/plain",
        ("/plain", plain),
    ]


@behaviour(sides=())
async def request_that_is_malformed_is_told_why(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        raise AssertionError

    def process_request(connection: Any, request: Any) -> Any:
        raise AssertionError

    options = {"process_request": process_request, "compression": None}
    async with kit.server(handler, **options) as address:
        for first, line, status, why in (
            ("GET * HTTP/1.1", "Host: a", 400, "the target is '*'"),
            ("GET admin HTTP/1.1", "Host: a", 400, "the target is 'admin'"),
            ("GET /a#b HTTP/1.1", "Host: a", 400, "the target is '/a#b'"),
            ("CONNECT a:80 HTTP/1.1", "Host: a", 400, "the target is 'a:80'"),
            ("GET / HTTP/1.1", "Host : a", 400, "invalid header line"),
            ("GET / HTTP/1.1", "Host: a\r\n b", 400, "RFC 9112, 5.2"),
            ("GET / HTTP/1.1", "Content-Length: 5", 400, "Content-Length is not 0"),
            ("GET / HTTP/1.1", "A: " + "x" * 9000, 431, "8192 bytes"),
            ("GET / HTTP/1.1", "A: " + ("x" * 8000 + "\r\nA: ") * 9, 431, "HEAD_SIZE"),
        ):
            answer = await talk(kit, address, first, line, *ASK)
            assert answer.startswith(b"HTTP/1.1 %d " % status), (first, line, answer)
            assert why in answer.decode(), (first, line[:60], answer)


@behaviour(sides=())
async def empty_line_before_a_request_is_ignored(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        pass

    async with kit.server(handler, compression=None) as address:
        lines = ("", "GET / HTTP/1.1", "Host: localhost", *ASK)
        answer = await opening(kit, address, *lines)
        assert answer.startswith(b"HTTP/1.1 101 ")


@behaviour(sides=())
async def lists_of_a_request_are_read_up_to_a_limit(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        raise AssertionError

    async with kit.server(handler) as address:
        for name, item in (
            ("Connection", "a,"),
            ("Sec-WebSocket-Extensions", "a;b;c,"),
            ("Sec-WebSocket-Protocol", "a,"),
        ):
            lines = ("GET / HTTP/1.1", "Host: a", *ASK, f"{name}: {item * 999}")
            answer = await talk(kit, address, *lines)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"allowed are 128" in answer
