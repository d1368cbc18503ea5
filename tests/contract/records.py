"""Log records: one for what we end, and none that a peer has forged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fullduplex import ConnectionClosed, InvalidStatus

from ..kit.bytes import BINARY, CLOSE, TEXT
from ..kit.peer import Listener
from .faces import Kit
from .opening import attempt
from .registry import behaviour
from .serving import talk


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info).strip("\n")
        self.kept.append((record.levelno, text))


@contextmanager
def collecting(
    level: int, name: str | None = None
) -> Iterator[tuple[logging.Logger, Records]]:
    logger = logging.getLogger(name or f"tests.records.{level}")
    before = logger.level, logger.propagate
    logger.setLevel(level)
    logger.propagate = False
    handler = Records()
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@behaviour()
async def what_a_rule_of_ours_ends_is_one_warning_with_the_peer(
    kit: Kit, side: str
) -> None:
    for opcode, payload, code, text in (
        (BINARY, bytes(9), 1009, "max_size is 8 bytes"),
        (TEXT, b"\xff", 1007, "invalid"),
        (3, b"", 1002, "opcode"),
    ):
        with collecting(logging.INFO) as (logger, records):
            options: dict[str, Any] = {
                "logger": logger,
                "max_size": 8,
                "close_timeout": 0.1,
            }
            async with kit.ends(side, **options) as (ws, peer):
                address = peer.sock.getsockname()
                await kit.do(peer.send, opcode, payload)
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
        [line] = [line for level, line in records.kept if level > logging.INFO]
        assert f"{address[0]}:{address[1]}" in line
        assert text in line
        assert f"(close code {code})" in line


@behaviour()
async def what_keepalive_ends_is_one_warning_with_the_peer(kit: Kit, side: str) -> None:
    with collecting(logging.INFO) as (logger, records):
        options: dict[str, Any] = {
            "logger": logger,
            "ping_interval": 0.1,
            "ping_timeout": 0.1,
            "close_timeout": 0.2,
        }
        async with kit.ends(side, **options) as (ws, peer):
            address = peer.sock.getsockname()
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    [line] = [line for level, line in records.kept if level > logging.INFO]
    assert f"{address[0]}:{address[1]}" in line
    assert "no pong within 0.1 s (ping_timeout)" in line


# Clears the screen, begins a line of its own, and turns the direction of text.
FORGED = "\x1b[2J\r\nERROR\x85\x9b31m\u2028ERROR\u2029\u202e"


def told(records: Records) -> None:
    """Check that a peer's text is there, and has no effect."""
    assert any("ERROR" in line for _, line in records.kept)
    for _, text in records.kept:
        for line in text.split("\n"):
            assert line.isprintable(), ascii(line)
            assert not line.startswith("ERROR")


@behaviour()
async def what_a_peer_sends_cannot_forge_records(kit: Kit, side: str) -> None:
    with collecting(logging.DEBUG) as (logger, records):
        async with kit.ends(side, logger=logger, close_timeout=0.1) as (ws, peer):
            await kit.do(peer.send, TEXT, FORGED)
            await ws.recv()
            reason = FORGED.encode()
            await kit.do(peer.send, CLOSE, (4000).to_bytes(2, "big") + reason)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert str(caught.value).isprintable()
            assert caught.value.reason == FORGED  # which programs get as it is
    told(records)


@behaviour(sides=())
async def what_a_server_answers_cannot_forge_records(kit: Kit) -> None:
    lines = "HTTP/1.1 403 ERROR\x9b31m\x85", "X: ERROR\x9b31m\x85", "Content-Length: 0"
    listener = Listener()

    def reply() -> None:
        peer = listener.accept()
        peer.read_head()
        peer.write("\r\n".join([*lines, "", ""]).encode("iso-8859-1"))
        peer.gone()

    with collecting(logging.DEBUG) as (logger, records):
        replying = kit.spawn(lambda: kit.do(reply))
        try:
            with pytest.raises(InvalidStatus) as caught:
                await attempt(kit, listener.uri, logger=logger)
            await replying.result()
        finally:
            listener.close()
        assert repr(caught.value).isprintable()
    told(records)


@behaviour(sides=())
async def what_a_client_asks_cannot_forge_records(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        raise AssertionError

    with collecting(logging.DEBUG) as (logger, records):
        options: dict[str, Any] = {"logger": logger, "origins": ["https://a"]}
        async with kit.server(handler, **options) as address:
            await talk(
                kit,
                address,
                "GET /ERROR HTTP/1.1",
                "Host: a",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                "Origin: ERROR\u009b31m\u0085",
                "Cookie: secret",
            )
    told(records)
    assert not any("secret" in line for _, line in records.kept)


@behaviour(sides=())
async def credentials_of_a_redirect_are_hidden(kit: Kit) -> None:
    first = Listener()

    def serve() -> None:
        peer = first.accept()
        peer.read_head()
        location = "Location: ftp://user:sec/ret@127.0.0.1/"
        peer.write(f"HTTP/1.1 302 Found\r\n{location}\r\n\r\n".encode())
        peer.gone()

    with collecting(logging.DEBUG) as (logger, records):
        serving = kit.spawn(lambda: kit.do(serve))
        try:
            with pytest.raises(ValueError, match="redirect from ws://") as caught:
                await attempt(kit, first.uri, logger=logger)
            await serving.result()
        finally:
            first.close()
    for text in (str(caught.value), repr(caught.value), *dict(records.kept).values()):
        assert "ret@" not in text
        assert "sec/" not in text
