"""`serve` on trio: requests, hooks, handlers and limits."""

from __future__ import annotations

import base64
import logging
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints
from werkzeug.routing import Map, Rule

from fullduplex import (
    ConnectionClosedOK,
    Headers,
    InvalidState,
    InvalidStatus,
    Request,
    Response,
)
from fullduplex.trio import (
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

from ..kit.bytes import CLOSE, MASK, TEXT, frame, response
from ..kit.trio_peer import until
from .kit import REQUEST, dialed, served, serving

PLAIN = response("GET /healthz HTTP/1.1", "Host: localhost")


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


def uri_of(server: Any, scheme: str = "ws", path: str = "/") -> str:
    return f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}{path}"


async def status_of(server: Any, request: bytes) -> bytes:
    """Send a request by hand; returns the first line of the response."""
    async with dialed(server, request=request) as peer:
        head = await peer.read_head()
        await peer.gone()
        return head.partition(b"\r\n")[0]


# Serving


async def test_clients_are_served_at_a_time() -> None:
    async with serving(echo) as server:

        async def talk(number: int) -> None:
            async with connect(uri_of(server)) as ws:
                for turn in range(10):
                    await ws.send(f"{number} {turn}")
                    assert await ws.recv() == f"{number} {turn}"

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(talk, number)
        await until(lambda: not server._connections)


async def test_both_orders_of_host_and_port_are_understood() -> None:
    async with trio.open_nursery() as nursery:
        for arguments in ((0, "127.0.0.1"), ("127.0.0.1", 0)):
            server = await nursery.start(serve, echo, *arguments)
            assert server.sockets[0].getsockname()[0] == "127.0.0.1"
            await server.aclose()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "port or listeners"),
        ({"port": 0.5}, TypeError, "port"),
        ({"port": 0, "listeners": []}, ValueError, "listeners"),
        ({"port": 0, "ssl": True}, TypeError, "ssl"),
        ({"port": 0, "orgins": []}, TypeError, "origins"),
        ({"port": 0, "max_connections": -1}, ValueError, "max_connections"),
        ({"port": 0, "handler": None}, TypeError, "handler"),
    ],
    ids=repr,
)
@pytest.mark.pipe("socket")
async def test_argument_that_cannot_be_is_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    options.setdefault("handler", echo)
    with pytest.raises(error, match=words):
        await serve(**options)


@pytest.mark.pipe("stream")
async def test_tls_is_served(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serving(echo, ssl=server_tls) as server:
        async with connect(uri_of(server, "wss"), ssl=client_tls) as ws:
            await ws.send("x" * 300_000)
            assert await ws.recv() == "x" * 300_000
        assert ws.close_code == 1000
        async with dialed(server, request=b"GET / HTTP/1.1\r\n\r\n") as peer:
            await peer.gone()
        await until(lambda: not server._connections)


async def test_unix_socket_is_served_and_a_stale_one_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(unix_serve, echo, path)
            assert path.exists()
            with pytest.raises(OSError):
                await unix_serve(echo, path)
            async with unix_connect(path) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
            await server.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="names without a file")
async def test_unix_socket_without_a_file_is_served() -> None:
    path = f"\0fullduplex {os.getpid()}"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(unix_serve, echo, path)
        with pytest.raises(OSError, match="in use"):
            await unix_serve(echo, path)
        async with unix_connect(path) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
        await server.aclose()


async def test_unix_path_of_another_file_is_refused_and_the_file_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="precious"):
        await unix_serve(echo, path)
    assert path.read_text() == "data"


# Handlers


