"""`connect` and `unix_connect` on trio: where they lead, and how they fail."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme

from fullduplex import (
    ConnectionClosedOK,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    SecurityError,
    State,
)
from fullduplex.trio import ClientConnection, connect, unix_connect
from fullduplex.trio._connector import encrypt

from ..kit.bytes import TEXT, frame, redirect
from ..kit.clock import PATIENCE
from ..kit.names import label
from ..kit.trio_peer import Listener, Peer, listening
from .kit import opened

Step = Callable[[Peer], Awaitable[Any]]


@contextlib.asynccontextmanager
async def answering(listener: Listener, *steps: Step) -> AsyncIterator[list[Peer]]:
    """Take one connection for each step, which does with it what it likes."""
    peers: list[Peer] = []

    async def answer() -> None:
        for step in steps:
            peer = await listener.accept()
            peers.append(peer)
            await step(peer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        yield peers
        nursery.cancel_scope.cancel()


async def well(peer: Peer) -> None:
    """Open the connection and behave well."""
    await peer.handshake()
    await peer.echo()


def sending(data: bytes) -> Step:
    """Make a step that answers the request with `data` and closes TCP."""

    async def step(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(data)
        await peer.close()

    return step


async def test_connection_knows_both_ends_and_the_handshake() -> None:
    async with opened("X-Answer: yes") as (ws, peer):
        assert ws.local_address == peer.sock.getpeername()
        assert ws.remote_address == peer.sock.getsockname()
        assert (ws.path, ws.host, ws.secure) == ("/", "127.0.0.1", False)
        assert ws.response_headers["X-Answer"] == "yes"
        assert ws.state is State.OPEN


async def test_message_glued_to_the_response_is_received() -> None:
    async with opened(glued=frame(TEXT, "glued")) as (ws, _):
        assert await ws.recv() == "glued"


async def test_messages_of_all_sizes_go_both_ways() -> None:
    async with (
        listening() as listener,
        answering(listener, well),
        connect(listener.uri, compression=None, max_size=None) as ws,
    ):
        for size in (0, 1, 125, 126, 65535, 65536, 5_000_000):
            await ws.send(bytes(size))
            assert await ws.recv() == bytes(size)
        await ws.send(["in ", "frag", "ments"])
        assert await ws.recv() == "in fragments"


async def test_host_and_port_lead_elsewhere() -> None:
    async with listening() as listener, answering(listener, well) as peers:
        uri = "ws://example.com:8765/path"
        async with connect(uri, host="127.0.0.1", port=listener.port) as ws:
            assert peers[0].header("Host") == "example.com:8765"
            assert ws.path == "/path"


async def test_stream_is_used_and_closed() -> None:
    async with listening() as listener, answering(listener, well):
        stream = await trio.open_tcp_stream("127.0.0.1", listener.port)
        async with connect("ws://example.com/", stream=stream) as ws:
            await ws.send("over it")
            assert await ws.recv() == "over it"
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()


async def test_stream_of_any_kind_will_do() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    peer = Peer(theirs, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(well, peer)
        async with connect("ws://example.com/", stream=ours) as ws:
            await ws.send("in memory")
            assert await ws.recv() == "in memory"
            assert ws.remote_address is None
        assert ws.close_code == 1000


async def test_unix_socket_leads_to_a_server(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with (
        listening(path=path) as listener,
        answering(listener, well) as peers,
        unix_connect(path) as ws,
    ):
        await ws.send("x")
        assert await ws.recv() == "x"
        assert peers[0].header("Host") == "localhost"
        assert ws.remote_address == path


@pytest.mark.pipe("socket")
async def test_local_address_is_used_or_named() -> None:
    async with listening() as listener, answering(listener, well):
        async with connect(listener.uri, local_address="127.0.0.7") as ws:
            assert ws.local_address[0] == "127.0.0.7"
        with pytest.raises(OSError, match=r"bind to local address 192\.0\.2\.1"):
            async with connect(listener.uri, local_address="192.0.2.1"):
                pass


# TLS


@pytest.mark.pipe("stream")
async def test_tls_connects_to_a_server_that_is_trusted(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls) as (ws, peer):
        assert ws.remote_address == peer.sock.getsockname()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.echo)
            await ws.send("x" * 300_000)
            assert await ws.recv() == "x" * 300_000
            await ws.aclose()
        assert ws.secure
        assert ws.close_code == 1000


@pytest.mark.pipe("stream")
async def test_tls_verifies_the_name_of_the_uri_wherever_it_leads(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    elsewhere: Any = {"host": "127.0.0.1", "ssl": client_tls}
    async with listening(ssl=server_tls) as listener:
        async with (
            answering(listener, well),
            connect(f"wss://example.com:{listener.port}/", **elsewhere) as ws,
        ):
            assert ws.open
        async with answering(listener, Peer.gone):
            with pytest.raises(ssl.SSLCertVerificationError):
                async with connect(f"wss://example.org:{listener.port}/", **elsewhere):
                    pass
        async with (
            answering(listener, well),
            connect(
                f"wss://example.org:{listener.port}/",
                server_hostname="example.com",
                **elsewhere,
            ) as ws,
        ):
            assert ws.open


@pytest.mark.pipe("stream")
async def test_tls_by_default_trusts_only_what_the_system_trusts(
    server_tls: ssl.SSLContext,
) -> None:
    async with listening(ssl=server_tls) as listener, answering(listener, Peer.gone):
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connect(listener.at("/", "localhost")):
                pass


@pytest.mark.pipe("stream")
async def test_tls_in_tls_over_a_given_stream(
    authority: trustme.CA, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:

        async def unwrap(peer: Peer) -> None:
            inner = await encrypt(peer.stream, server_tls, server_side=True)
            await well(Peer(inner, peer.sock))

        async with answering(listener, unwrap):
            outer = await encrypt(
                await trio.open_tcp_stream("127.0.0.1", listener.port),
                client_tls,
                server_hostname="localhost",
            )
            options: Any = {"stream": outer, "ssl": client_tls}
            async with connect("wss://example.com/", **options) as ws:
                await ws.send("x" * 200_000)
                assert len(await ws.recv()) == 200_000


@pytest.mark.pipe("stream")
async def test_tls_to_a_server_that_is_silent_times_out(
    client_tls: ssl.SSLContext,
) -> None:
    async with listening() as listener:
        uri = f"wss://localhost:{listener.port}/"
        with pytest.raises(TimeoutError, match=r"open_timeout is 0\.1 s"):
            async with connect(uri, ssl=client_tls, open_timeout=0.1):
                pass


@pytest.mark.pipe("stream")
async def test_tls_that_ends_without_a_word_is_the_end_of_tcp(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls) as (ws, peer):
        await peer.write(frame(TEXT, "before"))
        peer.sock.shutdown(socket.SHUT_WR)
        assert await ws.recv() == "before"
        await ws.wait_closed()
        assert ws.close_code == 1006


@pytest.mark.pipe("stream")
async def test_connection_tells_its_story(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls) as (ws, peer):
        await ws.send("four")
        await peer.write(frame(TEXT, "answer"))
        await ws.recv()
        assert ws.stats.messages_sent == ws.stats.messages_received == 1
        story = ws.explain()
        assert "TLSv1.3" in story
        assert str(peer.sock.getsockname()[1]) in story


# Redirects


async def test_redirect_is_followed_and_credentials_stay_at_home() -> None:
    async with listening() as first, listening() as second:
        headers = {"Authorization": "Bearer secret", "X-Other": "goes along"}
        async with (
            answering(first, sending(redirect(second.at("/there")))),
            answering(second, well) as peers,
            connect(first.uri, additional_headers=headers) as ws,
        ):
            assert ws.path == "/there"
            assert peers[0].header("Authorization") is None
            assert peers[0].header("X-Other") == "goes along"


async def test_redirect_that_must_not_be_followed_is_refused() -> None:
    async with listening() as listener:
        stream = await trio.open_tcp_stream("127.0.0.1", listener.port)
        async with answering(listener, sending(redirect("/there"))):
            with pytest.raises(ValueError, match="redirect"):
                async with connect("ws://example.com/", stream=stream):
                    pass
        async with answering(listener, *[sending(redirect(listener.uri))] * 20):
            with pytest.raises(SecurityError, match="redirect"):
                async with connect(listener.uri):
                    pass


async def test_redirect_that_a_subclass_forbids_is_not_followed() -> None:
    class Refusing(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    class Raising(connect):
        def handle_redirect(self, uri: str) -> None:
            raise RuntimeError(uri)

    kinds: list[tuple[type[connect], type[Exception]]] = [
        (Refusing, InvalidStatus),
        (Raising, RuntimeError),
    ]
    for kind, raised in kinds:
        async with (
            listening() as listener,
            answering(listener, sending(redirect("/there")), well) as peers,
        ):
            with pytest.raises(raised):
                async with kind(listener.uri):
                    pass
            assert len(peers) == 1


# Failures


async def test_server_that_refuses_is_an_invalid_status() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno.\n"
    async with listening() as listener, answering(listener, sending(refusal)):
        with pytest.raises(InvalidStatus) as caught:
            async with connect(listener.uri):
                pass
    assert caught.value.response.body == b"no.\n"


async def test_server_that_hangs_up_is_an_invalid_message() -> None:
    async with listening() as listener, answering(listener, sending(b"")):
        with pytest.raises(InvalidMessage) as caught:
            async with connect(listener.uri):
                pass
    assert isinstance(caught.value.__cause__, EOFError)


async def test_nobody_who_listens_is_an_oserror() -> None:
    async with listening() as listener:
        uri = listener.uri
    with pytest.raises(OSError):
        async with connect(uri):
            pass


async def test_server_that_is_silent_times_out_and_tcp_is_closed() -> None:
    async with listening() as listener, answering(listener, Peer.gone):
        with pytest.raises(TimeoutError, match=r"open_timeout is 0\.1 s"):
            async with connect(listener.uri, open_timeout=0.1):
                pass


@pytest.mark.parametrize("timeout", [0, -1])
async def test_open_timeout_that_is_over_at_once_is_a_timeout(timeout: float) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError):
            async with connect(listener.uri, open_timeout=timeout):
                pass


async def test_opening_when_cancelled_closes_tcp() -> None:
    async with listening() as listener, trio.open_nursery() as nursery:
        arrived = trio.Event()

        async def watch() -> None:
            peer = await listener.accept()
            await peer.read_request()
            arrived.set()
            with trio.fail_after(PATIENCE):
                await peer.gone()

        nursery.start_soon(watch)
        with trio.CancelScope() as scope:

            async def cancel() -> None:
                await arrived.wait()
                scope.cancel()

            nursery.start_soon(cancel)
            async with connect(listener.uri):
                pass
        assert scope.cancelled_caught


# Arguments


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"uri": "http://localhost"}, InvalidURI, "http"),
        ({"ssl": True}, ValueError, "ws://"),
        ({"server_hostname": "x"}, ValueError, "ws://"),
        ({"max_sise": 1}, TypeError, "max_size"),
        ({"local_adress": "x"}, TypeError, "local_address"),
        ({"max_size": -1}, ValueError, "max_size"),
        ({"compression": "gzip"}, ValueError, "compression"),
        ({"create_connection": 3}, TypeError, "create_connection"),
        ({"extra_headers": {}, "additional_headers": {}}, TypeError, "headers"),
        ({"stream": object(), "port": 1}, ValueError, "stream"),
    ],
    ids=label,
)
def test_argument_that_cannot_be_is_refused_in_the_call(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    options.setdefault("uri", "ws://localhost/")
    with pytest.raises(error, match=words):
        connect(**options)


def test_unix_connect_wants_one_place_to_connect_to() -> None:
    with pytest.raises(ValueError, match="path or stream"):
        unix_connect()
    with pytest.raises(TypeError, match="no host"):
        unix_connect("/there", host="localhost")


async def test_connection_of_a_class_of_ones_own() -> None:
    class Mine(ClientConnection):
        pass

    async with (
        listening() as listener,
        answering(listener, well),
        connect(listener.uri, create_connection=Mine) as ws,
    ):
        assert type(ws) is Mine


async def test_on_open_comes_first_and_its_failure_is_one_of_opening() -> None:
    async def greet(ws: ClientConnection) -> None:
        await ws.send("hello")

    async def fail(ws: ClientConnection) -> None:
        raise LookupError("not today")

    async with listening() as listener, answering(listener, well, well):
        async with connect(listener.uri, on_open=greet) as ws:
            assert await ws.recv() == "hello"
        with pytest.raises(LookupError, match="not today"):
            async with connect(listener.uri, on_open=fail):
                pass


async def test_headers_may_be_asked_for() -> None:
    async def token() -> dict[str, str]:
        return {"Authorization": "Bearer fresh"}

    async with (
        listening() as listener,
        answering(listener, well) as peers,
        connect(listener.uri, extra_headers=token),
    ):
        assert peers[0].header("Authorization") == "Bearer fresh"


async def test_messages_are_received_after_the_end_then_the_end() -> None:
    async with (
        listening() as listener,
        answering(listener, well),
        connect(listener.uri) as ws,
    ):
        await ws.send("one")
        await ws.aclose()
        assert [message async for message in ws] == ["one"]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
