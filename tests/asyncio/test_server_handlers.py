"""What becomes of a connection when its handler ends, and what the log says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosedError, ServerConnection, connect

from ..kit.asyncio_peer import until
from ..kit.bytes import CLOSE, TEXT
from .server_kit import records, serving


async def returns(ws: ServerConnection) -> None:
    pass


async def raises(ws: ServerConnection) -> None:
    raise RuntimeError("secret detail")


async def cancels_itself(ws: ServerConnection) -> None:
    raise asyncio.CancelledError


async def is_cancelled(ws: ServerConnection) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.Event().wait()


async def closes(ws: ServerConnection) -> None:
    await ws.close(3000, "mine")


async def closes_and_raises(ws: ServerConnection) -> None:
    await ws.close(3000, "mine")
    raise RuntimeError("secret detail")


def is_no_coroutine(ws: ServerConnection) -> None:
    pass


async def groups(ws: ServerConnection) -> None:
    raise ExceptionGroup("several", [RuntimeError("secret detail")])


@pytest.mark.parametrize(
    ("handler", "code", "failed"),
    [
        (returns, 1000, False),
        (raises, 1011, True),
        (cancels_itself, 1011, False),
        (is_cancelled, 1011, False),
        (closes, 3000, False),
        (closes_and_raises, 3000, True),
        (is_no_coroutine, 1011, True),
        (groups, 1011, True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_connection_ends_as_its_handler_does(
    handler: Any, code: int, failed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(handler) as place:
        client = await place.open()
        received = await client.say_goodbye()
        await until(lambda: not place.server._connections)

        assert received.code == code
        assert received.payload[2:] == (b"mine" if code == 3000 else b"")
        expected = ["connection handler failed"] if failed else []
        assert records(caplog, logging.WARNING) == expected
        assert ("Traceback" in caplog.text) == failed


async def receives(ws: ServerConnection) -> None:
    await ws.recv()


async def iterates(ws: ServerConnection) -> None:
    async for _ in ws:
        pass


async def sends(ws: ServerConnection) -> None:
    while True:
        await ws.send("x")
        await asyncio.sleep(0)


async def receives_in_a_group(ws: ServerConnection) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(receives(ws))
        group.create_task(sends(ws))


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize(
    "handler",
    [receives, iterates, sends, receives_in_a_group],
    ids=lambda value: value.__name__,
)
async def test_client_that_vanishes_is_info_without_traceback(
    handler: Any, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(handler) as place:
        client = await place.open()
        if way == "close":
            client.close()
        else:
            client.reset()
        await until(lambda: not place.server._connections)

        assert records(caplog, logging.WARNING) == []
        assert "connection open" in records(caplog)
        assert "connection closed" in records(caplog)
        assert any(line.startswith("handler ended: ") for line in records(caplog))
        assert "Traceback" not in caplog.text


@pytest.mark.variants("plain")
async def test_end_of_another_connection_is_the_handlers_own_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(returns) as upstream:

        async def proxy(ws: ServerConnection) -> None:
            async with connect(upstream.uri, compression=None) as other:
                await other.recv()

        async with serving(proxy) as place:
            client = await place.open()
            assert (await client.say_goodbye()).code == 1011
            assert records(caplog, logging.ERROR) == ["connection handler failed"]


@pytest.mark.variants("plain")
async def test_records_tell_which_connection_they_are_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    paths = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ws = getattr(record, "websocket", None)
            if ws is not None:
                paths.append((record.getMessage(), ws.request.path))

    listening = Handler()
    logging.getLogger("fullduplex.server").addHandler(listening)
    try:
        async with serving(returns) as place:
            client = await place.open(path="/x")
            await client.say_goodbye()
            await until(lambda: not place.server._connections)
    finally:
        logging.getLogger("fullduplex.server").removeHandler(listening)
    assert paths == [("connection open", "/x"), ("connection closed", "/x")]


@pytest.mark.variants("plain")
async def test_logger_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(returns, logger=logging.getLogger("mine")) as place:
        await (await place.open()).say_goodbye()
    assert {record.name for record in caplog.records} == {"mine"}


@pytest.mark.variants("plain")
async def test_connections_are_those_that_are_open_in_a_new_set() -> None:
    async with serving(iterates) as place:
        server = place.server
        assert server.connections == set()
        await place.connect()
        client = await place.open()
        (ws,) = server.connections
        assert server.connections is not server.connections
        assert server.websockets == {ws}
        assert ws.handler_task is not None
        client.send(CLOSE, b"\x03\xe8")
        await client.ended()
        assert server.connections == set()


@pytest.mark.variants("all")
async def test_many_clients_are_served_at_a_time() -> None:
    async def reply(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with serving(reply) as place:
        clients = [await place.open() for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(TEXT, str(number))
        texts = [(await client.read()).text for client in clients]
        assert texts == [str(number) for number in range(20)]


@pytest.mark.variants("plain")
async def test_context_of_a_hook_reaches_the_handler() -> None:
    import contextvars

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    async def process_request(connection: object, request: object) -> None:
        name.set("set")

    async def handler(ws: ServerConnection) -> None:
        await ws.send(name.get())

    async with serving(handler, process_request=process_request) as place:
        assert (await (await place.open()).read()).text == "set"


@pytest.mark.variants("plain")
async def test_request_and_response_are_the_same_objects_each_time() -> None:
    seen = []

    async def handler(ws: ServerConnection) -> None:
        assert ws.request is not None
        assert ws.response is not None
        ws.request.headers["X-Note"] = "1"
        seen.append((ws.request_headers["X-Note"], ws.request is ws.request))
        seen.append((ws.response_headers["Server"], ws.response is ws.response))

    async with serving(handler, server_header="S") as place:
        await (await place.open()).say_goodbye()
        assert seen == [("1", True), ("S", True)]


@pytest.mark.variants("plain")
async def test_attributes_before_the_request_raise_attribute_error() -> None:
    made: list[ServerConnection] = []

    class Watched(ServerConnection):
        def connection_made(self, transport: Any) -> None:
            made.append(self)

    async with serving(returns, create_protocol=Watched) as place:
        await place.connect()
        await until(lambda: bool(made))
        (ws,) = made
        names: list[Callable[[], Any]] = [
            lambda: ws.path,
            lambda: ws.request_headers,
            lambda: ws.response_headers,
        ]
        for read in names:
            with pytest.raises(AttributeError, match="not known"):
                read()
        assert ws.request is None
        assert not ws.open
        assert not ws.closed


@pytest.mark.variants("plain")
async def test_client_sees_1011_without_details() -> None:
    async with serving(raises) as place, connect(place.uri) as ws:
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
        assert raised.value.rcvd is not None
        assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1011, "")


async def test_handler_task_is_made_by_the_task_factory_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    made: list[Any] = []

    def factory(loop: Any, coroutine: Any, **kwds: Any) -> Any:
        made.append(asyncio.Task(coroutine, loop=loop, **kwds))
        return made[-1]

    tasks: list[Any] = []

    async def handler(ws: ServerConnection) -> None:
        tasks.append(asyncio.current_task())

    loop.set_task_factory(factory)
    async with serving(handler) as place, connect(place.uri) as ws:
        await ws.wait_closed()

    assert len(tasks) == 1
    assert tasks[0] in made


async def test_handler_that_ends_without_waiting_is_one_like_any_other() -> None:
    seen: list[Any] = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(ws.open)
        await ws.send("hello")

    async with serving(handler) as place, connect(place.uri) as ws:
        assert await ws.recv() == "hello"
        await ws.wait_closed()
        assert ws.close_code == 1000
        await until(lambda: not place.server._connections)

    assert seen == [True]
