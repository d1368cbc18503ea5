"""Closing a server: it ends, whatever clients, hooks and handlers do."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from fullduplex import ProtocolError, ServerConnection, connect, serve, unix_serve

from ..kit.asyncio_peer import Stopwatch, turns, until
from ..kit.bytes import TEXT, request
from ..kit.clock import PATIENCE
from .server_kit import echo, records, serving


async def waiting(ws: ServerConnection) -> None:
    await ws.wait_closed()


async def hanging(ws: ServerConnection) -> None:
    await asyncio.Event().wait()


async def stubborn(ws: ServerConnection) -> None:
    while not ws.stop.is_set():  # type: ignore[attr-defined]
        try:
            await ws.stop.wait()  # type: ignore[attr-defined]
        except asyncio.CancelledError:
            pass


async def test_close_tells_peers_1001_and_waits_for_handlers() -> None:
    order = []

    async def handler(ws: ServerConnection) -> None:
        await ws.wait_closed()
        await asyncio.sleep(0.05)
        order.append("handler")

    async with serving(handler) as place:
        clients = [await place.open() for _ in range(3)]
        place.server.close()
        closing = asyncio.ensure_future(place.server.wait_closed())
        for client in clients:
            assert (await client.say_goodbye()).code == 1001
        await closing
        order.append("closed")

        assert order == ["handler"] * 3 + ["closed"]
        assert not place.server.is_serving()
        assert list(place.server.sockets) == []
        assert place.server.connections == set()


@pytest.mark.variants("plain")
async def test_close_sends_the_code_and_reason_that_it_is_given() -> None:
    async with serving(waiting) as place:
        client = await place.open()
        place.server.close(code=1012, reason="restart")
        received = await client.say_goodbye()

        assert (received.code, received.payload[2:]) == (1012, b"restart")


@pytest.mark.variants("plain")
async def test_close_with_what_must_not_be_sent_changes_nothing() -> None:
    async with serving() as place:
        for wrong in ({"code": 1005}, {"reason": "x" * 124}):
            with pytest.raises(ProtocolError):
                place.server.close(**wrong)
        with pytest.raises(ValueError, match="drain"):
            place.server.close(drain=-1)

        assert place.server.is_serving()
        await place.open()


async def test_close_twice_is_closing_once() -> None:
    async with serving(waiting) as place:
        client = await place.open()
        place.server.close()
        place.server.close(code=1012)
        assert (await client.say_goodbye()).code == 1001
        await asyncio.gather(*(place.server.wait_closed() for _ in range(3)))
        place.server.close()
        await place.server.wait_closed()


@pytest.mark.variants("plain")
async def test_wait_closed_does_not_close() -> None:
    async with serving() as place:
        waiting = asyncio.ensure_future(place.server.wait_closed())
        await turns(3)
        assert not waiting.done()
        waiting.cancel()
        await place.open()


async def test_request_during_shutdown_is_answered_503() -> None:
    async with serving(waiting) as place:
        half = await place.connect()
        half.write(request()[:30])
        await until(lambda: len(place.server._connections) == 1)
        place.server.close(close_connections=False)
        answer = await half.ask(request()[30:])

        assert answer.status == 503
        assert await half.ended() == b""
        await place.server.wait_closed()


async def test_half_a_request_is_answered_503_after_a_second() -> None:
    async with serving(open_timeout=None) as place:
        half = await place.connect()
        half.write(request()[:30])
        await until(lambda: len(place.server._connections) == 1)
        place.server.close()
        watch = Stopwatch()
        assert (await half.answer()).status == 503
        assert 0.5 < watch.elapsed < 2


@pytest.mark.variants("plain")
async def test_hook_that_is_running_at_shutdown_may_answer_a_health_check() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def process_request(connection: ServerConnection, request: Any) -> Any:
        entered.set()
        await go_on.wait()
        return connection.respond(200, "OK\n") if request.path == "/health" else None

    async with serving(process_request=process_request) as place:
        probe, client = await place.connect(), await place.connect()
        probe.write(request("GET /health HTTP/1.1"))
        client.write(request())
        await until(lambda: len(place.server._connections) == 2)
        await entered.wait()
        place.server.close()
        await turns(3)
        go_on.set()

        assert (await probe.answer()).status == 200
        assert (await client.answer()).status == 503
        await place.server.wait_closed()


async def test_silent_clients_do_not_hold_up_the_end() -> None:
    async with serving(open_timeout=60) as place:
        silent = [await place.connect() for _ in range(3)]
        await until(lambda: len(place.server._connections) == 3)
        watch = Stopwatch()
        place.server.close()
        await place.server.wait_closed()

        assert watch.elapsed < 2
        for client in silent:
            assert await client.ended() == b""


@pytest.mark.variants("plain")
async def test_silent_client_is_cut_off_after_open_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(open_timeout=0.1) as place:
        caplog.clear()
        client = await place.connect()
        watch = Stopwatch()
        assert await client.ended() == b""
        assert 0.05 < watch.elapsed < 1
        assert records(caplog) == []


async def test_drain_cancels_handlers_and_names_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(hanging) as place:
        client = await place.open(path="/room")
        watch = Stopwatch()
        place.server.close(drain=0.1)
        assert (await client.say_goodbye()).code == 1001
        await place.server.wait_closed()

        assert 0.05 < watch.elapsed < 1
        (line,) = records(caplog, logging.WARNING)
        assert "hanging" in line
        assert "/room" in line
        assert "127.0.0.1" in line


@pytest.mark.variants("plain")
async def test_drain_names_many_handlers_in_one_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(hanging) as place:
        for _ in range(13):
            await place.open()
        place.server.close(drain=0)
        await place.server.wait_closed()
        (line,) = records(caplog, logging.WARNING)
        assert line.count("hanging") == 10
        assert line.endswith("and 3 more")


@pytest.mark.variants("plain")
async def test_drain_without_closing_lets_connections_go_on_until_the_deadline() -> (
    None
):
    async with serving() as place:
        client = await place.open()
        place.server.close(close_connections=False, drain=0.2)
        client.send(TEXT, "still here")
        assert (await client.read()).text == "still here"
        assert (await client.say_goodbye()).code == 1001
        await place.server.wait_closed()


@pytest.mark.variants("plain")
async def test_drain_mode_returns_when_the_last_client_leaves() -> None:
    async with serving() as place:
        async with connect(place.uri) as ws:
            place.server.close(close_connections=False)
            await ws.send("1")
            assert await ws.recv() == "1"
        await place.server.wait_closed()


@pytest.mark.variants("plain")
async def test_second_close_may_bring_the_end_nearer() -> None:
    async with serving(hanging) as place:
        await place.open()
        place.server.close(drain=60)
        await turns(3)
        place.server.close(drain=0)
        async with asyncio.timeout(PATIENCE):
            await place.server.wait_closed()


async def test_handler_that_ignores_being_cancelled_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = asyncio.Event()

    class Marked(ServerConnection):
        pass

    Marked.stop = stop  # type: ignore[attr-defined]
    async with serving(stubborn, create_protocol=Marked) as place:
        client = await place.open()
        place.server.close(drain=0)
        async with asyncio.timeout(PATIENCE):
            await place.server.wait_closed()
        assert any("stubborn" in line for line in records(caplog, logging.ERROR))
        assert await client.ended() is not None
        stop.set()
        await until(lambda: not place.server._connections)


async def test_peer_that_never_reads_does_not_hold_up_the_end() -> None:
    async def flood(ws: ServerConnection) -> None:
        while True:
            await ws.send(b"x" * 65536)

    async with serving(flood, close_timeout=0.2) as place:
        await place.open(small=True)
        (ws,) = place.server.connections
        await until(lambda: bool(ws.transport.get_write_buffer_size()))
        watch = Stopwatch()
        place.server.close()
        await place.server.wait_closed()
        assert watch.elapsed < 1.5


async def test_serve_forever_ends_with_close() -> None:
    async with serving(waiting) as place:
        forever = asyncio.ensure_future(place.server.serve_forever())
        client = await place.open()
        place.server.close()
        await client.say_goodbye()
        await forever


async def test_serve_forever_closes_when_it_is_cancelled() -> None:
    async with serving(waiting) as place:
        forever = asyncio.ensure_future(place.server.serve_forever())
        client = await place.open()
        forever.cancel()
        assert (await client.say_goodbye()).code == 1001
        with pytest.raises(asyncio.CancelledError):
            await forever
        with pytest.raises(RuntimeError, match="closed"):
            await place.server.serve_forever()


async def test_server_that_does_not_serve_yet_begins_when_told() -> None:
    async with serving(start_serving=False) as place:
        server = place.server
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        await server.start_serving()
        await place.open()
        assert server.get_loop() is asyncio.get_running_loop()


async def test_server_that_never_served_closes() -> None:
    async with serve(echo, "127.0.0.1", 0, start_serving=False) as server:
        assert not server.is_serving()


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
async def test_unix_server_serves_and_tells_the_path(kind: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    seen = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(ws.local_address)

    async with unix_serve(handler, kind(path)):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()
    assert seen == [path]
    # A file that was left behind does not matter.
    async with unix_serve(echo, kind(path)):
        pass


@pytest.mark.variants("plain")
async def test_serve_refuses_arguments_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="sock"):
        serve(echo, "localhost", sock=object())
    with pytest.raises(ValueError, match="either path or sock"):
        unix_serve(echo)
    with pytest.raises(TypeError, match="host"):
        unix_serve(echo, "/x", host="localhost")
    with pytest.raises(ValueError, match="open_timeout"):
        serve(echo, open_timeout=-1)
    with pytest.raises(ValueError, match="compression"):
        serve(echo, compression="brotli")
    with pytest.raises(ValueError, match="max_connections"):
        serve(echo, max_connections=0)


@pytest.mark.variants("plain")
async def test_starting_twice_is_refused() -> None:
    starting = serve(echo, "127.0.0.1", 0)
    async with starting:
        with pytest.raises(RuntimeError, match="started already"):
            await starting


@pytest.mark.variants("plain")
async def test_server_says_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as place:
        port = place.port
    assert records(caplog) == [
        f"server listening on 127.0.0.1:{port}",
        "server closing",
        "server closed",
    ]


async def test_closing_over_tls_ends(server_tls: Any, client_tls: Any) -> None:
    async with serving(ssl=server_tls) as place:
        silent = await place.connect(ssl=client_tls)
        client = await place.connect(ssl=client_tls)
        await client.upgrade()
        watch = Stopwatch()
        place.server.close(drain=0.5)
        assert (await client.say_goodbye()).code == 1001
        await place.server.wait_closed()
        assert watch.elapsed < 4
        assert await silent.ended() == b""


async def test_close_by_the_first_of_several_handlers_spares_nobody() -> None:
    began = []

    async def handler(ws: ServerConnection) -> None:
        began.append(ws)
        ws.server.close()
        await ws.wait_closed()

    async with serving(handler) as place:
        # All requests are there before the server looks.
        clients = [await place.connect() for _ in range(5)]
        for client in clients:
            client.write(request())
        async with asyncio.timeout(PATIENCE):
            await place.server.wait_closed()

        assert began
        assert not place.server.is_serving()
        assert not place.server._connections
