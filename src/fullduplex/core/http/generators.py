"""The grammar of `parser` over readers that belong to somebody else.

A parser reads lines and bytes from a buffer of its own.  These read them
through generators that they are given, which is how programs without I/O of their
own compose parsers.
"""

from __future__ import annotations

from collections.abc import Generator

from ..errors import SecurityError
from . import messages
from .messages import ReadBytes, Request, Response, register_parsers
from .parser import RequestParser, ResponseParser


class BorrowedRequest(RequestParser):
    """Parse a request through `read_line`; see `Request.parse`."""

    def __init__(self, read_line: ReadBytes) -> None:
        super().__init__()
        self._borrowed_line = read_line

    def parse(self) -> Generator[None, None, Request]:
        """Read and return the request."""
        return (yield from self._parse())

    def _read_line(
        self, expected: str, too_long: type[SecurityError]
    ) -> Generator[None, None, bytes]:
        return (yield from read_line(self._borrowed_line, expected, too_long))


class BorrowedResponse(ResponseParser):
    """Parse a response through three readers; see `Response.parse`."""

    def __init__(
        self,
        read_line: ReadBytes,
        read_exact: ReadBytes,
        read_to_eof: ReadBytes,
        *,
        proxy: bool,
    ) -> None:
        super().__init__("CONNECT" if proxy else "GET")
        self._proxy = proxy
        self._borrowed_line = read_line
        self._borrowed_exact = read_exact
        self._borrowed_to_eof = read_to_eof

    def parse(self) -> Generator[None, None, Response]:
        """Read and return the response."""
        return (yield from self._parse())

    def _refuses(self, status_code: int) -> bool:
        # Nothing of it is let pass: the caller asks for the errors.
        return False

    def _read_body_of(self, head: Response) -> Generator[None, None, None]:
        if not self._proxy:
            yield from self._read_body(head.status_code, head.headers)
        head.body = bytes(self._body)

    def _read_line(
        self, expected: str, too_long: type[SecurityError]
    ) -> Generator[None, None, bytes]:
        return (yield from read_line(self._borrowed_line, expected, too_long))

    def _read_part(self, size: int, expected: str) -> Generator[None, None, None]:
        if len(self._body) + size > messages.MAX_BODY_SIZE:
            raise SecurityError(
                f"body has {len(self._body) + size:,} bytes or more; allowed are "
                f"{messages.MAX_BODY_SIZE:,} (MAX_BODY_SIZE)"
            )
        self._body += yield from self._borrowed_exact(size)

    def _read_to_eof(self) -> Generator[None, None, None]:
        limit = messages.MAX_BODY_SIZE
        try:
            self._body += yield from self._borrowed_to_eof(limit)
        except RuntimeError as exc:
            raise SecurityError(
                f"body has more than {limit:,} bytes (MAX_BODY_SIZE)"
            ) from exc


def read_line(
    borrowed: ReadBytes, expected: str, too_long: type[SecurityError]
) -> Generator[None, None, bytes]:
    """Read a line through somebody else's reader; returns it without its end."""
    limit = messages.MAX_LINE_LENGTH
    try:
        line = bytes((yield from borrowed(limit)))
    except RuntimeError as exc:
        raise too_long(
            f"{expected} has more than {limit} bytes (MAX_LINE_LENGTH)"
        ) from exc
    if not line.endswith(b"\r\n"):
        raise ValueError(f"{expected} ends without CR")
    return line[:-2]


def parse_request(borrowed: ReadBytes) -> Generator[None, None, Request]:
    """Read a request; see `Request.parse`."""
    return (yield from BorrowedRequest(borrowed).parse())


def parse_response(
    borrowed_line: ReadBytes,
    borrowed_exact: ReadBytes,
    borrowed_to_eof: ReadBytes,
    proxy: bool,
) -> Generator[None, None, Response]:
    """Read a response; see `Response.parse`."""
    parser = BorrowedResponse(
        borrowed_line, borrowed_exact, borrowed_to_eof, proxy=proxy
    )
    return (yield from parser.parse())


register_parsers(parse_request, parse_response)
