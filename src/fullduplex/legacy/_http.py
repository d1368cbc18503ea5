"""HTTP heads read from an asyncio stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import SecurityError
from ..core.http.headers import Headers
from ..core.http.messages import MAX_LINE_LENGTH
from ..core.http.parser import RequestParser, ResponseParser

if TYPE_CHECKING:
    from asyncio import StreamReader


async def read_request(stream: StreamReader) -> tuple[str, Headers]:
    """
    Read a request.

    Returns:
        Its path and its headers.

    Raises:
        EOFError: the stream ends within it.
        ValueError: it is malformed.
        SecurityError: a limit is exceeded.
    """
    parser = RequestParser()
    while True:
        line = await stream.readline()
        request = parser.feed(line) if line else parser.feed_eof()
        if request is not None:
            return request.path, request.headers


async def read_response(stream: StreamReader) -> tuple[int, str, Headers]:
    """
    Read a response, up to its body.

    Returns:
        Its status code, its reason phrase and its headers.

    Raises:
        EOFError: the stream ends within it.
        ValueError: it is malformed.
        SecurityError: a limit is exceeded.
    """
    # As if it answered HEAD: then what follows the headers is no part of it.
    parser = ResponseParser("HEAD")
    while True:
        line = await stream.readline()
        response = parser.feed(line) if line else parser.feed_eof()
        if response is not None:
            return response.status_code, response.reason_phrase, response.headers


async def read_headers(stream: StreamReader) -> Headers:
    """
    Read headers, up to the empty line behind them (RFC 9112, 5).

    Raises:
        EOFError: the stream ends within them.
        ValueError: they are malformed.
        SecurityError: a limit is exceeded.
    """
    parser = ResponseParser("HEAD")
    response = parser.feed(b"HTTP/1.1 200 OK\r\n")
    while response is None:
        line = await stream.readline()
        response = parser.feed(line) if line else parser.feed_eof()
    return response.headers


async def read_line(stream: StreamReader) -> bytes:
    """
    Read a line, without its end (RFC 9112, 2.2).

    Raises:
        EOFError: the stream ends within it.
        SecurityError: it is too long.
    """
    line = await stream.readline()
    if len(line) > MAX_LINE_LENGTH:
        raise SecurityError(
            f"line has {len(line)} bytes; {MAX_LINE_LENGTH} are allowed"
        )
    if not line.endswith(b"\r\n"):
        raise EOFError("line without CRLF")
    return line[:-2]


def d(value: bytes) -> str:
    """Show bytes that a peer sent, whatever they are."""
    return value.decode(errors="backslashreplace")
