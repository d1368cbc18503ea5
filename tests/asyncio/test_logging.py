"""What is logged, where, and what never is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosed,
)

from .kit import (
    CONT,
    DEFLATE,
    TEXT,
    close_frame,
    frame,
    opened,
)


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
async def test_nothing_is_logged_above_debug_for_ends_of_any_kind(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    for data in (close_frame(4000), frame(3), b""):
        async with opened(logger=logger, close_timeout=0.1) as (ws, peer):
            peer.write(data)
            peer.close() if not data else None
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    assert not [r for r in handler.records if r.levelno > logging.DEBUG]


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
