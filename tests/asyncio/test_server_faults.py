"""Crowds of bad clients: the good ones lose nothing, and nothing is left behind.

What is left is looked for in four places: tasks and sockets (by the harness), the
server's own books, and the loop's timers.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import weakref
from typing import Any

import pytest

from fullduplex import IMPLEMENTATION, ServerConnection, connect
from fullduplex.asyncio import _listener as _listen

from ..kit.asyncio_peer import until
from ..kit.bytes import BINARY, CLOSE, MASK, TEXT, frame, request
from ..kit.clock import PATIENCE
from .server_kit import Place, echo, serving


def timers() -> int:
    """Count the timers of a loop of asyncio's."""
    loop: Any = asyncio.get_running_loop()
    return sum(not timer.cancelled() for timer in getattr(loop, "_scheduled", ()))


@pytest.mark.variants("transports")
async def test_500_silent_clients_cost_neither_task_nor_timer_each() -> None:
    before = timers()
    tasks = len(asyncio.all_tasks())
    async with serving(open_timeout=3) as place:
        clients = [await place.connect() for _ in range(500)]
        await until(lambda: len(place.server._connections) == 500)
        assert len(asyncio.all_tasks()) <= tasks + 2
        assert timers() <= before + 3

        good = await place.open()
        good.send(TEXT, "served")
        assert (await good.read()).text == "served"

        await until(lambda: len(place.server._connections) == 1)
        for client in clients:
            client.abort()
    assert timers() <= before


@pytest.mark.variants("transports")
async def test_slow_loris_is_cut_off_after_open_timeout() -> None:
    async with serving(open_timeout=0.3) as place:
        slow = [await place.connect() for _ in range(20)]
        data = request()

        async def drip(client: Any) -> None:
            for byte in data[:-1]:
                client.write(bytes([byte]))
                await asyncio.sleep(0.01)

        drips = [asyncio.ensure_future(drip(client)) for client in slow]
        ends = await asyncio.gather(*(client.ended() for client in slow))
        for task in drips:
            task.cancel()
        assert ends == [b""] * 20
        await until(lambda: not place.server._connections)


STEPS = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\n",
    request()[:-1],
    request(),
    request() + frame(TEXT, "x" * 1000, mask=MASK)[:1],
    request() + frame(TEXT, "x" * 1000, mask=MASK)[:7],
    request() + frame(TEXT, "x" * 1000, mask=MASK)[:500],
    request() + frame(TEXT, "x" * 1000, mask=MASK),
    request() + frame(TEXT, "x", fin=False, mask=MASK),
    request() + frame(CLOSE, b"\x03\xe8", mask=MASK)[:3],
    request() + frame(CLOSE, b"\x03\xe8", mask=MASK),
]


@pytest.mark.variants("transports")
@pytest.mark.parametrize("hooked", [False, True], ids=["plain", "hooked"])
@pytest.mark.parametrize("way", ["close", "reset"])
async def test_clients_that_leave_at_every_step_leave_nothing(
    way: str, hooked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def process_request(connection: object, request: object) -> None:
        await asyncio.sleep(0)

    before = timers()
    seen: list[weakref.ref[ServerConnection]] = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(weakref.ref(ws))
        await echo(ws)

    options = {"process_request": process_request} if hooked else {}
    async with serving(handler, **options) as place:
        for wait in (False, True):
            for step in STEPS:
                client = await place.connect()
                client.write(step)
                if wait:
                    await asyncio.sleep(0.002)
                if way == "close":
                    client.close()
                else:
                    client.reset()
        await until(lambda: not place.server._connections)
        assert place.server.connections == set()
    assert timers() <= before
    assert "Traceback" not in caplog.text
    gc.collect()
    assert [ref for ref in seen if ref() is not None] == []


@pytest.mark.variants("transports")
async def test_200_clients_killed_at_random_do_not_disturb_50_that_echo(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chance = random.Random(1)
    before = timers()

    async def good(place: Place) -> None:
        async with connect(place.uri, compression=None) as ws:
            for number in range(40):
                await ws.send(f"{number}")
                assert await ws.recv() == f"{number}"
                await asyncio.sleep(chance.random() * 0.01)

    async def bad(place: Place) -> None:
        await asyncio.sleep(chance.random() * 0.3)
        client = await place.connect()
        script = request() + frame(BINARY, bytes(chance.randrange(3000)), mask=MASK) * 9
        end = chance.randrange(len(script))
        client.write(script[:end])
        await asyncio.sleep(chance.random() * 0.02)
        if chance.random() < 0.5:
            client.reset()
        else:
            client.close()

    async with serving() as place:
        async with asyncio.timeout(4 * PATIENCE), asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(good(place))
            for _ in range(200):
                group.create_task(bad(place))
        await until(lambda: not place.server._connections)
    assert timers() <= before
    assert "Traceback" not in caplog.text


@pytest.mark.variants("plain")
async def test_half_a_request_line_without_end_is_refused_with_memory_bounded() -> None:
    async with serving() as place:
        client = await place.connect()
        client.write(b"GET /" + b"a" * 2**20)
        answer = await client.answer()
        assert answer.status == 414
        assert await client.ended() == b""


@pytest.mark.variants("plain")
async def test_refused_client_that_goes_on_sending_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fullduplex.asyncio import _server_connection

    monkeypatch.setattr(_server_connection, "DRAIN_AFTER_REFUSAL", 0.1)
    async with serving() as place:
        client = await place.connect()
        client.write(b"GET /" + b"a" * 2**14)
        assert (await client.answer()).status == 414

        async def go_on() -> None:
            while True:
                client.write(b"a" * 1000)
                await client.drain()
                await asyncio.sleep(0.001)

        with pytest.raises(ConnectionError):
            await go_on()
        await until(lambda: not place.server._connections)


@pytest.mark.variants("plain")
async def test_peer_that_does_not_take_its_response_is_cut_off() -> None:
    def process_request(connection: object, request: object) -> Any:
        return 200, {}, bytes(2**23)

    async with serving(process_request=process_request, close_timeout=0.2) as place:
        client = await place.connect(small=True)
        client.write(request())
        await until(lambda: len(place.server._connections) == 1)
        await until(lambda: not place.server._connections)


def fill_descriptors() -> list[int]:
    """Leave this process no file descriptor; returns what to close."""
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return taken


@pytest.mark.skipif(IMPLEMENTATION == "pure", reason="the loop's listener accepts")
@pytest.mark.variants("plain")
async def test_server_without_descriptors_pauses_and_goes_on_accepting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(_listen, "ACCEPT_PAUSE", 0.1)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    reports: list[dict[str, Any]] = []
    async with serving() as place:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as waiting:
            waiting.setblocking(False)
            highest = max(int(name) for name in os.listdir("/dev/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            loop.set_exception_handler(lambda _, context: reports.append(context))
            taken = fill_descriptors()
            try:
                await loop.sock_connect(waiting, ("127.0.0.1", place.port))
                await until(lambda: bool(reports))
                await asyncio.sleep(0.3)  # a few attempts more
            finally:
                for number in taken:
                    os.close(number)
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                loop.set_exception_handler(before)
            await until(lambda: len(place.server._connections) == 1)
        client = await place.open()
        client.send(TEXT, "served")
        assert (await client.read()).text == "served"
        await until(lambda: len(place.server._connections) == 1)
    assert [type(report["exception"]) for report in reports] == [OSError]
