"""The functions of websockets 10 that work on frames and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fullduplex.exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidUpgrade,
    PayloadTooBig,
    ProtocolError,
)
from fullduplex.frames import Frame as NewFrame
from fullduplex.frames import Opcode
from fullduplex.http import Headers

from ..kit.bytes import MASK, PING, TEXT, frame

# Importing the names is what test_names.py is about.
pytestmark = pytest.mark.filterwarnings("ignore:fullduplex.legacy:DeprecationWarning")


def reader(data: bytes) -> Callable[[int], Awaitable[bytes]]:
    """Make what reads that many bytes."""
    left = bytearray(data)

    async def read(size: int) -> bytes:
        await asyncio.sleep(0)
        if len(left) < size:
            raise EOFError
        piece = bytes(left[:size])
        del left[:size]
        return piece

    return read


def test_frame_read_gives_the_older_order_of_fields() -> None:
    from fullduplex.legacy.framing import Frame

    for size in (0, 125, 126, 70_000):
        data = frame(TEXT, "x" * size, mask=MASK)
        read = asyncio.run(Frame.read(reader(data), mask=True))
        assert tuple(read) == (True, Opcode.TEXT, b"x" * size, False, False, False)
        assert read.new_frame == NewFrame(Opcode.TEXT, b"x" * size)
    with pytest.raises(EOFError):
        asyncio.run(Frame.read(reader(data[:-1]), mask=True))
    with pytest.raises(PayloadTooBig):
        asyncio.run(Frame.read(reader(data), mask=True, max_size=10))
    with pytest.raises(ProtocolError):
        asyncio.run(Frame.read(reader(data), mask=False))


def test_frame_write_calls_write_once() -> None:
    from fullduplex.legacy.framing import Frame

    written: list[bytes] = []
    Frame(True, Opcode.PING, b"p").write(written.append, mask=False)
    assert written == [frame(PING, b"p")]
    with pytest.raises(ProtocolError):
        Frame(True, Opcode.PING, bytes(126)).check()


def test_close_functions_are_each_others_inverse() -> None:
    from fullduplex.legacy.framing import parse_close, serialize_close

    assert parse_close(serialize_close(1001, "bye")) == (1001, "bye")
    assert parse_close(b"") == (1005, "")
    with pytest.raises(ProtocolError):
        serialize_close(1005, "")


def test_handshake_functions_agree_on_a_key() -> None:
    from fullduplex.legacy.handshake import (
        build_request,
        build_response,
        check_request,
        check_response,
    )

    request, response = Headers(), Headers()
    key = build_request(request)
    assert check_request(request) == key
    build_response(response, key)
    check_response(response, key)
    with pytest.raises(InvalidHeaderValue):
        check_response(response, "another")
    del request["Upgrade"]
    with pytest.raises(InvalidUpgrade):
        check_request(request)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-WebSocket-Key", "short"),
        ("Sec-WebSocket-Version", "12"),
        ("Sec-WebSocket-Key", None),
    ],
)
def test_check_request_when_a_header_is_wrong_says_which(
    name: str, value: str | None
) -> None:
    from fullduplex.legacy.handshake import build_request, check_request

    headers = Headers()
    build_request(headers)
    del headers[name]
    if value is not None:
        headers[name] = value
    with pytest.raises(InvalidHeader) as caught:
        check_request(headers)
    assert caught.value.name == name


def stream(data: bytes) -> asyncio.StreamReader:
    result = asyncio.StreamReader()
    result.feed_data(data)
    result.feed_eof()
    return result


def test_http_functions_read_heads_and_leave_the_rest() -> None:
    asyncio.run(http_functions())


async def http_functions() -> None:
    from fullduplex.legacy.http import read_request, read_response

    data = stream(b"GET /p HTTP/1.1\r\nA: b\r\n\r\nrest")
    path, headers = await read_request(data)
    assert (path, headers["a"]) == ("/p", "b")
    assert await data.read() == b"rest"
    data = stream(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nrest")
    status, reason, headers = await read_response(data)
    assert (status, reason, headers["content-length"]) == (404, "Not Found", "4")
    assert await data.read() == b"rest"
    with pytest.raises(EOFError):
        await read_request(stream(b"GET /p HTTP/1.1\r\nA: b\r\n"))
    with pytest.raises(ValueError, match="invalid request line"):
        await read_request(stream(b"what\r\n"))


def test_types_of_the_server_are_there() -> None:
    from fullduplex.legacy import server

    types: list[Any] = [server.HTTPResponse, server.HeadersLikeOrCallable]
    assert all(types)