@pytest.mark.parametrize(
    ("how", "code", "logged"),
    [
        ("returns", 1000, []),
        ("raises", 1011, ["connection handler failed"]),
        ("raises a group", 1011, ["connection handler failed"]),
        ("is cancelled", 1011, []),
        ("is no coroutine function", 1011, ["connection handler failed"]),
        ("closes itself", 4000, []),
    ],
)
async def test_connection_ends_as_its_handler_does(
    how: str, code: int, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.recv()
        if how == "raises":
            raise LookupError("secret")
        if how == "raises a group":
            raise ExceptionGroup("secret", [LookupError("secret")])
        if how == "is cancelled":
            ws._phase.cancel()
            await trio.sleep_forever()
        if how == "closes itself":
            await ws.aclose(4000, "mine")

    chosen: Any = (lambda ws: None) if how == "is no coroutine function" else handler
    async with serving(chosen) as server, dialed(server) as peer:
        await peer.write(frame(TEXT, "go", mask=MASK))
        received = await peer.read_until(CLOSE)
        assert received.code == code
        assert "secret" not in received.reason
        await peer.write(frame(CLOSE, received.payload, mask=MASK))
        await peer.gone()
        await peer.close()
        await until(lambda: not server._connections)
    errors = [item.message for item in caplog.records if item.levelname == "ERROR"]
    assert errors == logged


async def test_client_that_vanishes_is_info_without_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(echo) as server:
        async with dialed(server) as peer:
            await peer.reset()
        await until(lambda: not server._connections)
    assert not [item for item in caplog.records if item.levelno > logging.INFO]
    assert "handler ended" in caplog.text


async def test_handler_when_the_whole_server_is_cancelled_ends_with_1001() -> None:
    ended = []

    async def handler(ws: ServerConnection) -> None:
        try:
            await ws.recv()
        finally:
            ended.append(trio.current_effective_deadline())

    async with trio.open_nursery() as outer:
        server = await outer.start(serve, handler, 0, "127.0.0.1")
        async with dialed(server) as peer:
            await peer.heard()
            with trio.CancelScope(shield=True):
                outer.cancel_scope.cancel()
                assert (await peer.read_until(CLOSE)).code == 1001
                await peer.gone()
    assert ended == [-float("inf")]


async def test_connections_are_those_that_are_open() -> None:
    async with served() as (ws, peer):
        assert ws.server.connections == {ws}
        await peer.write(frame(CLOSE, b"\x03\xe8", mask=MASK))
        await peer.read_until(CLOSE)
        await until(lambda: not ws.server.connections)


async def test_subclass_may_override_steps() -> None:
    class Mine(ServerConnection):
        async def process_request(self, path: str, request_headers: Headers) -> Any:
            await trio.sleep(0)
            if path == "/healthz":
                return 200, [], b"fine\n"
            return await super().process_request(path, request_headers)

    async with serving(echo, create_connection=Mine) as server:
        assert b" 200 " in await status_of(server, PLAIN)
        async with connect(uri_of(server)) as ws:
            assert ws.open


# Hooks


async def test_process_request_may_wait_and_answer() -> None:
    async def hook(ws: ServerConnection, request: Request) -> Response | None:
        await trio.sleep(0)
        if request.path == "/healthz":
            return ws.respond(200, "fine\n")
        return None

    def sync(path: str, headers: Headers) -> Any:
        return (204, [], b"") if path == "/healthz" else None

    for chosen, status in ((hook, b" 200 "), (sync, b" 204 ")):
        async with serving(echo, process_request=chosen) as server:
            assert status in await status_of(server, PLAIN)
            async with connect(uri_of(server)) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"


async def test_process_response_may_replace_what_was_accepted() -> None:
    async def hook(
        ws: ServerConnection, request: Request, reply: Response
    ) -> Response | None:
        reply.headers["X-Hook"] = "seen"
        return ws.respond(429, "later\n") if request.path == "/later" else None

    async with serving(echo, process_response=hook) as server:
        async with connect(uri_of(server)) as ws:
            assert ws.response_headers["X-Hook"] == "seen"
        with pytest.raises(InvalidStatus) as caught:
            async with connect(uri_of(server, path="/later")):
                pass
        assert caught.value.response.status_code == 429


async def test_hook_that_fails_is_500_and_an_error_that_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hook(ws: ServerConnection, request: Request) -> None:
        raise LookupError("secret")

    async with serving(echo, process_request=hook) as server:
        assert b" 500 " in await status_of(server, REQUEST)
    assert [item.message for item in caplog.records] == ["process_request failed"]


async def test_hook_that_hangs_is_cut_by_open_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hook(ws: ServerConnection, request: Request) -> None:
        await trio.sleep_forever()

    options = {"process_request": hook, "open_timeout": 0.1}
    async with serving(echo, **options) as server:
        async with dialed(server, request=b"") as peer:
            await peer.write(REQUEST)
            await peer.gone()
        await until(lambda: not server._connections)
    assert "took longer than 0.1 s (open_timeout)" in caplog.text


async def test_client_that_leaves_during_a_hook_is_noticed_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noticed = trio.Event()
    running = trio.Event()

    async def hook(ws: ServerConnection, request: Request) -> None:
        running.set()
        await ws.wait_closed()
        noticed.set()

    async with serving(echo, process_request=hook) as server:
        async with dialed(server, request=b"") as peer:
            await peer.write(REQUEST)
            await running.wait()
        with trio.fail_after(2):
            await noticed.wait()
        await until(lambda: not server._connections)
    assert not [item for item in caplog.records if item.levelno > logging.INFO]


async def test_connection_in_a_hook_refuses_messages_and_can_be_closed() -> None:
    refused = []

    async def hook(ws: ServerConnection, request: Request) -> None:
        calls: list[Any] = [ws.recv, ws.ping, ws.pong, lambda: ws.send("x")]
        for call in calls:
            with pytest.raises(InvalidState, match="handshake"):
                await call()
            refused.append(call)
        with pytest.raises(InvalidState, match="recv_streaming"):
            ws.recv_streaming()
        with assert_checkpoints():
            await ws.aclose()
        await ws.wait_closed()

    async with serving(echo, process_request=hook) as server:
        async with dialed(server, request=REQUEST) as peer:
            await peer.gone()
        await until(lambda: not server._connections)
    assert len(refused) == 4


async def test_frames_that_come_during_a_hook_are_kept() -> None:
    asked: list[ServerConnection] = []
    go = trio.Event()

    async def hook(ws: ServerConnection, request: Request) -> None:
        asked.append(ws)
        await go.wait()

    async with (
        serving(echo, process_request=hook) as server,
        dialed(server, request=b"") as peer,
    ):
        await peer.write(REQUEST)
        await until(lambda: bool(asked))
        early = [frame(TEXT, f"early {n}", mask=MASK) for n in range(3)]
        await peer.write(early[0] + early[1][:3])
        responder = asked[0]._responder
        assert responder is not None
        await until(lambda: bool(responder.parser.leftover))
        await peer.write(early[1][3:] + early[2])
        go.set()
        await peer.read_head()
        for number in range(3):
            assert (await peer.read()).text == f"early {number}"


async def test_basic_auth_admits_the_right_credentials_only() -> None:
    async def check(username: str, password: str) -> bool:
        await trio.sleep(0)
        return password == "iloveyou"

    async def whoami(ws: ServerConnection) -> None:
        await ws.send(f"{ws.username}")

    for hook in (
        basic_auth("realm", credentials=("hello", "iloveyou")),
        basic_auth("realm", check_credentials=check),
    ):
        async with serving(whoami, process_request=hook) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://hello:iloveyou@localhost:{port}") as ws:
                assert await ws.recv() == "hello"
            wrong = base64.b64encode(b"hello:wrong").decode()
            for headers in ({}, {"Authorization": f"Basic {wrong}"}):
                with pytest.raises(InvalidStatus) as caught:
                    async with connect(uri_of(server), extra_headers=headers):
                        pass
                assert caught.value.response.status_code == 401
                challenge = caught.value.response.headers["WWW-Authenticate"]
                assert "realm" in challenge


async def test_routes_lead_to_handlers(tmp_path: Path) -> None:
    async def room(ws: ServerConnection, number: int) -> None:
        await ws.send(f"room {number + 1}")

    url_map = Map([Rule("/room/<int:number>", endpoint=room)])
    async with trio.open_nursery() as nursery:
        server = await nursery.start(route, url_map, 0, "127.0.0.1")
        async with connect(uri_of(server, path="/room/41")) as ws:
            assert await ws.recv() == "room 42"
        with pytest.raises(InvalidStatus) as caught:
            async with connect(uri_of(server, path="/nowhere")):
                pass
        assert caught.value.response.status_code == 404
        await server.aclose()
        server = await nursery.start(unix_route, url_map, tmp_path / "socket")
        async with unix_connect(tmp_path / "socket", uri="ws://localhost/room/1") as ws:
            assert await ws.recv() == "room 2"
        await server.aclose()


# Broadcast


async def test_broadcast_reaches_all_and_a_slow_one_is_dropped_or_closed() -> None:
    async def idle(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async with (
        serving(idle) as server,
        dialed(server) as good,
        dialed(server, small=True) as slow,
    ):
        await until(lambda: len(server.connections) == 2)
        result = await broadcast(server.connections, "hello")
        assert result.sent == 2
        assert [(await peer.read()).text for peer in (good, slow)] == ["hello"] * 2
        stuck = {
            ws
            for ws in server.connections
            if ws.remote_address == slow.sock.getsockname()
        }
        big = bytes(8 * 2**20)
        assert (await broadcast(stuck, big)).sent == 1
        result = await broadcast(server.connections, "x", on_slow="drop")
        assert (result.sent, set(result.dropped)) == (1, stuck)
        result = await broadcast(server.connections, "y", on_slow="close")
        assert (result.sent, set(result.closed)) == (1, stuck)
        assert [(await good.read()).text for _ in "xy"] == ["x", "y"]


# Limits


async def test_client_above_a_limit_is_answered_503() -> None:
    async with serving(echo, max_connections=1) as server:
        async with dialed(server) as peer:
            assert b" 503 " in await status_of(server, REQUEST)
            await peer.write(frame(CLOSE, b"\x03\xe8", mask=MASK))
            await peer.gone()
        await until(lambda: not server._connections)
        async with dialed(server):
            assert server.refused == {"max_connections": 1}


async def test_silent_client_is_cut_off_after_open_timeout() -> None:
    async with serving(echo, open_timeout=0.1) as server:
        for data in (b"", b"GET / HT"):
            async with dialed(server, request=data) as peer:
                began = trio.current_time()
                await peer.gone()
                assert 0.05 < trio.current_time() - began < 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (REQUEST.replace(b"-Key", b"-Quay"), b" 400 "),
        (REQUEST.replace(b"13", b"8"), b" 426 "),
        (REQUEST.replace(b"GET", b"POST"), b" 405 "),
        (REQUEST[:-2] + b"X: " + b"x" * 10_000 + b"\r\n\r\n", b" 431 "),
        (REQUEST[:-2] + b"Origin: http://evil\r\n\r\n", b" 403 "),
    ],
)
async def test_request_that_cannot_be_granted_gets_the_right_status(
    request_: bytes, status: bytes
) -> None:
    async with serving(echo, origins=[None]) as server:
        assert status in await status_of(server, request_)


async def test_large_page_is_sent_whole_to_a_slow_reader_and_not_to_one_who_stops() -> (
    None
):
    body = "x" * 4_000_000

    async def hook(ws: ServerConnection, request: Request) -> Response:
        return ws.respond(200, body)

    options = {"process_request": hook, "close_timeout": 0.3}
    async with serving(echo, **options) as server:
        async with dialed(server, request=PLAIN, small=True) as peer:
            await peer.read_head()
            left = len(body)
            while left:
                left -= len(await peer.take(min(left, 400_000)))
                await trio.sleep(0.02)
        async with dialed(server, request=PLAIN, small=True):
            await until(lambda: bool(server._connections))
            await until(lambda: not server._connections)


async def test_server_closes_tcp_first() -> None:
    async with served(close_timeout=5) as (ws, peer):
        await peer.write(frame(CLOSE, b"\x03\xe8", mask=MASK))
        assert (await peer.read()).code == 1000
        # Its half of TCP, before ours.
        assert not await peer.read_some()
        await peer.close()
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
