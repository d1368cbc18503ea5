"""HTTP/1.1 messages, as far as an opening handshake needs them (RFC 9112).

Parsers take bytes in any portions and hold no more than the limits below allow.
A head without a body that comes as a whole, as nearly all do, is judged by one
pattern.  For everything else a parser is a generator over one buffer: it yields when
the buffer has too little.  It looks at every byte a bounded number of times, also when
they come one by one.

Input on which intermediaries and servers disagree is refused: lines that end without
CR, space before a colon, and numbers that are not plain digits.  A response that
refuses the handshake is the exception.  Its status is the verdict, and nothing that
follows the status line changes it.  Malformed lines are skipped, and an odd body ends
with the part that was read.  Field values are bytes; they become str, and bytes again,
as ISO-8859-1.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Generic, TypeVar

from ..credentials import HIDDEN, hide_userinfo, is_secret
from ..errors import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from .headers import Headers
from .messages import (
    FIELD_VALUE,
    MAX_BODY_SIZE,
    MAX_HEAD_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    NOT_FIELD_VALUE,
    ORIGIN_FORM,
    TARGET,
    TOKEN,
    MalformedRequest,
    Request,
    Response,
    UnsupportedCoding,
)

# Fault that ends a body early; the head counts nevertheless.
BODY_ERRORS = (EOFError, OSError, SecurityError, ValueError)
MAX_INTERIM_RESPONSES = 16
REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})  # RFC 9110, 15.4
# Bytes of a head that one pattern judges, so that no limit has to be looked at.
WHOLE = min(MAX_LINE_LENGTH, MAX_HEAD_SIZE)
MAX_EMPTY_LINES = 4  # before a request line; RFC 9112, 2.2 asks for one at least

_status_code = re.compile(rb"[0-9]{3}")  # RFC 9110, 15
_lines = rb"(?:%b:%b\r\n)+" % (TOKEN.pattern, FIELD_VALUE.pattern)
_header_lines = re.compile(_lines)
_request_head = re.compile(
    rb"(%b) (%b) (HTTP/1\.[01])\r\n(%b)\r\n"
    % (TOKEN.pattern, ORIGIN_FORM.pattern, _lines)
)
_absolute_form = re.compile(
    rb"(?:https?|wss?)://([^/?#@]+)((?:/[^#?]*)?(?:\?[^#]*)?)", re.IGNORECASE
)
_like_a_request = re.compile(rb"%b .* HTTP/1\.[01]\r?\n?" % TOKEN.pattern, re.DOTALL)
_upgrade_head = re.compile(
    rb"HTTP/1\.1 101 (%b)\r\n(%b)\r\n" % (FIELD_VALUE.pattern, _lines)
)
_digits = re.compile(rb"[0-9]{1,19}")
_chunk_size = re.compile(rb"([0-9A-Fa-f]{1,16})[\t ]*(?:;.*)?")  # RFC 9112, 7.1


Message = TypeVar("Message", Request, Response)


class _Parser(Generic[Message]):
    # Defaults on the class keep instances small.
    _scanned = 0  # bytes of the buffer known to hold no line feed
    _eof = False
    _expected = ""  # the part that is waited for, for the message of EOFError
    _message: Message | None = None
    _error: Exception | None = None
    _steps: Generator[None, None, Message] | None = None
    #: the head as it came, if it came as a whole
    raw: bytes | None = None
    # Largest size of a line, and number of bytes that the head may still have.
    _max_line = MAX_LINE_LENGTH
    _left = MAX_HEAD_SIZE
    # Whether the status is a verdict already, whatever the rest looks like.
    _lenient = False
    # Whether a line has ended without CR.
    _bare = False
    # Whether what follows cannot be made out.
    _ended_early = False
    #: fault of a message that counts nevertheless
    fault: Exception | None = None

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
        if self._error is None and not self._ended_early:
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
        """Read a line; the limits hold even before its end was seen."""
        self._expected = expected
        buffer = self._buffer
        limit = min(self._max_line, self._left)
        while True:
            end = buffer.find(b"\n", self._scanned, limit)
            if end >= 0:
                break
            self._scanned = len(buffer)
            if len(buffer) >= limit:
                if self._max_line <= self._left:
                    raise too_long(
                        f"{expected} has more than {self._max_line} bytes "
                        f"(MAX_LINE_LENGTH)"
                    )
                raise TooManyHeaders(
                    f"the head has more than {MAX_HEAD_SIZE} bytes (MAX_HEAD_SIZE)"
                )
            if self._eof:
                raise EOFError(f"connection closed while reading {expected}")
            yield
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._scanned = 0
        self._left -= len(line)
        if line.endswith(b"\r\n"):
            return line[:-2]
        self._bare = True
        if not self._lenient:
            raise self._malformed(f"{expected} ends without CR", line)
        return line[:-1]  # RFC 9112, 2.2

    def _complete_headers(self) -> Headers | None:
        """Take the header section if all of it is there and nothing is wrong."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", 0, min(self._max_line, self._left)) + 2
        lines = bytes(buffer[:end])
        if end < 2 or not _header_lines.fullmatch(lines):
            return None
        headers = self._headers_of(lines)
        if headers is not None:
            del buffer[: end + 2]
            self._scanned = 0
            self._left -= end + 2
        return headers

    def _read_headers(self) -> Generator[None, None, Headers]:
        # Nearly always they arrive together; else line by line, to say what is wrong.
        complete = self._complete_headers()
        if complete is not None:
            return complete
        headers = Headers()
        field: tuple[str, str] | None = None  # the last one, which may go on
        try:
            for _ in range(MAX_NUM_HEADERS + 1):
                line = yield from self._read_line("header line", HeaderLineTooLong)
                try:
                    if line.startswith((b" ", b"\t")):
                        field = self._unfold(field, line)
                        continue
                    if field is not None:
                        headers._append(*field)
                        field = None
                    if not line:
                        return headers
                    field = self._field(line)
                except ValueError as exc:
                    if not self._lenient:
                        raise
                    field, self.fault = None, self.fault or exc
            raise TooManyHeaders(
                f"there are more than {MAX_NUM_HEADERS} headers (MAX_NUM_HEADERS)"
            )
        except SecurityError as exc:
            if not self._lenient:
                raise
            if field is not None:
                headers._append(*field)
            self._end_early(exc)
            return headers

    def _field(self, line: bytes) -> tuple[str, str]:
        """Take a header line apart."""
        name, colon, value = line.partition(b":")
        if self._lenient:
            name = name.rstrip(b" \t")  # as proxies have to, RFC 9112, 5.1
        if not colon or not TOKEN.fullmatch(name):
            # The text behind a colon may be a credential.
            raise self._malformed(f"invalid header line: {(name + colon)[:64]!r}")
        return name.decode(), self._value(name.decode(), value)

    def _value(self, name: str, value: bytes) -> str:
        value = value.strip(b" \t")
        if not FIELD_VALUE.fullmatch(value):
            text = repr(value[:64])
            if is_secret(name):
                text = HIDDEN
            raise self._malformed(f"invalid value of header {name[:64]}: {text}")
        return value.decode("iso-8859-1")

    def _unfold(self, field: tuple[str, str] | None, line: bytes) -> tuple[str, str]:
        """Join a line with the one that it continues."""
        name = "the request line" if field is None else field[0][:64]
        raise self._malformed(
            f"invalid header line: it continues {name}, which is obsolete (RFC 9112, "
            "5.2)"
        )

    def _malformed(self, text: str, line: bytes = b"") -> ValueError:
        return ValueError(text)

    def _end_early(self, exc: Exception) -> None:
        """Note that the rest of a message is not worth reading."""
        raise NotImplementedError


