"""HTTP/1.1 messages, as far as an opening handshake needs them (RFC 9112).

Parsers take bytes in any portions and hold no more than the limits below allow.
A head without a body that comes as a whole, as nearly all do, is judged by one
pattern.  For everything else a parser is a generator over one buffer: it yields when
the buffer has too little, and looks at every byte a bounded number of times, also
when they come one by one.

What is refused, because intermediaries and servers disagree about it: lines that
end without CR, folded lines, space before a colon, and numbers that are not plain
digits.  Field values are bytes; they become str, and bytes again, as ISO-8859-1.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Generic, TypeVar

from ._http1_messages import (
    FIELD_VALUE,
    MAX_BODY_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    SERVER,
    TARGET,
    TOKEN,
    USER_AGENT,
    Request,
    Response,
)
from .datastructures import Headers
from .errors import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)

__all__ = [
    "MAX_BODY_SIZE",
    "MAX_LINE_LENGTH",
    "MAX_NUM_HEADERS",
    "Request",
    "RequestParser",
    "Response",
    "ResponseParser",
    "SERVER",
    "USER_AGENT",
]

MAX_INTERIM_RESPONSES = 16

_status_code = re.compile(rb"[1-5][0-9]{2}")  # RFC 9110, 15
_lines = rb"(?:%b:%b\r\n)+" % (TOKEN.pattern, FIELD_VALUE.pattern)
_header_lines = re.compile(_lines)
_request_head = re.compile(
    rb"(%b) (%b) (HTTP/1\.[01])\r\n(%b)\r\n" % (TOKEN.pattern, TARGET.pattern, _lines)
)
_upgrade_head = re.compile(
    rb"HTTP/1\.1 101 (%b)\r\n(%b)\r\n" % (FIELD_VALUE.pattern, _lines)
)
_digits = re.compile(rb"[0-9]{1,19}")
_chunk_size = re.compile(rb"([0-9A-Fa-f]{1,16})[\t ]*(?:;.*)?")  # RFC 9112, 7.1


Message = TypeVar("Message", Request, Response)


class _Parser(Generic[Message]):
    # What most parsers never change has no place in each of them.
    _scanned = 0  # bytes of the buffer known to hold no line feed
    _eof = False
    _expected = ""  # what we wait for, for the message of EOFError
    _message: Message | None = None
    _error: Exception | None = None
    _steps: Generator[None, None, Message] | None = None
    #: the head as it came, if it came as a whole
    raw: bytes | None = None

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def leftover(self) -> bytes:
        """The bytes after the message; only meaningful once it is complete."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Message | None:
        """
        Take bytes as they arrive.

        Args:
            data: any portion, also empty.

        Returns:
            The message once it is complete, None until then.  Bytes fed later
            are added to :attr:`leftover`, and the message is returned again.

        Raises:
            ValueError: the message is malformed.
            SecurityError: a limit is exceeded.

        After an error the parser is of no use; it raises the same error again.
        """
        if self._steps is None and self._message is None:
            end = self._take_whole(data)
            if end:
                self.raw, data = data[:end], data[end:]
        if self._error is None:
            self._buffer += data
        return self._advance()

    def _take_whole(self, data: bytes) -> int:
        """Parse a whole head; returns its size, or 0 to go the long way."""
        return 0

    def _headers_of(self, lines: bytes) -> Headers | None:
        """Take header lines that a pattern has judged; None if there are too many."""
        if lines.count(b"\n") > MAX_NUM_HEADERS:
            return None
        return Headers._of_lines(lines.decode("iso-8859-1"))

    def _advance(self) -> Message | None:
        if self._error is not None:
            raise self._error
        if self._message is None:
            if self._steps is None:
                self._steps = self._parse()
            try:
                next(self._steps)
            except StopIteration as stop:
                self._message = stop.value
            except Exception as exc:
                self._error = exc
                self._buffer.clear()
                raise
        return self._message

    def _at_eof(self) -> Message:
        self._eof = True
        message = self._advance()
        if message is None:
            raise EOFError(f"connection closed while reading {self._expected}")
        return message

    def _parse(self) -> Generator[None, None, Message]:
        raise NotImplementedError

    def _read_line(
        self, expected: str, too_long: type[SecurityError]
    ) -> Generator[None, None, bytes]:
        """Read a line; the limit holds even before its end was seen."""
        self._expected = expected
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n", self._scanned, MAX_LINE_LENGTH)
            if end >= 0:
                break
            self._scanned = len(buffer)
            if len(buffer) >= MAX_LINE_LENGTH:
                raise too_long(
                    f"{expected} has more than {MAX_LINE_LENGTH} bytes "
                    f"(MAX_LINE_LENGTH)"
                )
            yield
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._scanned = 0
        return without_end(line, expected)

    def _read_exact(self, size: int, expected: str) -> Generator[None, None, bytes]:
        self._expected = expected
        while len(self._buffer) < size:
            yield
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _complete_headers(self) -> Headers | None:
        """Take the header section if all of it is there and nothing is wrong."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", 0, MAX_LINE_LENGTH) + 2
        lines = bytes(buffer[:end])
        if end < 2 or not _header_lines.fullmatch(lines):
            return None
        headers = self._headers_of(lines)
        if headers is not None:
            del buffer[: end + 2]
            self._scanned = 0
        return headers

    def _read_headers(self) -> Generator[None, None, Headers]:
        # Nearly always they arrive together; else line by line, to say what is wrong.
        complete = self._complete_headers()
        if complete is not None:
            return complete
        headers = Headers()
        for _ in range(MAX_NUM_HEADERS + 1):
            line = yield from self._read_line("header line", HeaderLineTooLong)
            if not line:
                return headers
            name, colon, value = line.partition(b":")
            # A folded line fails here too: its name would start with a space.
            if not colon or not TOKEN.fullmatch(name):
                raise ValueError(f"invalid header line: {line[:64]!r}")
            value = value.strip(b" \t")
            if not FIELD_VALUE.fullmatch(value):
                raise ValueError(
                    f"invalid value of header {name[:64].decode()}: {value[:64]!r}"
                )
            headers._append(name.decode(), value.decode("iso-8859-1"))
        raise TooManyHeaders(
            f"there are more than {MAX_NUM_HEADERS} headers (MAX_NUM_HEADERS)"
        )


def without_end(line: bytes, expected: str) -> bytes:
    """
    Take CR and LF off a line.

    Raises:
        ValueError: it ends in another way.
    """
    if not line.endswith(b"\r\n"):
        raise ValueError(f"{expected} ends without CR")
    return line[:-2]


class RequestParser(_Parser[Request]):
    """
    Parse a request that has no body.

    Versions 1.0 and 1.1 and all methods are let through: what a server answers
    to them is not decided here.
    """

    def feed_eof(self) -> Request:
        """
        Tell that no more bytes will come.

        Returns:
            The request, if it was complete.

        Raises:
            EOFError: it was not; the text says what was missing.
        """
        return self._at_eof()

    def _take_whole(self, data: bytes) -> int:
        match = _request_head.match(data, 0, MAX_LINE_LENGTH)
        headers = match and self._headers_of(match[4])
        if not match or not headers:
            return 0
        if "Transfer-Encoding" in headers or "Content-Length" in headers:
            return 0
        method, path, protocol, _ = match.groups()
        self._message = Request(
            path.decode(), headers, method.decode(), protocol.decode()
        )
        return match.end()

    def _parse(self) -> Generator[None, None, Request]:
        line = yield from self._read_line("request line", RequestLineTooLong)
        parts = line.split(b" ")
        if (
            len(parts) != 3
            or not TOKEN.fullmatch(parts[0])
            or not TARGET.fullmatch(parts[1])
        ):
            raise ValueError(f"invalid request line: {line[:64]!r}")
        method, path, protocol = parts
        if protocol not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise ValueError(f"unsupported HTTP version: {protocol[:64]!r}")
        headers = yield from self._read_headers()
        # What would follow is either this body or frames; nobody can tell.
        if "Transfer-Encoding" in headers:
            raise ValueError("request has a body: Transfer-Encoding is set")
        if _content_length(headers):
            raise ValueError("request has a body: Content-Length is not 0")
        return Request(path.decode(), headers, method.decode(), protocol.decode())


class ResponseParser(_Parser[Response]):
    """
    Parse a response, with its body.

    Interim responses, which are those below 200 other than 101, are skipped.

    Args:
        method: the method of the request.  Responses to ``HEAD`` have no body.
            Those to ``CONNECT`` have none if they are 2xx, and may be HTTP/1.0.
    """

    #: the final response without its body, from the moment its head is complete
    head: Response | None = None

    def __init__(self, method: str = "GET") -> None:
        super().__init__()
        self._method = method

    def feed_eof(self) -> Response:
        """
        Tell that no more bytes will come, which ends a body of unknown size.

        Returns:
            The response.

        Raises:
            EOFError: it is not complete; the text says what was missing.
            SecurityError: the body is over ``MAX_BODY_SIZE``.
        """
        return self._at_eof()

    def _take_whole(self, data: bytes) -> int:
        match = _upgrade_head.match(data, 0, MAX_LINE_LENGTH)
        headers = match and self._headers_of(match[2])
        if not match or not headers:
            return 0
        reason = match[1].decode("iso-8859-1")
        self._message = self.head = Response(101, reason, headers)
        return match.end()

    def _parse(self) -> Generator[None, None, Response]:
        for _ in range(MAX_INTERIM_RESPONSES + 1):
            status_code, reason = yield from self._read_status_line()
            headers = yield from self._read_headers()
            if status_code >= 200 or status_code == 101:
                self.head = Response(status_code, reason, headers)
                body = yield from self._read_body(status_code, headers)
                return Response(status_code, reason, headers, body)
        raise SecurityError(
            f"there are more than {MAX_INTERIM_RESPONSES} interim responses"
        )

    def _read_status_line(self) -> Generator[None, None, tuple[int, str]]:
        line = yield from self._read_line("status line", StatusLineTooLong)
        # The space after the status code is required, RFC 9112, 4.
        parts = line.split(b" ", 2)
        if len(parts) != 3:
            raise ValueError(f"invalid status line: {line[:64]!r}")
        protocol, status_code, reason = parts
        if protocol != b"HTTP/1.1" and not (
            protocol == b"HTTP/1.0" and self._method == "CONNECT"
        ):
            raise ValueError(f"unsupported HTTP version: {protocol[:64]!r}")
        if not _status_code.fullmatch(status_code):
            raise ValueError(
                f"status code is {status_code[:64]!r}; allowed are 100 to 599"
            )
        if not FIELD_VALUE.fullmatch(reason):
            raise ValueError(f"invalid reason phrase: {reason[:64]!r}")
        return int(status_code), reason.decode("iso-8859-1")

    def _read_body(
        self, status_code: int, headers: Headers
    ) -> Generator[None, None, bytes]:
        # RFC 9112, 6.3, in its order.
        if (
            self._method == "HEAD"
            or status_code in (101, 204, 304)
            or (self._method == "CONNECT" and 200 <= status_code < 300)
        ):
            return b""
        codings = headers.get_all("Transfer-Encoding")
        if codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise ValueError(
                    f"unsupported transfer coding: {', '.join(codings)[:64]!r}"
                )
            return (yield from self._read_chunks())
        length = _content_length(headers)
        if length is None:
            return (yield from self._read_to_eof())
        _check_body_size(length)
        return (yield from self._read_exact(length, f"body of {length} bytes"))

    def _read_chunks(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            line = yield from self._read_line("chunk size", HeaderLineTooLong)
            match = _chunk_size.fullmatch(line)
            if not match:
                raise ValueError(f"invalid chunk size: {line[:64]!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            _check_body_size(len(body) + size)
            chunk = yield from self._read_exact(size + 2, f"chunk of {size} bytes")
            if not chunk.endswith(b"\r\n"):
                raise ValueError("chunk is longer than its size")
            body += chunk[:-2]
        yield from self._read_headers()  # trailers, which nobody needs
        return bytes(body)

    def _read_to_eof(self) -> Generator[None, None, bytes]:
        self._expected = "body"
        while not self._eof:
            _check_body_size(len(self._buffer))
            yield
        _check_body_size(len(self._buffer))
        body = bytes(self._buffer)
        self._buffer.clear()
        return body


def _content_length(headers: Headers) -> int | None:
    # Proxies are known to repeat it; RFC 9110, 8.6 allows equal values.
    values = set(headers.get_all("Content-Length"))
    if not values:
        return None
    value = values.pop()
    if values or not _digits.fullmatch(value.encode("iso-8859-1")):
        raise ValueError(f"invalid Content-Length: {value[:64]!r}")
    return int(value)


def _check_body_size(size: int) -> None:
    if size > MAX_BODY_SIZE:
        raise SecurityError(
            f"body has {size:,} bytes or more; allowed are {MAX_BODY_SIZE:,} "
            f"(MAX_BODY_SIZE)"
        )
