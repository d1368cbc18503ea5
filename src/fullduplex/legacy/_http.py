"""HTTP heads read from an asyncio stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.datastructures import Headers
from ..core.http1 import RequestParser, ResponseParser

if TYPE_CHECKING:
    from asyncio import StreamReader

__all__ = ["read_request", "read_response"]


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
