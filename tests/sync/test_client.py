"""`connect`, `reconnect` and their arguments."""

from __future__ import annotations

import inspect
import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosed,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    SecurityError,
)
from fullduplex.sync import (
    ClientConnection,
    connect,
    reconnect,
    unix_connect,
    unix_reconnect,
)

from ..kit.bytes import TEXT, frame, redirect, response
from ..kit.clock import Stopwatch
from ..kit.peer import Listener, Peer
from .kit import job, listening, opened


def serve_each(listener: Listener, *steps: Any) -> Any:
    """Let each step have one connection, in a thread."""

    def run() -> None:
        for step in steps:
            step(listener.accept())

    return job(run)


def echo_one(peer: Peer) -> None:
    peer.handshake()
    peer.echo()


def test_connect_works_with_and_without_a_block() -> None:
    with listening() as listener:
        serving = serve_each(listener, echo_one, echo_one)
        with connect(listener.uri) as ws:
            ws.send("in a block")
            assert ws.recv() == "in a block"
        ws = connect(listener.uri)
        ws.send("without")
        assert ws.recv() == "without"
        ws.close()
        serving.result()


def test_connection_has_the_attributes_of_all_faces() -> None:
    headers = ["Sec-WebSocket-Protocol: chat"]
    with listening() as listener:
        serve_each(listener, lambda peer: (peer.handshake(*headers), peer.echo()))
        with connect(
            listener.at("/path?query"),
            subprotocols=["chat"],
            origin="http://example.com",
            additional_headers={"X-Token": "1"},
        ) as ws:
            assert isinstance(ws, ClientConnection)
            assert ws.open
            assert ws.path == "/path?query"
            assert ws.request_headers["X-Token"] == "1"
            assert ws.request_headers["Origin"] == "http://example.com"
            assert ws.response_headers["Upgrade"] == "websocket"
            assert ws.subprotocol == "chat"
            assert ws.remote_address == ("127.0.0.1", listener.port)
            local = ws.local_address
            assert local[0] == "127.0.0.1"
        assert ws.local_address == local
        assert ws.remote_address == ("127.0.0.1", listener.port)


def test_messages_are_compressed_if_that_was_negotiated() -> None:
    headers = ["Sec-WebSocket-Extensions: permessage-deflate"]
    with opened(*headers) as (ws, peer):
        ws.send("hello " * 100)
        received = peer.read()
        assert received.rsv1
        assert len(received.payload) < 100


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH\r\n\r\n", b""])
def test_what_is_no_websocket_server_is_told(data: bytes) -> None:
    with listening() as listener:

        def answer(peer: Peer) -> None:
            peer.read_request()
            peer.write(data)
            peer.close()

        serve_each(listener, answer)
        with pytest.raises(InvalidMessage):
            connect(listener.uri)


def test_refusal_carries_the_response() -> None:
    with listening() as listener:

        def refuse(peer: Peer) -> None:
            peer.read_request()
            peer.write(response("HTTP/1.1 403 No", "Content-Length: 3"), b"bad")

        serve_each(listener, refuse)
        with pytest.raises(InvalidStatus) as caught:
            connect(listener.uri)
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == b"bad"


@pytest.mark.parametrize("silent", ["tcp", "http"])
def test_open_timeout_covers_the_handshake(silent: str) -> None:
    with listening() as listener:
        if silent == "http":
            serve_each(listener, Peer.read_request)
        with Stopwatch() as watch, pytest.raises(TimeoutError, match="open_timeout"):
            connect(listener.uri, open_timeout=0.2)
        assert 0.15 < watch.elapsed < 0.8


def test_open_timeout_covers_tls(client_tls: ssl.SSLContext) -> None:
    with listening() as listener:
        with Stopwatch() as watch, pytest.raises(TimeoutError, match="open_timeout"):
            connect(
                f"wss://127.0.0.1:{listener.port}/", ssl=client_tls, open_timeout=0.2
            )
        assert watch.elapsed < 0.8


def test_redirects_are_followed_without_credentials() -> None:
    with listening() as first, listening() as second:

        def send_on(peer: Peer) -> None:
            peer.read_request()
            assert peer.header("Cookie") == "a=b"
            peer.write(redirect(second.at("/new")))
            peer.close()

        def arrive(peer: Peer) -> None:
            peer.handshake()
            assert peer.lines[0] == "GET /new HTTP/1.1"
            assert peer.header("Cookie") is None
            peer.echo()

        one, two = serve_each(first, send_on), serve_each(second, arrive)
        with connect(first.uri, extra_headers={"Cookie": "a=b"}) as ws:
            assert ws.path == "/new"
        one.result()
        two.result()


