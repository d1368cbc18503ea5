"""``async for ws in connect(...)``: reconnecting, giving up, and leaving the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from fullduplex import (
    Backoff,
    ClientConnection,
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    StateChange,
    connect,
)
from fullduplex.client import backoff, process_exception

from ..kit.asyncio_peer import Listener, Peer, Stopwatch, listening, turns
from ..kit.bytes import TEXT, close_frame, frame

pytestmark = pytest.mark.variants("two")


class Delays:
    """Delays that note how they were used."""

    def __init__(self, *delays: float) -> None:
        self.delays = delays or (0.0,) * 100
        self.made = 0
        self.taken: list[float] = []

    def __call__(self) -> Generator[float]:
        self.made += 1
        for delay in self.delays:
            self.taken.append(delay)
            yield delay


class Codes:
    """What happened to each connection of the server."""

    def __init__(self) -> None:
        self.closed: list[int | None] = []


@asynccontextmanager
async def server(
    *scripts: Callable[[Peer], Any],
) -> AsyncIterator[tuple[Listener, Codes]]:
    """Serve one connection after the other, with a script for each."""
    codes = Codes()
    async with listening() as listener:

        async def serve() -> None:
            for script in scripts:
                peer = await listener.accept()
                code = await script(peer)
                codes.closed.append(code)

        task = asyncio.ensure_future(serve())
        try:
            yield listener, codes
            async with asyncio.timeout(5):
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def good(peer: Peer) -> int | None:
    """Accept, send a greeting, and wait for the close frame."""
    await peer.handshake(glued=frame(TEXT, "hello"))
    return (await peer.answer_close()).code


async def leaving(peer: Peer) -> None:
    """Accept and go away."""
    await peer.handshake(glued=close_frame(1001))
    await peer.end_after_close()


def refusing(status: int) -> Callable[[Peer], Any]:
    async def refuse(peer: Peer) -> None:
        await peer.read_request()
        peer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        await peer.gone()

    return refuse


async def vanishing(peer: Peer) -> None:
    """Close TCP instead of answering."""
    await peer.read_request()
    peer.close()


async def rubbish(peer: Peer) -> None:
    await peer.read_request()
    peer.write(b"rubbish\r\n\r\n")
    await peer.gone()


async def fruitless(opening: connect) -> None:
    """Loop over connections of which there must be none."""
    async for _ in opening:
        pytest.fail("connected")


async def test_loop_connects_again_each_time_and_closes_the_connection_before() -> None:
    delays = Delays()
    async with server(good, good, good) as (listener, codes):
        count = 0
        last = None
        async for ws in connect(listener.uri, reconnect_delays=delays):
            assert last is None or last.closed
            assert await ws.recv() == "hello"
            last = ws
            count += 1
            if count == 3:
                await ws.close(4000)
                break
            continue
    assert codes.closed == [1000, 1000, 4000]
    # There was no failure.
    assert delays.taken == []


async def test_loop_goes_on_after_the_server_has_closed() -> None:
    async with server(leaving, leaving, good) as (listener, codes):
        received = []
        async for ws in connect(listener.uri, reconnect_delays=Delays()):
            try:
                async for message in ws:
                    received.append(message)
                    await ws.close()
            except ConnectionClosed:
                continue
            if received:
                break
    assert received == ["hello"]
    assert codes.closed[-1] == 1000


@pytest.mark.parametrize(
    "failures",
    [
        [vanishing],
        [refusing(500), refusing(502), refusing(503), refusing(504)],
        [vanishing, refusing(503), vanishing],
    ],
    ids=["vanishing", "5xx", "both"],
)
async def test_loop_retries_what_may_pass_with_the_given_delays(
    failures: Sequence[Callable[[Peer], Any]],
) -> None:
    delays = Delays(*[0.01 * n for n in range(1, 10)])
    async with server(*failures, good) as (listener, _codes):
        watch = Stopwatch()
        async for ws in connect(listener.uri, reconnect_delays=delays):
            await ws.close()
            break
        assert watch.elapsed >= sum(delays.taken)
    assert delays.made == 1
    assert delays.taken == [0.01 * n for n in range(1, len(failures) + 1)]


async def test_loop_starts_the_delays_again_after_a_success() -> None:
    delays = Delays(0.0, 0.001, 0.002)
    scripts = [vanishing, vanishing, good, vanishing, good]
    async with server(*scripts) as (listener, _):
        count = 0
        async for ws in connect(listener.uri, reconnect_delays=delays):
            await ws.close()
            count += 1
            if count == 2:
                break
    assert delays.taken == [0.0, 0.001, 0.0]
    assert delays.made == 2


async def test_loop_retries_refused_tcp_for_as_long_as_it_may() -> None:
    async with listening() as listener:
        uri = listener.uri
    delays = Delays(0.0, 0.0)

    def decide(exc: Exception) -> Exception | None:
        assert isinstance(exc, ConnectionRefusedError)
        return LookupError("enough") if len(delays.taken) == 2 else None

    opening = connect(uri, reconnect_delays=delays, process_exception=decide)
    with pytest.raises(LookupError, match="enough"):
        await fruitless(opening)


@pytest.mark.parametrize("script", [refusing(403), refusing(404), rubbish])
async def test_loop_raises_what_will_not_pass(script: Callable[[Peer], Any]) -> None:
    delays = Delays()
    async with server(script) as (listener, _):
        with pytest.raises(InvalidHandshake) as caught:
            await fruitless(connect(listener.uri, reconnect_delays=delays))
        assert process_exception(caught.value) is caught.value
    assert delays.taken == []


async def test_process_exception_decides() -> None:
    seen: list[Exception] = []

    def decide(exc: Exception) -> Exception | None:
        seen.append(exc)
        return None if len(seen) < 3 else exc

    async with server(*[refusing(403)] * 3) as (listener, _):
        opening = connect(
            listener.uri, process_exception=decide, reconnect_delays=Delays()
        )
        with pytest.raises(InvalidStatus) as caught:
            await fruitless(opening)
    assert len(seen) == 3
    assert caught.value is seen[-1]


@pytest.mark.parametrize("raises", [True, False])
async def test_process_exception_may_give_another_exception(raises: bool) -> None:
    def decide(exc: Exception) -> Exception | None:
        if raises:
            raise LookupError("mine")
        return LookupError("mine")

    async with server(refusing(503)) as (listener, _):
        with pytest.raises(LookupError, match="mine") as caught:
            await fruitless(connect(listener.uri, process_exception=decide))
    assert isinstance(caught.value.__cause__, InvalidStatus)


async def test_break_closes_the_connection() -> None:
    async with server(good) as (listener, codes):
        last = None
        async for ws in connect(listener.uri):
            last = ws
            break
        assert last is not None
        async with asyncio.timeout(2):
            await last.wait_closed()
    # One code for every way of leaving the loop: nobody can tell them apart.
    assert codes.closed == [1001]


async def test_exception_of_the_body_closes_the_connection_and_escapes() -> None:
    asked: list[Exception] = []
    connections: list[ClientConnection] = []

    async def loop() -> None:
        async for ws in connect(listener.uri, process_exception=asked.append):
            connections.append(ws)
            raise LookupError

    async with server(good) as (listener, codes):
        with pytest.raises(LookupError):
            await loop()
        async with asyncio.timeout(2):
            await connections[0].wait_closed()
    assert codes.closed == [1001]
    assert asked == []


async def test_leaving_the_generator_explicitly_closes_before_it_returns() -> None:
    async with server(good) as (listener, _codes):
        iterator = connect(listener.uri).__aiter__()
        async with aclosing(iterator):  # type: ignore[type-var]
            ws = await anext(iterator)
        assert ws.closed


async def test_cancelling_while_waiting_to_reconnect_ends_the_loop() -> None:
    delays = Delays(100.0)
    async with server(vanishing) as (listener, _):

        async def loop() -> None:
            await fruitless(connect(listener.uri, reconnect_delays=delays))

        task = asyncio.ensure_future(loop())
        while not delays.taken:
            await turns(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_inside_the_body_closes_the_connection() -> None:
    async with server(good) as (listener, codes):
        connections = []

        async def loop() -> None:
            async for ws in connect(listener.uri):
                connections.append(ws)
                async for _ in ws:
                    pass

        task = asyncio.ensure_future(loop())
        while not connections:
            await turns(1)
        await turns(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            await connections[0].wait_closed()
    assert codes.closed == [1001]


@pytest.mark.variants("plain")
async def test_reconnecting_is_logged_at_info_without_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fullduplex.client")
    async with server(vanishing, good) as (listener, _):
        async for ws in connect(listener.uri, reconnect_delays=Delays(0.01)):
            await ws.close()
            break
    records = [r for r in caplog.records if r.name == "fullduplex.client"]
    assert [record.levelname for record in records] == ["INFO"]
    assert records[0].exc_info is None
    assert "0.0" in records[0].getMessage()


async def test_loop_goes_to_where_a_redirect_led() -> None:
    async def redirecting(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
        await peer.gone()

    async with server(redirecting, good, good) as (listener, _):
        paths = []
        async for ws in connect(listener.uri):
            paths.append(ws.path)
            await ws.close()
            if len(paths) == 2:
                break
    assert paths == ["/new", "/new"]


def test_default_delays_grow_up_to_a_limit() -> None:
    delays = backoff(random=lambda: 0.5)
    values = [next(delays) for _ in range(12)]
    assert values[0] == 2.5
    assert values[1] == 3.1
    assert values == sorted(values)[:1] + values[1:]
    assert max(values) == values[-1] == 90


def pushing_out(code: int) -> Callable[[Peer], Any]:
    async def push_out(peer: Peer) -> None:
        await peer.handshake(glued=close_frame(code))
        await peer.end_after_close()

    return push_out


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1013])
async def test_server_that_accepts_and_closes_sees_growing_delays(code: int) -> None:
    delays = Delays(*[0.001 * n for n in range(1, 10)])
    async with server(*[pushing_out(code)] * 4) as (listener, _):
        async for ws in connect(listener.uri, reconnect_delays=delays):
            async with asyncio.timeout(2):
                await ws.wait_closed()
            if len(delays.taken) == 3:
                break
    assert delays.made == 1
    assert delays.taken == [0.001, 0.002, 0.003]


async def test_delays_begin_anew_after_a_useful_connection() -> None:
    # With no time to be useful, every connection is.
    backoff = Backoff(initial=0.001, min=50, reset_after=0)
    async with server(leaving, leaving, leaving, good) as (listener, _):
        count = 0
        async for ws in connect(listener.uri, reconnect_delays=backoff):
            count += 1
            if count == 4:
                await ws.close()
                break
            await ws.wait_closed()


async def test_headers_are_asked_for_at_each_attempt() -> None:
    seen: list[str | None] = []

    async def noting(peer: Peer) -> int | None:
        await peer.handshake()
        seen.append(peer.header("Authorization"))
        return (await peer.answer_close()).code

    tokens = iter(["one", "two", "three"])

    async def headers() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"Authorization": f"Bearer {next(tokens)}"}

    async with server(noting, noting, noting) as (listener, _):
        async for ws in connect(listener.uri, extra_headers=headers):
            await ws.close()
            if len(seen) == 3:
                break
    assert seen == ["Bearer one", "Bearer two", "Bearer three"]


async def test_headers_of_a_plain_function_are_taken_as_well() -> None:
    async def noting(peer: Peer) -> int | None:
        await peer.handshake()
        assert peer.header("X-Token") == "mine"
        return (await peer.answer_close()).code

    async with server(noting) as (listener, _):
        ws = await connect(listener.uri, extra_headers=lambda: {"X-Token": "mine"})
        await ws.close()


async def test_headers_that_cannot_be_sent_end_the_loop() -> None:
    async with listening() as listener:
        with pytest.raises(ValueError, match="upgrade"):
            await connect(listener.uri, extra_headers=lambda: {"Upgrade": "x"})


async def test_on_open_runs_before_the_connection_is_returned() -> None:
    greeted = []

    async def greet(ws: ClientConnection) -> None:
        greeted.append(await ws.recv())

    async with server(good, good) as (listener, _):
        async for ws in connect(listener.uri, on_open=greet):
            assert greeted[-1] == "hello"
            await ws.close()
            if len(greeted) == 2:
                break


async def test_on_open_that_fails_closes_the_connection_and_escapes() -> None:
    async def fail(ws: ClientConnection) -> None:
        raise LookupError

    async with server(good) as (listener, codes):
        with pytest.raises(LookupError):
            await connect(listener.uri, on_open=fail)
    assert codes.closed == [1011]


async def test_on_open_that_loses_the_connection_is_tried_again() -> None:
    greeted = []

    async def greet(ws: ClientConnection) -> None:
        greeted.append(await ws.recv())

    delays = Delays(0.001)
    async with server(leaving, good) as (listener, _):
        options: dict[str, Any] = {"on_open": greet, "reconnect_delays": delays}
        async for ws in connect(listener.uri, **options):
            await ws.close()
            break
    assert greeted == ["hello"]
    assert delays.taken == [0.001]


async def test_states_are_told_in_order() -> None:
    changes: list[StateChange] = []
    delays = Delays(0.001, 0.002)
    async with server(vanishing, leaving, refusing(401)) as (listener, _):
        with pytest.raises(InvalidStatus):
            async for ws in connect(
                listener.uri, on_state=changes.append, reconnect_delays=delays
            ):
                await ws.wait_closed()
    assert [(change.state, change.attempt) for change in changes] == [
        ("connecting", 1),
        ("waiting", 1),
        ("connecting", 2),
        ("open", 2),
        ("lost", 2),
        ("waiting", 2),
        ("connecting", 3),
        ("given_up", 3),
    ]
    assert changes[1].delay == 0.001
    assert "401" in changes[-1].reason


async def test_class_attributes_tune_the_delays() -> None:
    class Patient(connect):
        BACKOFF_INITIAL = 0.001
        BACKOFF_MIN = 0.001
        BACKOFF_MAX = 0.002

    async with server(vanishing, vanishing, vanishing, good) as (listener, _):
        async for ws in Patient(listener.uri):
            await ws.close()
            break
