"""What is logged, where, and what never is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fullduplex import ClientConnection, ConnectionClosed, Request, ServerConnection
from fullduplex.extensions import Extension
from fullduplex.frames import Frame

from ..kit.asyncio_peer import until
from ..kit.bytes import CONT, DEFLATE, TEXT, close_frame, frame
from ..kit.bytes import request as http_request
from .kit import opened
from .server_kit import echo, serving


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(record.getMessage())


@pytest.fixture
def collector() -> Iterator[tuple[logging.Logger, Collector]]:
    logger = logging.getLogger("tests.connection")
    handler = Collector()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, handler
    logger.removeHandler(handler)


@pytest.mark.variants("plain")
async def test_debug_log_shows_frames_both_ways_with_the_connection(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    async with opened(logger=logger) as (ws, peer):
        peer.write(frame(TEXT, "hi"), frame(TEXT, "a", fin=False), frame(CONT, "b"))
        assert await ws.recv() == "hi"
        assert await ws.recv() == "ab"
        await ws.send("answer")
        answer = asyncio.ensure_future(peer.answer_close())
        await ws.close(1000, "bye")
        await answer

        assert all(record.websocket == ws for record in handler.records)  # type: ignore[attr-defined]
        identifiers = {record.websocket.id for record in handler.records}  # type: ignore[attr-defined]
        assert identifiers == {ws.id}
    for line in (
        "< TEXT 'hi' [2 bytes]",
        "< TEXT 'a' [1 byte, continued]",
        "< CONT 'b' [1 byte]",
        "> TEXT 'answer' [6 bytes]",
        "> CLOSE 1000 (OK) bye [5 bytes]",
        "< CLOSE 1000 (OK) bye [5 bytes]",
        "= connection is CLOSING",
        "= connection is CLOSED",
    ):
        assert any(
            entry.startswith(line.rpartition(" [")[0]) for entry in handler.lines
        ), (line, handler.lines)


@pytest.mark.variants("plain")
async def test_debug_log_shows_the_handshake(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    async with opened("X-Answer: 42", logger=logger):
        pass
    assert "> GET / HTTP/1.1" in handler.lines
    assert any(line.startswith("> Sec-WebSocket-Key: ") for line in handler.lines)
    assert "< HTTP/1.1 101 Switching Protocols" in handler.lines
    assert "< X-Answer: 42" in handler.lines
    assert "= connection is OPEN" in handler.lines


@pytest.mark.variants("plain")
async def test_debug_log_never_shows_credentials(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    headers = {"Authorization": "Bearer secret-1", "Cookie": "session=secret-2"}
    async with opened(logger=logger, extra_headers=headers):
        pass
    assert not any("secret" in line for line in handler.lines)


@pytest.mark.variants("plain")
async def test_logger_adapter_of_the_user_sees_the_connection_in_extra(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector

    class Prefixed(logging.LoggerAdapter[logging.Logger]):
        def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
            websocket = kwargs["extra"]["websocket"]
            return f"[{websocket.id}] {msg}", kwargs

    async with opened(logger=Prefixed(logger, {})) as (ws, peer):
        peer.write(frame(TEXT, "hi"))
        await ws.recv()
        ws.logger.info("mine")

        assert all(line.startswith(f"[{ws.id}] ") for line in handler.lines)
        assert f"[{ws.id}] mine" in handler.lines


@pytest.mark.variants("plain")
async def test_nothing_is_logged_above_debug_for_ends_that_are_not_ours(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    for data in (close_frame(4000), close_frame(1002), b""):
        async with opened(logger=logger, close_timeout=0.1) as (ws, peer):
            peer.write(data)
            peer.close() if not data else None
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    assert not [r for r in handler.records if r.levelno > logging.DEBUG]


@pytest.mark.variants("plain")
async def test_debug_log_shows_compressed_messages_as_they_are_read(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    async with opened(DEFLATE, compression="deflate", logger=logger) as (ws, peer):
        task = asyncio.ensure_future(peer.echo())
        text = "hello, hello, hello, hello " * 9
        await ws.send(text)
        assert await ws.recv() == text
        await ws.close()
        await task
    shown = [line for line in handler.lines if line[0] in "<>" and "TEXT" in line]
    assert [line[:16] for line in shown] == ["> TEXT 'hello, h", "< TEXT 'hello, h"]
    assert all("hello ' [243 bytes, compressed to " in line for line in shown)


@pytest.mark.variants("plain")
async def test_debug_changes_nothing_but_the_log(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, _ = collector
    async with opened(DEFLATE, compression="deflate", logger=logger) as (ws, peer):
        task = asyncio.ensure_future(peer.echo())
        for message in ("text", b"\xff" * 200_000, ""):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.close()
        await task


class Owners(logging.Handler):
    """Notes whose each record is, while the connection is there to be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[tuple[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        ws = getattr(record, "websocket", None)
        self.owners.append((record.getMessage(), ws and ws.id))


@pytest.fixture(params=[logging.INFO, logging.DEBUG], ids=["info", "debug"])
def owned(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, Owners]]:
    logger = logging.getLogger("tests.owners")
    handler = Owners()
    logger.addHandler(handler)
    logger.setLevel(request.param)
    logger.propagate = False
    yield logger, handler
    logger.removeHandler(handler)


class Buggy(Extension):
    name = "x-buggy"  # type: ignore[assignment]

    def encode(self, frame: Frame) -> Frame:
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        raise ZeroDivisionError


def negotiate(headers: Any, available_extensions: Any) -> Any:
    return [Buggy()]


class BuggyClient(ClientConnection):
    process_extensions = staticmethod(negotiate)


class BuggyServer(ServerConnection):
    process_extensions = staticmethod(
        lambda headers, available_extensions: (None, negotiate(headers, None))
    )


@pytest.mark.variants("two")
async def test_record_of_an_internal_error_has_the_connection(
    owned: tuple[logging.Logger, Owners],
) -> None:
    logger, handler = owned
    async with opened(logger=logger, create_protocol=BuggyClient) as (ws, peer):
        peer.write(frame(TEXT, "x"))
        assert (await peer.answer_close()).code == 1011
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ("unexpected internal error", ws.id) in handler.owners
        assert {owner for _, owner in handler.owners} == {ws.id}


@pytest.mark.variants("two")
async def test_every_record_about_a_connection_of_a_server_has_it(
    owned: tuple[logging.Logger, Owners],
) -> None:
    logger, handler = owned

    def process_request(ws: ServerConnection, request: Request) -> None:
        if request.path == "/hook":
            raise LookupError

    async def fail_or_echo(ws: ServerConnection) -> None:
        if ws.path == "/handler":
            raise LookupError
        await echo(ws)

    async with serving(
        fail_or_echo,
        process_request=process_request,
        create_protocol=BuggyServer,
        logger=logger,
    ) as place:
        for path in ("/", "/handler"):
            client = await place.open(path=path)
            client.send(TEXT, "x")
            assert (await client.say_goodbye()).code == 1011
        for data in (
            http_request("GET /hook HTTP/1.1"),
            http_request(without="Sec-WebSocket-Key"),
            b"garbage\r\n\r\n",
            b"GE",
        ):
            client = await place.connect()
            client.write(data)
            client.writer.write_eof()
            await client.ended()
        await until(lambda: not place.server._connections)
    messages = [text for text, _ in handler.owners]
    for wanted in (
        "connection open",
        "unexpected internal error",
        "connection handler failed",
        "process_request failed",
        "connection rejected (400 Bad Request)",
        "connection closed",
    ):
        assert wanted in messages
    nobodys = [text for text, owner in handler.owners if owner is None]
    assert all(text.startswith("server ") for text in nobodys), nobodys