def test_redirect_that_gives_up_tls_is_refused(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:

        def send_on(peer: Peer) -> None:
            peer.read_request()
            peer.write(redirect("ws://127.0.0.1:1/"))

        serve_each(listener, send_on)
        with pytest.raises(SecurityError):
            connect(listener.uri, ssl=client_tls)


@pytest.mark.parametrize(
    ("kwds", "error"),
    [
        ({"compresion": None}, TypeError),
        ({"compression": "gzip"}, ValueError),
        ({"ping_interval": "1"}, TypeError),
        ({"ssl": True}, ValueError),
        ({"server_hostname": "x"}, ValueError),
        ({"write_limit": 1}, TypeError),
        ({"create_connection": 1}, TypeError),
        ({"extra_headers": {}, "additional_headers": {"a": "b"}}, TypeError),
        ({"address": ("a", 1), "host": "b"}, TypeError),
    ],
)
def test_bad_arguments_are_refused_before_connecting(
    kwds: dict[str, Any], error: type[Exception]
) -> None:
    for function in (connect, reconnect):
        with pytest.raises(error):
            function("ws://127.0.0.1:1/", **kwds)


def test_bad_uri_is_refused() -> None:
    with pytest.raises(InvalidURI):
        connect("http://example.com/")


def test_address_overrides_the_uri() -> None:
    with listening() as listener:
        for kwds in (
            {"address": ("127.0.0.1", listener.port)},
            {"host": "localhost", "port": listener.port},
        ):
            serving = serve_each(listener, echo_one)
            with connect("ws://example.com/", **kwds) as ws:
                assert ws.request_headers["Host"] == "example.com"
            serving.result()


def test_sock_of_the_caller_is_used_and_closed() -> None:
    with listening() as listener:
        serve_each(listener, echo_one)
        sock = socket.create_connection(("127.0.0.1", listener.port))
        with connect("ws://localhost/", sock=sock) as ws:
            ws.send("x")
            assert ws.recv() == "x"
        assert sock.fileno() == -1


def test_connection_class_of_the_caller_is_made() -> None:
    class Mine(ClientConnection):
        def __init__(self, **kwds: Any) -> None:
            super().__init__(**kwds)
            self.seen: list[Any] = []

    with listening() as listener:
        serve_each(listener, echo_one)
        with connect(listener.uri, create_connection=Mine) as ws:
            assert isinstance(ws, Mine)
            assert ws.seen == []


def test_legacy_false_returns_a_reconnect() -> None:
    assert isinstance(connect("ws://127.0.0.1:1/", legacy=False), reconnect)


def test_unix_sockets_work(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listening(path=path) as listener:
        serving = serve_each(listener, echo_one, echo_one)
        with unix_connect(path) as ws:
            ws.send("x")
            assert ws.recv() == "x"
            assert ws.remote_address == path
        with unix_reconnect(path, "ws://example.com/y") as ws:
            assert ws.path == "/y"
        serving.result()
    for function in (unix_connect, unix_reconnect):
        with pytest.raises(ValueError, match="path or sock"):
            function()
        with pytest.raises(TypeError, match="host"):
            function(path, host="x")


def test_source_address_is_used_or_named() -> None:
    with listening() as listener:
        serving = serve_each(listener, echo_one)
        with connect(listener.uri, source_address=("127.0.0.7", 0)) as ws:
            assert ws.local_address[0] == "127.0.0.7"
        serving.result()
        with pytest.raises(OSError, match="bind to local address 192"):
            connect(listener.uri, source_address=("192.0.2.1", 0))


# TLS


def test_tls_carries_messages_of_all_sizes(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:
        serve_each(listener, echo_one)
        with connect(listener.uri, ssl=client_tls, max_size=None) as ws:
            for size in (0, 1, 200, 16_384, 70_000, 2_000_000):
                body = bytes(size)
                ws.send(body)
                assert ws.recv() == body


def test_tls_sends_and_receives_in_threads_at_once(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:
        serve_each(listener, echo_one)
        with connect(listener.uri, ssl=client_tls) as ws:

            def send_all() -> None:
                for number in range(500):
                    ws.send(f"{number}" * 500)

            sender = job(send_all)
            assert [ws.recv() for _ in range(500)] == [f"{n}" * 500 for n in range(500)]
            sender.result()


def test_tls_refuses_a_certificate_of_another_name(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:

        def fail() -> None:
            with pytest.raises(OSError):
                listener.accept()

        failing = job(fail)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(listener.uri, ssl=client_tls, server_hostname="example.net")
        failing.result()


def test_tls_end_without_a_close_frame_is_an_error(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with listening(context=server_tls) as listener:

        def leave(peer: Peer) -> None:
            peer.handshake()
            peer.write(frame(TEXT, "last"))
            peer.half_close()
            peer.gone()
            peer.close()

        serve_each(listener, leave)
        ws = connect(listener.uri, ssl=client_tls)
        assert ws.recv() == "last"
        with Stopwatch() as watch, pytest.raises(ConnectionClosed):
            ws.recv()
        assert watch.elapsed < 1


def test_tls_in_tls_works(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """As behind a proxy that speaks TLS."""
    from fullduplex.core.uri import parse_uri
    from fullduplex.sync._channel import HandshakeSocket

    with listening(context=server_tls) as listener:

        def relay(peer: Peer) -> None:
            # The inner TLS, in memory, on the outer one.
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = server_tls.wrap_bio(incoming, outgoing, server_side=True)

            def until_done(call: Any) -> Any:
                while True:
                    try:
                        return call()
                    except ssl.SSLWantReadError:
                        peer.sock.sendall(outgoing.read())
                        incoming.write(peer.sock.recv(65536))
                    finally:
                        peer.sock.sendall(outgoing.read())

            until_done(inner.do_handshake)

            class Inner:
                settimeout = shutdown = close = staticmethod(lambda *_: None)
                recv = staticmethod(lambda size: until_done(lambda: inner.read(size)))
                sendall = staticmethod(
                    lambda data: until_done(lambda: inner.write(data))
                )

            through = Peer(Inner)
            through.handshake()
            for _ in range(3):
                received = through.read()
                through.write(frame(received.opcode, received.payload))
            peer.close()

        relaying = serve_each(listener, relay)
        sock = socket.create_connection(("127.0.0.1", listener.port))
        channel = HandshakeSocket(sock, float("inf"))
        channel.start_tls(client_tls, server_hostname="localhost")
        channel.start_tls(client_tls, server_hostname="127.0.0.1")
        ws = ClientConnection()
        ws._start_handshake(parse_uri("wss://localhost/"))
        ws._shake_hands(channel)
        for size in (5, 30_000, 200_000):
            ws.send(b"x" * size)
            assert ws.recv() == b"x" * size
        relaying.result()
        ws.close()


# Reconnecting


def test_reconnect_gives_connections_without_end() -> None:
    with listening() as listener:

        def one_message(peer: Peer) -> None:
            peer.handshake(glued=frame(TEXT, "hello"))
            peer.answer_close()

        serving = serve_each(listener, *[one_message] * 3)
        seen = []
        for ws in reconnect(listener.uri):
            seen.append((ws, ws.recv()))
            if len(seen) == 3:
                break
        serving.result()
        assert [text for _, text in seen] == ["hello"] * 3
        assert all(ws.closed for ws, _ in seen)


def test_reconnect_waits_between_failures_and_raises_what_is_fatal() -> None:
    with listening() as listener:

        def refuse(status: int) -> Any:
            def step(peer: Peer) -> None:
                peer.read_request()
                peer.write(response(f"HTTP/1.1 {status} No", "Content-Length: 0"))

            return step

        serve_each(listener, refuse(503), refuse(503), refuse(403))
        delays: list[float] = []

        def make() -> Any:
            while True:
                delays.append(0.01)
                yield 0.01

        with pytest.raises(InvalidStatus, match="403"):
            for _ in reconnect(listener.uri, reconnect_delays=make):
                raise AssertionError("never connected")
        assert len(delays) == 2


def test_reconnect_connects_once_as_a_block() -> None:
    with listening() as listener:
        serve_each(listener, echo_one)
        again = reconnect(listener.uri)
        with again as ws:
            ws.send("x")
            assert ws.recv() == "x"
            with pytest.raises(RuntimeError, match="in use"), again:
                pass


def test_headers_are_asked_for_and_on_open_is_called_for_each_attempt() -> None:
    tokens = iter("ab")
    with listening() as listener:

        def check(peer: Peer) -> None:
            peer.handshake()
            assert peer.read().text == f"hello {peer.header('X-Token')}"
            peer.answer_close()

        serving = serve_each(listener, check, check)
        again = reconnect(
            listener.uri,
            extra_headers=lambda: {"X-Token": next(tokens)},
            on_open=lambda ws: ws.send(f"hello {ws.request_headers['X-Token']}"),
        )
        for count, _ in enumerate(again):
            if count == 1:
                break
        serving.result()


# What the functions tell of themselves


def test_signatures_tell_all_parameters() -> None:
    own = set(inspect.signature(connect).parameters)
    assert {"process_exception", "reconnect_delays", "on_state"} == (
        set(inspect.signature(reconnect).parameters) - own
    )
    assert set(inspect.signature(unix_connect).parameters) - own == {"path"}
    assert "legacy" not in inspect.signature(unix_reconnect).parameters


def test_frames_are_logged_with_their_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("test.sync.client")
    with (
        caplog.at_level(logging.DEBUG, "test.sync.client"),
        opened(logger=logger) as (
            ws,
            peer,
        ),
    ):
        ws.send("hello")
        peer.read()
        records = [item for item in caplog.records if "hello" in item.getMessage()]
        assert records
        assert records[0].websocket.id == ws.id  # type: ignore[attr-defined]


def test_connecting_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            connect("ws://localhost:1/")
    assert threading.active_count() == before
