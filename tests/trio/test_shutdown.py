"""Closing a server on trio: in order, by a deadline, from anywhere."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from fullduplex import ProtocolError, Request, Response
from fullduplex.trio import ServerConnection, connect, serve

from ..kit.bytes import CLOSE, MASK, frame, response
from ..kit.trio_peer import until
from .kit import REQUEST, dialed, serving
from .test_server import echo, uri_of

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 2.0


async def answer(peer: Any, code: int) -> None:
    """Wait for a close frame and answer it."""
    received = await peer.read_until(CLOSE)
    assert received.code == code
    await peer.write(frame(CLOSE, received.payload, mask=MASK))
    await peer.gone()
    await peer.close()


async def test_aclose_tells_clients_1001_and_waits_for_handlers() -> None:
    ended = []

    async def handler(ws: ServerConnection) -> None:
        await echo(ws)
        await trio.sleep(0.05)
        ended.append(ws)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, handler, 0, "127.0.0.1")
        assert server.is_serving()
        async with dialed(server) as peer:
            nursery.start_soon(answer, peer, 1001)
            await server.aclose()
            assert ended
            assert not server.is_serving()
            assert server.sockets == ()
        with assert_checkpoints():
            await server.aclose()
        await server.wait_closed()


async def test_block_of_the_server_closes_it() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, echo, 0, "127.0.0.1")
        async with server, connect(uri_of(server)) as ws:
            await ws.send("x")
            await ws.recv()
        with pytest.raises(OSError):
            await trio.open_tcp_stream(*server.listeners[0].socket.getsockname())


async def test_aclose_sends_the_code_and_reason_that_it_is_given() -> None:
    async with serving(echo) as server, dialed(server) as peer:
        with pytest.raises(ProtocolError):
            await server.aclose(code=1005)
        with pytest.raises(ValueError, match="drain"):
            await server.aclose(drain=-1)
        assert server.is_serving()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: server.aclose(code=1012, reason="restart"))
            received = await peer.read_until(CLOSE)
            assert (received.code, received.reason) == (1012, "restart")
            await peer.write(frame(CLOSE, received.payload, mask=MASK))
            await peer.close()


async def test_aclose_when_cancelled_goes_on() -> None:
    async with serving(echo) as server, dialed(server) as peer:
        with trio.move_on_after(0.01):
            await server.aclose()
        await answer(peer, 1001)
        await server.wait_closed()


async def test_aclose_from_within_a_handler_does_not_wait_for_itself() -> None:
    async def handler(ws: ServerConnection) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.server.aclose)

    async with serving(handler) as server:
        async with connect(uri_of(server)) as ws:
            await ws.wait_closed()
            assert ws.close_code == 1001
        with trio.fail_after(2):
            await server.wait_closed()


async def test_request_during_shutdown_is_answered_503_unless_a_hook_does() -> None:
    running = trio.Event()
    go = trio.Event()

    async def hook(ws: ServerConnection, request: Request) -> Response | None:
        running.set()
        await go.wait()
        return ws.respond(200, "fine\n") if request.path == "/healthz" else None

    health = response("GET /healthz HTTP/1.1", "Host: localhost")
    for request, status in ((REQUEST, b" 503 "), (health, b" 200 ")):
        running, go = trio.Event(), trio.Event()
        async with (
            serving(echo, process_request=hook) as server,
            dialed(server, request=request) as peer,
        ):
            await running.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.aclose)
                await until(lambda: not server.is_serving())
                go.set()
                assert status in await peer.read_head()
                await peer.gone()


async def test_half_a_request_is_answered_503_and_silence_cut_off_after_a_second() -> (
    None
):
    async with (
        serving(echo, open_timeout=10) as server,
        dialed(server, request=REQUEST[:20]) as half,
        dialed(server, request=b"") as silent,
    ):
        await until(lambda: len(server._opening) == 2)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.aclose)
            assert b" 503 " in await half.read_head()
            await silent.gone()
            await half.close()
        assert 0.9 < trio.current_time() - began < 1 + SLACK


async def test_drain_cancels_handlers_and_names_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = []

    async def stubborn(ws: ServerConnection) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(ws)

    async with (
        serving(stubborn, close_timeout=0.2) as server,
        dialed(server),
    ):
        began = trio.current_time()
        await server.aclose(drain=0.2)
        assert 0.15 < trio.current_time() - began < 1 + SLACK
        assert ended
    assert "stubborn with path '/'" in caplog.text


async def test_handler_that_ignores_being_cancelled_is_waited_for_by_the_nursery_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = trio.Event()

    async def deaf(ws: ServerConnection) -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    done = trio.Event()

    async def run(task_status: Any) -> None:
        await serve(deaf, 0, "127.0.0.1", task_status=task_status)
        done.set()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(run)
        async with dialed(server) as peer:
            began = trio.current_time()
            await server.aclose(drain=0)
            assert 1.9 < trio.current_time() - began < 2 + SLACK
            await peer.gone()
        assert not done.is_set()
        release.set()
    assert done.is_set()
    assert "ignore being cancelled" in caplog.text


async def test_drain_without_closing_lets_connections_go_on() -> None:
    async with (
        serving(echo) as server,
        connect(uri_of(server), compression=None) as ws,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(server.aclose, False)
        await until(lambda: not server.is_serving())
        await ws.send("still here")
        assert await ws.recv() == "still here"
        began = trio.current_time()
        # A second call may bring the end nearer.
        await server.aclose(drain=0.1)
        assert trio.current_time() - began < 0.1 + 1 + SLACK


async def test_peer_that_never_reads_does_not_hold_up_the_end() -> None:
    async def flood(ws: ServerConnection) -> None:
        await ws.send(bytes(16 * 2**20))

    async with (
        serving(flood, close_timeout=0.3) as server,
        dialed(server, small=True),
    ):
        await until(lambda: bool(server.connections))
        began = trio.current_time()
        await server.aclose()
        assert trio.current_time() - began < 0.3 + SLACK


async def test_pings_are_answered_while_a_handler_is_busy() -> None:
    async def busy(ws: ServerConnection) -> None:
        await trio.sleep_forever()

    async with serving(busy) as server, dialed(server) as peer:
        await peer.heard()
