"""`serve`: requests, handlers, limits and the end of it all."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from fullduplex import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    InvalidStatus,
)
from fullduplex.sync import (
    ServerConnection,
    basic_auth,
    broadcast,
    connect,
    route,
    serve,
    unix_connect,
    unix_route,
    unix_serve,
)

from ..kit.bytes import CLOSE, MASK, TEXT, close_frame, frame
from ..kit.clock import Stopwatch, until
from ..kit.peer import Peer
from .kit import PATIENCE, job, served


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


def raw(uri: str) -> Peer:
    """Connect by hand."""
    port = int(uri.rstrip("/").rpartition(":")[2])
    return Peer(socket.create_connection(("127.0.0.1", port)))


# Requests


def test_handler_serves_a_connection() -> None:
    with served(echo) as (server, uri), connect(uri) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
        (other,) = server.connections
        assert other.remote_address == ws.local_address
        assert other.path == "/"


def test_handler_may_take_the_path() -> None:
    def tell(ws: ServerConnection, path: str) -> None:
        ws.send(path)

    with served(tell) as (_, uri), connect(uri + "a?b") as ws:
        assert ws.recv() == "/a?b"


def test_frames_glued_to_the_request_are_received() -> None:
    with served(echo) as (_, uri):
        peer = raw(uri)
        request = (
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade"
            b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        peer.write(request, frame(TEXT, "early", mask=MASK))
        assert "101" in peer.read_request().lines[0]
        assert peer.read().text == "early"
        peer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n", b"431"),
        (b"\x16\x03\x01\r\n\r\n", b""),
    ],
)
def test_what_is_no_handshake_is_answered(data: bytes, status: bytes) -> None:
    with served(echo) as (_, uri):
        peer = raw(uri)
        peer.write(data)
        assert status in peer.gone().partition(b"\r\n")[0]
        peer.close()


def test_hooks_answer_change_and_choose() -> None:
    def process_request(connection: Any, request: Any) -> Any:
        if request.path == "/health":
            return connection.respond(200, "OK\n")
        return None

    def process_response(connection: Any, request: Any, response: Any) -> None:
        response.headers["X-Server"] = "mine"

    with served(
        echo,
        process_request=process_request,
        process_response=process_response,
        subprotocols=["a", "b"],
        select_subprotocol=lambda connection, offered: "b",
        extra_headers={"X-More": "1"},
    ) as (_, uri):
        with pytest.raises(InvalidStatus) as caught:
            connect(uri + "health")
        assert caught.value.response.body == b"OK\n"
        with connect(uri, subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
            assert ws.response_headers["X-Server"] == "mine"
            assert ws.response_headers["X-More"] == "1"


@pytest.mark.parametrize("hook", ["raises", "coroutine"])
def test_hook_that_fails_is_answered_500(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(connection: Any, request: Any) -> Any:
        raise LookupError

    async def coroutine(connection: Any, request: Any) -> Any:
        return None

    chosen: Any = {"raises": raises, "coroutine": coroutine}[hook]
    with (
        served(echo, process_request=chosen) as (_, uri),
        pytest.raises(InvalidStatus, match="500"),
    ):
        connect(uri)
    assert "process_request failed" in caplog.text


def test_basic_auth_lets_in_who_knows_the_password() -> None:
    hook = basic_auth("realm", ("user", "pass"))
    with served(lambda ws: ws.send(ws.username), process_request=hook) as (_, uri):
        with connect(uri.replace("://", "://user:pass@")) as ws:
            assert ws.recv() == "user"
        for bad in (uri, uri.replace("://", "://user:wrong@")):
            with pytest.raises(InvalidStatus, match="401"):
                connect(bad)


def test_routes_find_their_handlers(tmp_path: Path) -> None:
    def room(ws: ServerConnection, number: int) -> None:
        ws.send(f"room {number}")

    def rules() -> Map:
        return Map([Rule("/room/<int:number>", endpoint=room)])

    path = str(tmp_path / "socket")
    with (
        route(rules(), "127.0.0.1", 0) as server,
        unix_route(rules(), path) as local,
    ):
        running = [job(server.serve_forever), job(local.serve_forever)]
        uri = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        with connect(uri + "/room/7") as ws:
            assert ws.recv() == "room 7"
        with unix_connect(path, "ws://localhost/room/8") as ws:
            assert ws.recv() == "room 8"
        with pytest.raises(InvalidStatus, match="404"):
            connect(uri + "/elsewhere")
        server.shutdown()
        local.shutdown()
        for item in running:
            item.result()


def test_tls_is_served(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    with served(echo, ssl=server_tls, open_timeout=0.5) as (_, uri):
        # One that does not speak TLS is cut off and changes nothing.
        stranger = raw(uri)
        stranger.write(b"GET / HTTP/1.1\r\n\r\n")
        stranger.gone()
        stranger.close()
        with connect(uri, ssl=client_tls) as ws:
            ws.send(b"x" * 100_000)
            assert ws.recv() == b"x" * 100_000
        assert ws.close_code == 1000


def test_unix_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with unix_serve(echo, path) as server:
        running = job(server.serve_forever)
        with pytest.raises(OSError, match="in use"):
            unix_serve(echo, path)
        with unix_connect(path) as ws:
            ws.send("x")
            assert ws.recv() == "x"
        server.shutdown()
        running.result()


def test_unix_path_of_another_file_is_refused_and_the_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="precious"):
        unix_serve(echo, path)
    assert path.read_text() == "data"


def test_unix_socket_whose_listener_is_busy_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        # As many as the system takes although nobody accepts them.
        with contextlib.suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(OSError, match="in use"):
            unix_serve(echo, path)


@pytest.mark.parametrize(
    ("kwds", "error"),
    [
        ({"orgins": None}, TypeError),
        ({"ssl": True}, TypeError),
        ({"max_connections": -1}, ValueError),
        ({"handler": None}, TypeError),
        ({"sock": socket.socket, "host": "x"}, ValueError),
    ],
)
def test_bad_arguments_are_refused(
    kwds: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        serve(**{"handler": echo, **kwds})


# Handlers


def test_handler_that_raises_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    def fail(ws: ServerConnection) -> None:
        raise LookupError("in the handler")

    with (
        served(fail) as (_, uri),
        connect(uri) as ws,
        pytest.raises(ConnectionClosedError, match="1011"),
    ):
        ws.recv()
    assert "connection handler failed" in caplog.text


def test_handler_for_asyncio_is_refused_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def wrong(ws: Any) -> None: ...

    with (
        served(wrong) as (_, uri),
        connect(uri) as ws,
        pytest.raises(ConnectionClosedError, match="1011"),
    ):
        ws.recv()
    assert "coroutine function" in caplog.text


def test_client_that_vanishes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "fullduplex.server"),
        served(echo) as (server, uri),
    ):
        peer = raw(uri).ask()
        until(lambda: server.connections)
        peer.reset()
        until(lambda: not server._connections)
    assert "connection closed" in caplog.text
    assert not [item for item in caplog.records if item.levelno >= logging.ERROR]


def test_pings_are_answered_while_the_handler_computes() -> None:
    answered = threading.Event()

    def busy(ws: ServerConnection) -> None:
        answered.wait(2 * PATIENCE)

    with served(busy) as (_, uri), connect(uri, ping_interval=None) as ws:
        assert ws.ping().wait(PATIENCE)
        answered.set()


def test_threads_are_gone_when_the_handlers_are() -> None:
    before = threading.active_count()
    with served(echo) as (_, uri):
        for _ in range(20):
            with connect(uri) as ws:
                ws.send("x")
                ws.recv()
        until(lambda: threading.active_count() <= before + 2)


# Limits


def test_clients_above_the_limits_are_answered_503() -> None:
    with served(echo, max_connections=2) as (server, uri):
        with connect(uri), connect(uri):
            with pytest.raises(InvalidStatus) as caught:
                connect(uri)
            assert caught.value.response.status_code == 503
            assert "Retry-After" in caught.value.response.headers
            assert server.refused["max_connections"] == 1
        until(lambda: not server._connections)
        with connect(uri) as ws:
            ws.send("x")
            ws.recv()


def test_client_that_sends_nothing_is_cut_off_after_open_timeout() -> None:
    with served(echo, open_timeout=0.3) as (server, uri):
        peer = raw(uri)
        peer.write(b"GET / HT")
        with Stopwatch() as watch:
            assert peer.gone() == b""
        assert 0.2 < watch.elapsed < 1
        peer.close()
        until(lambda: not server._connections)


def test_hook_that_takes_too_long_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()

    def slow(connection: Any, request: Any) -> None:
        gone.wait(2 * PATIENCE)

    with served(echo, open_timeout=0.3, process_request=slow) as (_, uri):
        peer = raw(uri)
        peer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.gone() == b""
        gone.set()
        peer.close()
    assert "process_request or process_response took longer" in caplog.text


# Broadcast


def test_broadcast_reaches_all_that_are_open() -> None:
    with served(echo) as (server, uri):
        clients = [connect(uri) for _ in range(5)]
        until(lambda: len(server.connections) == 5)
        result = broadcast(server.connections, "news")
        assert result.sent == 5
        assert [ws.recv() for ws in clients] == ["news"] * 5
        for ws in clients:
            ws.close()


def test_broadcast_does_not_wait_for_who_is_slow() -> None:
    with served(lambda ws: ws.wait_closed()) as (server, uri):
        slow = raw(uri).ask()
        until(lambda: server.connections)
        body = b"x" * 200_000
        with Stopwatch() as watch:
            for _ in range(100):
                broadcast(server.connections, body, on_slow="drop")
            dropped = broadcast(server.connections, body, on_slow="drop").dropped
            assert len(dropped) == 1
        assert watch.elapsed < 2
        # What was taken arrives whole, without a call.
        for _ in range(5):
            assert slow.read().payload == body
        closed = broadcast(server.connections, body, on_slow="close", max_buffer=0)
        assert len(closed.closed) + closed.sent == 1
        slow.close()


def test_broadcast_skips_who_sends_fragments() -> None:
    go_on = threading.Event()

    def handler(ws: ServerConnection) -> None:
        def pieces() -> Any:
            yield "a"
            go_on.wait(5)
            yield "b"

        ws.send(pieces())

    with served(handler) as (server, uri), connect(uri) as ws:
        until(lambda: [c for c in server.connections if c._session.fragmenting])
        assert len(broadcast(server.connections, "x").skipped) == 1
        with pytest.raises(ExceptionGroup) as caught:
            broadcast(server.connections, "x", raise_exceptions=True)
        assert isinstance(caught.value.exceptions[0], ConcurrencyError)
        go_on.set()
        assert ws.recv() == "ab"


# Shutting down


@pytest.mark.parametrize("code", [1001, 1012])
def test_shutdown_closes_connections_and_waits_for_handlers(code: int) -> None:
    ended = threading.Event()

    def handler(ws: ServerConnection) -> None:
        try:
            ws.recv()
        except ConnectionClosed:
            time.sleep(0.2)
            ended.set()
            raise

    with served(handler) as (server, uri):
        ws = connect(uri)
        reading = job(ws.recv)
        until(lambda: server.connections)
        server.shutdown(code=code, reason="restart")
        assert ended.is_set()
        expected = ConnectionClosedOK if code == 1001 else ConnectionClosedError
        with pytest.raises(expected):
            reading.result()
        assert (ws.close_code, ws.close_reason) == (code, "restart")
        with pytest.raises(OSError, match="refused"):
            connect(uri)
        server.shutdown()
        assert server.fileno() == -1


def test_shutdown_may_let_connections_go_on() -> None:
    with served(echo) as (server, uri):
        with connect(uri) as ws:
            ws.send("x")
            ws.recv()
            stopping = job(server.shutdown, close_connections=False)
            until(lambda: server._closing_with)
            ws.send("still")
            assert ws.recv() == "still"
            assert stopping.running
        stopping.result()


def test_shutdown_gives_up_on_handlers_after_drain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = threading.Event()

    def stubborn(ws: ServerConnection) -> None:
        stop.wait(20)

    with served(stubborn) as (server, uri):
        connect(uri)
        until(lambda: server.connections)
        with Stopwatch() as watch:
            server.shutdown(drain=0.3)
        assert 2 < watch.elapsed < 3.5
        assert "stubborn with path '/'" in caplog.text
        stop.set()


def test_shutdown_within_a_handler_does_not_wait_for_itself() -> None:
    def handler(ws: ServerConnection) -> None:
        ws.recv()
        with Stopwatch() as watch:
            ws.server.shutdown()
        assert watch.elapsed < 1
        done.append(ws.server)

    done: list[Any] = []
    server = serve(handler, "127.0.0.1", 0)
    running = job(server.serve_forever)
    uri = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
    with connect(uri) as other, connect(uri) as ws:
        ws.send("stop")
        with pytest.raises(ConnectionClosedOK, match="1001"):
            other.recv()
        with pytest.raises(ConnectionClosedOK, match="1001"):
            ws.recv()
    running.result()
    assert done == [server]


def test_shutdown_does_not_wait_for_clients_that_say_nothing() -> None:
    with served(echo) as (server, uri):
        silent, half = raw(uri), raw(uri)
        half.write(b"GET / HTTP/1.1\r\nHos")
        until(lambda: len(server._connections) == 2)
        with Stopwatch() as watch:
            stopping = job(server.shutdown)
            assert silent.gone() == b""
            assert b"503" in half.gone()
            silent.close()
            half.close()
            stopping.result()
        assert watch.elapsed < 2.5


def test_handshake_that_is_under_way_is_answered_503() -> None:
    go_on = threading.Event()

    def slow(connection: Any, request: Any) -> None:
        go_on.wait(5)

    with served(echo, process_request=slow) as (server, uri):
        connecting = job(connect, uri)
        until(lambda: [c for c in server._connections if c._asking])
        stopping = job(server.shutdown)
        until(lambda: server._closing_with)
        go_on.set()
        with pytest.raises(InvalidStatus, match="503"):
            connecting.result()
        stopping.result()


SCRIPT = """
import sys
from fullduplex.sync import serve

