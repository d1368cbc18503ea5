"""The acceptance list for servers, by number: what is true on the wire.

    1  the response 101                      8  peers that keep TCP open
    2  a status for each bad request         9  peers that never read
    3  origins                              10  pings behind a full queue
    4  unmasked frames                      11  broadcast to a mixed crowd
    5  how handlers end                     12  hooks that misbehave
    6  shutdown                             13  stale Unix sockets
    7  draining

What more there is to each is in the modules beside this one.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from fullduplex import ConnectionClosed, ServerConnection, broadcast, unix_serve

from ..kit.asyncio_peer import Stopwatch, until
from ..kit.bytes import ACCEPT, CLOSE, PING, PONG, TEXT, frame, request
from .server_kit import echo, records, serving


async def never(ws: ServerConnection) -> None:
    raise AssertionError("the handler was called")


async def test_01_response_to_the_sample_key_is_exact() -> None:
    async with serving(server_header="X") as place:
        client = await place.connect()
        client.write(request())
        head = await client.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]

        assert first == "HTTP/1.1 101 Switching Protocols"
        assert lines[0].startswith("Date: ")
        assert sorted(lines[1:]) == [
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {ACCEPT}",
            "Server: X",
            "Upgrade: websocket",
        ]


async def test_02_tcp_ends_after_an_error_response() -> None:
    async with serving(never) as place:
        for data, status in [
            (request(without="Upgrade"), 426),
            (request("POST / HTTP/1.1"), 405),
            (request("GET / HTTP/1.0"), 505),
            (request("GET /" + 9000 * "a" + " HTTP/1.1"), 414),
            (request("GET / HTTP/1.1", "A: " + 9000 * "a"), 431),
            (request(without="Sec-WebSocket-Key"), 400),
        ]:
            client = await place.connect()
            assert (await client.ask(data)).status == status
            assert await client.ended() == b""


async def test_03_bad_origin_is_403_before_any_handler() -> None:
    async with serving(never, origins=[re.compile(r"https://.*\.ok\.com")]) as place:
        for origin in ("https://a.ok.com.evil", "http://a.ok.com", "null"):
            client = await place.connect()
            answer = await client.ask(request("GET / HTTP/1.1", f"Origin: {origin}"))
            assert answer.status == 403


async def test_04_unmasked_frame_is_answered_1002_and_fin() -> None:
    async with serving() as place:
        client = await place.open()
        client.write(frame(TEXT, "hello"))

        assert (await client.closed_with()).code == 1002
        assert await client.ended() == b""


async def test_05_handler_that_returns_raises_or_is_cancelled_closes() -> None:
    async def handler(ws: ServerConnection) -> None:
        outcome = {"/e": RuntimeError("secret"), "/c": asyncio.CancelledError()}
        if ws.path in outcome:
            raise outcome[ws.path]

    async with serving(handler) as place:
        for path, code in [("/", 1000), ("/e", 1011), ("/c", 1011)]:
            client = await place.open(path=path)
            received = await client.say_goodbye()
            assert (received.code, received.payload[2:]) == (code, b"")


async def test_06_shutdown_reaches_clients_in_every_state() -> None:
    finished = []

    async def handler(ws: ServerConnection) -> None:
        await ws.wait_closed()
        finished.append(ws)

    async with serving(handler, open_timeout=2) as place:
        server = place.server
        client, silent, half = [
            await place.open(),
            await place.connect(),
            await place.connect(),
        ]
        half.write(request()[:20])
        await until(lambda: len(server._connections) == 3)
        watch = Stopwatch()
        server.close()
        server.close()
        assert (await client.say_goodbye()).code == 1001
        assert (await half.ask(request()[20:])).status == 503
        assert await silent.ended() == b""
        await server.wait_closed()

        assert watch.elapsed < 2
        assert len(finished) == 1


async def test_07_draining_lets_traffic_flow_until_the_last_client_leaves() -> None:
    async with serving() as place:
        client = await place.open()
        place.server.close(close_connections=False)
        closed = asyncio.ensure_future(place.server.wait_closed())
        client.send(TEXT, "still here")
        assert (await client.read()).text == "still here"
        assert not closed.done()
        client.send(CLOSE, b"\x03\xe8")
        await client.ended()
        await closed


async def test_08_peer_that_keeps_tcp_open_is_aborted_after_one_close_timeout() -> None:
    released = []

    async def handler(ws: ServerConnection) -> None:
        watch = Stopwatch()

        async def receive() -> None:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            released.append(watch.elapsed)

        async with asyncio.TaskGroup() as group:
            group.create_task(receive())
            await asyncio.sleep(0)
            await ws.close()
            released.append(watch.elapsed)
        await ws.wait_closed()
        released.append(watch.elapsed)

    async with serving(handler, close_timeout=0.3) as place:
        client = await place.open()
        await client.closed_with()
        client.write(frame(CLOSE, b"\x03\xe8", mask=b"abcd"))
        await until(lambda: len(released) == 3)
        assert all(0.2 < moment < 0.8 for moment in released)


async def test_09_close_is_bounded_when_the_peer_never_reads() -> None:
    taken = []

    async def handler(ws: ServerConnection) -> None:
        sending = asyncio.ensure_future(ws.send(bytes(2**24)))
        await until(lambda: bool(ws.transport.get_write_buffer_size()))
        watch = Stopwatch()
        await ws.close()
        taken.append(watch.elapsed)
        with pytest.raises(ConnectionClosed):
            await sending

    async with serving(handler, close_timeout=0.3) as place:
        await place.open(small=True)
        await until(lambda: bool(taken))
        assert 0.2 < taken[0] < 0.8


async def test_10_pings_behind_a_full_queue_are_answered() -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async with serving(handler, max_queue=2) as place:
        client = await place.open()
        # As many as a queue of two lets in with one read, and a ping behind them.
        client.write(
            *(frame(TEXT, str(number), mask=b"abcd") for number in range(10)),
            frame(PING, b"behind", mask=b"abcd"),
        )
        received = await client.read_until(PONG)
        assert received.payload == b"behind"


async def test_11_broadcast_to_a_mixed_crowd_raises_nothing() -> None:
    go_on = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        if ws.path == "/fragments":

            async def parts() -> Any:
                yield "begun "
                await go_on.wait()
                yield "ended"

            await ws.send(parts())
        await ws.wait_closed()

    async with serving(handler, close_timeout=0.5) as place:
        server = place.server
        members = {}
        for path in ("/open", "/closing", "/slow", "/fragments"):
            client = await place.open(path=path, small=path == "/slow")
            members[path] = client
        everybody = {ws.path: ws for ws in server.connections}
        closing = asyncio.ensure_future(everybody["/closing"].close())
        await until(lambda: not everybody["/closing"].open)
        broadcast([everybody["/slow"]], bytes(2**18))
        broadcast(everybody.values(), "news")

        assert (await members["/open"].read()).text == "news"
        go_on.set()
        await closing


@pytest.mark.parametrize("fault", ["garbage", "raise", "hang", "outlive"])
async def test_12_hook_that_misbehaves_leaks_nothing(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    entered = asyncio.Event()

    async def process_request(connection: ServerConnection, request: object) -> Any:
        entered.set()
        if fault == "raise":
            raise RuntimeError("secret")
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "outlive":
            await connection.wait_closed()
            await asyncio.sleep(0.01)
            return None
        return object()

    async with serving(
        never, process_request=process_request, open_timeout=0.2
    ) as place:
        client = await place.connect()
        client.write(request())
        await entered.wait()
        if fault == "outlive":
            client.close()
        elif fault == "hang":
            assert await client.ended() == b""
        else:
            assert (await client.answer()).status == 500
            assert await client.ended() == b""
        await until(lambda: not place.server._connections)
        assert (records(caplog, logging.ERROR) == []) == (fault == "outlive")


async def test_13_stale_unix_socket_is_replaced(tmp_path: Any) -> None:
    import socket

    path = tmp_path / "socket"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    async with unix_serve(echo, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()
