"""Where and how to connect, and for how long to try."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullduplex import (
    InvalidStatus,
    connect,
    unix_connect,
)

from ..kit.asyncio_peer import Peer, Stopwatch, listening, turns
from ..kit.bytes import BINARY, TEXT, redirect
from .kit import attempt, finish

# Where to connect


async def test_host_and_port_change_the_destination_but_not_the_request() -> None:
    async with listening() as listener:
        cases: list[tuple[str, dict[str, Any], str]] = [
            (
                "ws://example.com/",
                {"host": "127.0.0.1", "port": listener.port},
                "example.com",
            ),
            ("ws://127.0.0.1:9/", {"port": listener.port}, "127.0.0.1:9"),
            (
                f"ws://nowhere.invalid:{listener.port}/",
                {"host": "127.0.0.1"},
                f"nowhere.invalid:{listener.port}",
            ),
        ]
        for uri, options, host in cases:
            opening = asyncio.ensure_future(connect(uri, **options).connect())
            peer = await (await listener.accept()).handshake()
            assert peer.header("Host") == host
            await finish(await opening, peer)


async def test_sock_is_taken_over() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(
            connect("ws://example.com/", sock=sock).connect()
        )
        peer = await (await listener.accept()).handshake()
        assert peer.header("Host") == "example.com"
        ws = await opening
        await finish(ws, peer)
        await turns(2)
        assert sock.fileno() == -1


async def test_sock_is_closed_after_a_failed_handshake() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(
            connect("ws://example.com/", sock=sock).connect()
        )
        peer = await (await listener.accept()).read_request()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(InvalidStatus):
            await opening
        await peer.gone()
        await turns(2)
        assert sock.fileno() == -1


async def test_local_addr_is_where_we_connect_from() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(listener.uri, local_addr=("127.0.0.1", 0)).connect()
        )
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert ws.local_address[0] == "127.0.0.1"
        await finish(ws, peer)


@pytest.mark.variants("plain")
async def test_keywords_of_create_connection_are_accepted() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(
                f"ws://localhost:{listener.port}/",
                happy_eyeballs_delay=0.1,
                interleave=1,
                family=socket.AF_INET,
                proto=0,
                flags=0,
                all_errors=False,
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


async def test_refused_tcp_is_an_oserror() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("form", [str, str.encode, Path], ids=lambda f: f.__name__)
async def test_unix_connect_connects_to_a_path(
    form: Callable[[str], Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener:
        opening = asyncio.ensure_future(unix_connect(form(path)).connect())
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.header("Host") == "localhost"
        assert ws.remote_address == path
        assert ws.local_address == ""
        await ws.send("x")
        assert (await peer.read()).opcode in (TEXT, BINARY)
        await finish(ws, peer)


async def test_unix_connect_with_tls_asks_for_wss(
    tmp_path: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path, ssl=server_tls) as listener:
        opening = asyncio.ensure_future(unix_connect(path, ssl=client_tls).connect())
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.header("Host") == "localhost"
        assert ws.secure
        await finish(ws, peer)


async def test_unix_connect_with_uri_and_keywords_uses_them(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener:
        opening = asyncio.ensure_future(
            unix_connect(path, "ws://example.com/there", origin="o").connect()
        )
        peer = await (await listener.accept()).handshake()
        assert (peer.header("Host"), peer.target) == ("example.com", "/there")
        assert peer.header("Origin") == "o"
        await finish(await opening, peer)


# Using the object


async def test_connect_awaited_returns_an_open_connection() -> None:
    async with listening() as listener:

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            await peer.answer_close()

        task = asyncio.ensure_future(serve())
        ws = await connect(listener.uri)
        assert ws.open
        await ws.close()
        await task


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1000), (LookupError, 1011), (asyncio.CancelledError, 1011)],
)
async def test_connect_as_context_manager_always_closes(
    error: type[BaseException] | None, code: int
) -> None:
    async with listening() as listener:
        codes = []

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            codes.append((await peer.answer_close()).code)

        task = asyncio.ensure_future(serve())
        seen: BaseException | None = None
        try:
            async with connect(listener.uri) as ws:
                assert ws.open
                if error is not None:
                    raise error
        except (LookupError, asyncio.CancelledError) as exc:
            seen = exc
        await task
        assert type(seen) is (error or type(None))
        assert ws.closed
        assert codes == [code]


async def test_connect_object_may_be_used_again_but_not_twice_at_once() -> None:
    async with listening() as listener:

        async def serve() -> None:
            for _ in range(2):
                await (await (await listener.accept()).handshake()).answer_close()

        task = asyncio.ensure_future(serve())
        opening = connect(listener.uri)
        async with opening:
            with pytest.raises(RuntimeError):
                async with opening:
                    pass
        async with opening as ws:
            assert ws.open
        await task


# Time


async def test_open_timeout_ends_waiting_for_a_silent_server() -> None:
    async with listening() as listener:
        watch = Stopwatch()
        with pytest.raises(TimeoutError, match="open_timeout"):
            await connect(listener.uri, open_timeout=0.1, close_timeout=5)
        assert 0.08 < watch.elapsed < 2
        await (await listener.accept()).gone()


async def test_open_timeout_covers_a_response_that_never_ends() -> None:
    async with listening() as listener:

        async def drip() -> None:
            peer = await (await listener.accept()).read_request()
            peer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
            try:
                while True:
                    peer.write(b"X: y\r\n")
                    await peer.drain()
                    await asyncio.sleep(0.02)
            except (ConnectionError, RuntimeError):
                pass  # uvloop raises RuntimeError once it has closed the transport

        task = asyncio.ensure_future(drip())
        watch = Stopwatch()
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=0.2)
        assert watch.elapsed < 2
        await task


async def test_open_timeout_covers_all_redirects_together() -> None:
    async with listening() as listener:

        async def serve() -> None:
            try:
                while True:
                    peer = await (await listener.accept()).read_request()
                    await asyncio.sleep(0.06)
                    peer.write(redirect("/again"))
            except asyncio.CancelledError:
                pass

        task = asyncio.ensure_future(serve())
        watch = Stopwatch()
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=0.2)
        assert watch.elapsed < 2
        task.cancel()
        await task


@pytest.mark.parametrize("value", [0, -1])
async def test_open_timeout_of_nothing_fails_at_once(value: float) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=value)


async def test_open_timeout_none_waits() -> None:
    async with listening() as listener:

        async def late(peer: Peer) -> None:
            await asyncio.sleep(0.05)
            await peer.handshake()

        ws, peer = await attempt(listener, late, open_timeout=None)
        await finish(ws, peer)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
async def test_cancelling_while_connecting_closes_the_socket(
    secure: bool, client_tls: ssl.SSLContext
) -> None:
    async with listening() as listener:
        options: dict[str, Any] = {"ssl": client_tls} if secure else {}
        scheme = "wss" if secure else "ws"
        uri = f"{scheme}://localhost:{listener.port}/"
        task = asyncio.ensure_future(connect(uri, **options).connect())
        peer = await listener.accept()
        await peer.reader.read(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.gone()


async def test_cancelling_at_any_moment_leaves_nothing_open() -> None:
    async with listening() as listener:

        async def serve() -> None:
            while True:
                peer = await listener.accept()
                served.append(asyncio.ensure_future(handshake(peer)))

        async def handshake(peer: Peer) -> None:
            try:
                await peer.handshake()
            except (EOFError, ConnectionError):
                pass
            await peer.gone()
            peer.close()

        served: list[asyncio.Future[None]] = []
        task = asyncio.ensure_future(serve())
        for wait in range(20):
            opening = asyncio.ensure_future(
                connect(listener.uri, close_timeout=0.02).connect()
            )
            await turns(wait)
            opening.cancel()
            try:
                ws = await opening
            except asyncio.CancelledError:
                continue
            await ws.close()
        await turns(10)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.gather(*served)