class RequestParser(_Parser[Request]):
    """
    Parse a request that has no body.

    Versions 1.0 and 1.1 and all methods are let through: what a server answers
    to them is not decided here.  The path of a request for an absolute URI is that of
    the URI, and its ``Host`` that of the URI (RFC 9112, 3.2.2).

    Args:
        max_line: largest size of a line in bytes, with CR and LF.
    """

    # Whether the request line was one, so that its sender understands an answer.
    _is_http = False

    def __init__(self, *, max_line: int = MAX_LINE_LENGTH) -> None:
        super().__init__()
        if max_line != MAX_LINE_LENGTH:
            self._max_line = max_line

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
        match = _request_head.match(data, 0, WHOLE)
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
        line = b""
        for _ in range(MAX_EMPTY_LINES + 1):
            line = yield from self._read_line("request line", RequestLineTooLong)
            if line:
                break
        method, target, protocol = self._parts(line)
        self._is_http = True
        path, authority = self._resolve(method, target)
        headers = yield from self._read_headers()
        # Bytes behind the head could be this body or frames; the two cannot be told
        # apart.
        if "Transfer-Encoding" in headers:
            raise UnsupportedCoding("request has a body: Transfer-Encoding is set")
        try:
            length = _content_length(headers)
        except ValueError as exc:
            raise self._malformed(str(exc)) from None
        if length:
            raise self._malformed("request has a body: Content-Length is not 0")
        if authority and len(headers.get_all("Host")) == 1:
            # RFC 9112, 3.2.2: the target counts, not the header.
            del headers["Host"]
            headers._append("Host", authority)
        return Request(path, headers, method.decode(), protocol.decode())

    def _parts(self, line: bytes) -> tuple[bytes, bytes, bytes]:
        """Take a request line apart."""
        parts = line.split(b" ")
        if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or not parts[1]:
            raise self._malformed(f"invalid request line: {shown(line)!r}", line)
        method, target, protocol = parts
        if protocol not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise ValueError(f"unsupported HTTP version: {protocol[:64]!r}")
        return method, target, protocol

    def _resolve(self, method: bytes, target: bytes) -> tuple[str, str]:
        """
        Get path and query of a request target, and the host if it has one.

        An absolute URI means its path (RFC 9112, 3.2.2); what has no path is none
        that a server of WebSockets has.
        """
        if ORIGIN_FORM.fullmatch(target):
            return target.decode(), ""
        if not target.isascii():
            place = next(i for i, byte in enumerate(target) if byte > 0x7F)
            why = "invalid request line: the target must be ASCII"
            raise UnicodeDecodeError("ascii", target, place, place + 1, why)
        absolute = _absolute_form.fullmatch(target)
        if absolute and TARGET.fullmatch(target):
            path = absolute[2].decode()
            return path if path.startswith("/") else f"/{path}", absolute[1].decode()
        if target == b"*" and method == b"OPTIONS":
            return "*", ""
        raise self._malformed(
            f"invalid request line: the target is {shown(target)!r}, expected a path "
            "or an absolute URI (RFC 9112, 3.2)"
        )

    def _malformed(self, text: str, line: bytes = b"") -> ValueError:
        if self._is_http or _like_a_request.fullmatch(line):
            return MalformedRequest(text)
        return ValueError(text)