def echo(ws):
    for message in ws:
        ws.send(message)

try:
    with serve(echo, "127.0.0.1", 0) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_stops_serve_forever_and_closes_with_1001() -> None:
    import signal

    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        peer = raw(f"ws://127.0.0.1:{child.stdout.readline().strip()}/").ask()
        peer.write(frame(TEXT, "x", mask=MASK))
        assert peer.read().text == "x"
        with Stopwatch() as watch:
            child.send_signal(signal.SIGINT)
            assert peer.read_until(CLOSE).code == 1001
            peer.write(close_frame(1001)[:1] + b"\x82" + MASK + b"\x11\xdd")
            peer.close()
            assert child.stdout.readline() == "stopped\n"
        assert watch.elapsed < 1
        assert child.wait(5) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_hook_may_wait_for_the_end_of_its_client() -> None:
    waiting, noticed = threading.Event(), threading.Event()

    def wait(connection: Any, request: Any) -> Any:
        assert not connection.wait_closed(0.05)
        with pytest.raises(InvalidState, match="recv"):
            connection.recv()
        with pytest.raises(InvalidState, match="send"):
            connection.send("early")
        with pytest.raises(InvalidState, match="ping"):
            connection.ping()
        waiting.set()
        if connection.wait_closed():
            noticed.set()

    with served(echo, process_request=wait) as (server, uri):
        peer = raw(uri)
        peer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting.wait(5)
        peer.close()
        assert noticed.wait(5)
        until(lambda: not server._connections)


TERM = SCRIPT.replace(
    "        server.serve_forever()",
    "        signal.signal(signal.SIGTERM, lambda *_: server.shutdown())\n"
    "        server.serve_forever()\n"
    "        print('stopped', flush=True)",
).replace("import sys", "import signal")


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_shutdown_within_a_signal_handler_ends_serve_forever() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TERM], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        with connect(f"ws://127.0.0.1:{child.stdout.readline().strip()}/") as ws:
            ws.send("x")
            assert ws.recv() == "x"
            child.terminate()
            with pytest.raises(ConnectionClosedOK, match="1001"):
                ws.recv()
        assert child.stdout.readline() == "stopped\n"
        assert child.wait(5) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