class ResponseParser(_Parser[Response]):
    """
    Parse a response, with its body.

    Interim responses, which are those from 100 to 199 other than 101, are skipped.
    A response that refuses counts from the moment its head is complete.  A body that is
    too long, too short or otherwise odd ends with the part that was read; `fault` has
    the reason.

    Args:
        method: the method of the request.  Responses to ``HEAD`` have no body, nor
            those to ``CONNECT`` that are 2xx.
    """

    #: the final response without its body, from the moment its head is complete
    head: Response | None = None

    def __init__(self, method: str = "GET") -> None:
        super().__init__()
        self._method = method
        self._body = bytearray()

    @property
    def refused(self) -> bool:
        """Whether the verdict is known, and is no: only a body may be missing."""
        return self.head is not None and self._lenient

    def feed_eof(self) -> Response:
        """
        Tell that no more bytes will come, which ends a body of unknown size.

        Returns:
            The response.

        Raises:
            EOFError: its head is not complete; the text says what was missing.
        """
        return self._at_eof()

    def cut(self, exc: Exception) -> Response:
        """
        Give up on the rest of a body; only for a response that refuses.

        Args:
            exc: the reason; it becomes the `fault`.

        Returns:
            The response with what was read of its body.
        """
        if self._message is None:
            assert self._steps is not None
            if not isinstance(exc, BODY_ERRORS):
                exc = OSError(str(exc) or type(exc).__name__)
            try:
                self._steps.throw(exc)
            except StopIteration as stop:
                self._message = stop.value
        assert self._message is not None
        return self._message

    def _refuses(self, status_code: int) -> bool:
        """Whether a status is a verdict, and another one than was asked for."""
        if 100 <= status_code < 200:
            return False
        return self._method != "CONNECT" or not 200 <= status_code < 300

    def _take_whole(self, data: bytes) -> int:
        match = _upgrade_head.match(data, 0, WHOLE)
        headers = match and self._headers_of(match[2])
        if not match or not headers:
            return 0
        reason = match[1].decode("iso-8859-1")
        self._message = self.head = Response(101, reason, headers)
        return match.end()

    def _parse(self) -> Generator[None, None, Response]:
        for _ in range(MAX_INTERIM_RESPONSES + 1):
            self._left = MAX_HEAD_SIZE
            protocol, status_code, reason = yield from self._read_status_line()
            # RFC 9110, 15: a status below 100 is invalid, and no interim one.
            if status_code == 101 or not 100 <= status_code < 200:
                break
            yield from self._read_headers()
        else:
            raise SecurityError(
                f"there are more than {MAX_INTERIM_RESPONSES} interim responses"
            )
        self._lenient = self._refuses(status_code)
        headers = yield from self._read_headers()
        self.head = head = Response(status_code, reason, headers)
        head.protocol = protocol
        if not self._ended_early:
            yield from self._read_body_of(head)
        return head

    def _end_early(self, exc: Exception) -> None:
        self.fault = exc
        self._ended_early = True
        self._buffer.clear()

    def _unfold(self, field: tuple[str, str] | None, line: bytes) -> tuple[str, str]:
        # RFC 9112, 5.2: a user agent replaces what folds a line by a space.
        if field is None:
            raise self._malformed("invalid header line: it continues the status line")
        name, value = field
        return name, f"{value} {self._value(name, line)}".strip(" ")

    def _read_status_line(self) -> Generator[None, None, tuple[str, int, str]]:
        # A fault in it matters only if the response is no refusal.
        self._lenient, self._bare = True, False
        line = yield from self._read_line("status line", StatusLineTooLong)
        self._lenient = False
        parts = line.split(b" ", 2)
        if len(parts) < 2:
            raise ValueError(f"invalid status line: {line[:64]!r}")
        protocol, digits, reason = (*parts, b"")[:3]
        if protocol not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise ValueError(f"unsupported HTTP version: {protocol[:64]!r}")
        if not _status_code.fullmatch(digits):
            raise ValueError(f"status code is {digits[:64]!r}, expected three digits")
        status_code = int(digits)
        if not self._refuses(status_code):
            if protocol != b"HTTP/1.1" and self._method != "CONNECT":
                raise ValueError(f"unsupported HTTP version: {protocol[:64]!r}")
            if not 100 <= status_code <= 599:
                raise ValueError(
                    f"status code is {status_code}; allowed are 100 to 599"
                )
            # The space after the status code is required, RFC 9112, 4.
            if len(parts) < 3:
                raise ValueError(f"invalid status line: {line[:64]!r}")
            if self._bare:
                raise ValueError("status line ends without CR")
            if not FIELD_VALUE.fullmatch(reason):
                raise ValueError(f"invalid reason phrase: {reason[:64]!r}")
        reason = NOT_FIELD_VALUE.sub(b"?", reason)
        return protocol.decode(), status_code, reason.decode("iso-8859-1")

    def _read_body_of(self, head: Response) -> Generator[None, None, None]:
        """Read the body of a response that counts, whatever happens to the body."""
        try:
            yield from self._read_body(head.status_code, head.headers)
        except BODY_ERRORS as exc:
            self._end_early(exc)
        head.body = bytes(self._body)

    def _read_body(
        self, status_code: int, headers: Headers
    ) -> Generator[None, None, None]:
        # RFC 9112, 6.3, in its order.
        if (
            self._method == "HEAD"
            or status_code in (101, 204, 304)
            or (self._method == "CONNECT" and 200 <= status_code < 300)
        ):
            return
        codings = [
            coding.strip(" \t").lower()
            for value in headers.get_all("Transfer-Encoding")
            for coding in value.split(",")
        ]
        if codings:
            text = f"unsupported transfer coding: {', '.join(codings)[:64]!r}"
            unknown = None if codings == ["chunked"] else UnsupportedCoding(text)
            if unknown is not None and not self._lenient:
                raise unknown
            chunked = codings[-1] == "chunked"
            yield from self._read_chunks() if chunked else self._read_to_eof()
            if unknown is not None:
                raise unknown
            return
        try:
            length = _content_length(headers)
        except ValueError:
            # The body ends at the end of TCP at the latest.
            yield from self._read_to_eof()
            raise
        if length is None:
            yield from self._read_to_eof()
        else:
            yield from self._read_part(length, f"body of {length} bytes")

    def _read_part(self, size: int, expected: str) -> Generator[None, None, None]:
        """Add that many bytes to the body."""
        self._expected = expected
        while size:
            part = self._take(size)
            size -= part
            if size and not part:
                if self._eof:
                    raise EOFError(f"connection closed while reading {expected}")
                yield

    def _take(self, size: int) -> int:
        """Move at most `size` bytes from the buffer to the body; returns how many."""
        size = min(size, len(self._buffer))
        room = min(size, MAX_BODY_SIZE - len(self._body))
        self._body += self._buffer[:room]
        del self._buffer[:room]
        if size > room:
            raise SecurityError(
                f"body has more than {MAX_BODY_SIZE:,} bytes (MAX_BODY_SIZE)"
            )
        return size

    def _read_chunks(self) -> Generator[None, None, None]:
        self._left = MAX_BODY_SIZE  # for their sizes and extensions, RFC 9112, 7.1.1
        while True:
            line = yield from self._read_line("chunk size", HeaderLineTooLong)
            match = _chunk_size.fullmatch(line)
            if not match:
                raise ValueError(f"invalid chunk size: {line[:64]!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            yield from self._read_part(size, f"chunk of {size} bytes")
            end = yield from self._read_line("end of a chunk", HeaderLineTooLong)
            if end:
                raise ValueError("chunk is longer than its size")
        yield from self._read_headers()  # trailers, which nobody needs

    def _read_to_eof(self) -> Generator[None, None, None]:
        self._expected = "body"
        while True:
            self._take(len(self._buffer))
            if self._eof:
                return
            yield


def is_redirect(response: Response) -> bool:
    """Whether a response leads to another URI; 304 is about a copy that is known."""
    return response.status_code in REDIRECTS and "Location" in response.headers


def shown(data: bytes) -> str:
    """Return the beginning of what a peer sent, without credentials of a URI."""
    return hide_userinfo(data.decode("iso-8859-1"))[:64]


def _content_length(headers: Headers) -> int | None:
    # Proxies are known to repeat it; RFC 9110, 8.6 allows equal values.
    values = {
        value.strip(" \t")
        for line in headers.get_all("Content-Length")
        for value in line.split(",")
    }
    if not values:
        return None
    value = values.pop()
    if values or not _digits.fullmatch(value.encode("iso-8859-1")):
        shown = ", ".join(headers.get_all("Content-Length"))
        raise ValueError(f"invalid Content-Length: {shown[:64]!r}")
    return int(value)
