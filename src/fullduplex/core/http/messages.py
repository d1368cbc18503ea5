"""HTTP requests and responses as values, and the limits on them (RFC 9112)."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...version import version
from ..arguments import exact_str
from ..environ import environment_value
from .grammar import TCHAR
from .headers import Headers

_product = f"Python/{sys.version_info[0]}.{sys.version_info[1]} fullduplex/{version}"

USER_AGENT: str = environment_value("USER_AGENT", _product, str)
"""Value of the User-Agent header."""

SERVER: str = environment_value("SERVER", _product, str)
"""Value of the Server header."""

MAX_NUM_HEADERS: int = environment_value("MAX_NUM_HEADERS", 128, int)
"""Largest number of header lines in a message."""

MAX_LINE_LENGTH: int = environment_value("MAX_LINE_LENGTH", 8192, int)
"""Largest size of a line in bytes, with CR and LF."""

MAX_HEAD_SIZE: int = environment_value(
    "MAX_HEAD_SIZE", max(2**16, MAX_LINE_LENGTH), int
)
"""Largest size of the first line and the headers together, in bytes."""

MAX_BODY_SIZE: int = environment_value("MAX_BODY_SIZE", 2**20, int)
"""Largest size of the body of a response, in bytes."""

ReadBytes: TypeAlias = Callable[[int], Generator[None, None, bytes | bytearray]]
"""Makes a generator that yields until it has as many bytes, or a line, to return."""

TOKEN = re.compile(f"[{TCHAR}]+".encode())
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5
NOT_FIELD_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
TARGET = re.compile(rb"[\x21-\x7e]+")  # RFC 9112, 3.2
ORIGIN_FORM = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # RFC 9112, 3.2.1; without #
REQUEST_LINE = re.compile(  # the three patterns above in one
    rf"{TOKEN.pattern.decode()} {TARGET.pattern.decode()} {TARGET.pattern.decode()}"
)


# Generator functions behind `Request.parse` and `Response.parse`.  The grammar makes
# these values, so it stands above them, and registers its functions here.
_parsers: list[Callable[..., Generator[None, None, Any]]] = []


def register_parsers(*functions: Callable[..., Generator[None, None, Any]]) -> None:
    """
    Take the functions that read messages through readers of the caller.

    Args:
        functions: for a request, and for a response.
    """
    _parsers[:] = functions


class MalformedRequest(ValueError):
    """A request is HTTP/1.1 or 1.0, but breaks its grammar; answered with 400."""


class UnsupportedCoding(MalformedRequest, NotImplementedError):
    """A transfer coding is one that nothing here undoes (RFC 9112, 7)."""


class _Refusable:
    _exception: Exception | None = None

    @property
    def exception(self) -> Exception | None:
        """Exception behind a refusal; deprecated, see ``handshake_exc``."""
        warnings.warn(
            f"{type(self).__name__}.exception is deprecated; "
            "use the attribute handshake_exc of the protocol",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._exception


@dataclass
class Request(_Refusable):
    """
    A request without a body.

    Args:
        path: the request target: path and query as they travel, not decoded.
        headers: the headers.
        method: the method.
        protocol: the version.
    """

    path: str
    headers: Headers
    method: str = "GET"
    protocol: str = "HTTP/1.1"

    @classmethod
    def parse(cls, read_line: ReadBytes) -> Generator[None, None, Request]:
        """
        Parse a request, in a generator that yields whenever it needs more bytes.

        Args:
            read_line: makes a generator that returns a line, with its end; it
                raises :exc:`RuntimeError` for more than that many bytes.

        Raises:
            EOFError: by ``read_line``, when the request is not complete.
            ValueError: the request is malformed, or has a body.  It is a
                :exc:`UnicodeDecodeError` if the path is not ASCII.
            NotImplementedError: the request has a transfer coding.
            SecurityError: a limit is exceeded.
        """
        request: Request = yield from _parsers[0](read_line)
        return request

    @classmethod
    def restore(cls, data: bytes) -> Request:
        """Make the request again of what its `serialize` returned."""
        line, _, lines = data.decode("iso-8859-1").partition("\r\n")
        method, path, protocol = line.split(" ")
        return cls(path, Headers._of_lines(lines), method, protocol)

    def serialize(self) -> bytes:
        """
        Encode the request.

        Raises:
            ValueError: the path, the method or the version holds a character that
                would break the request line, such as a space or a line feed.
        """
        return self.request_line() + self.headers.serialize()

    def request_line(self) -> bytes:
        """Encode the first line; raises as `serialize` does."""
        parts = self.method, self.path, self.protocol
        line = " ".join([exact_str(part) for part in parts])
        if not REQUEST_LINE.fullmatch(line):
            for name, value, allowed in (
                ("method", self.method, TOKEN),
                ("path", self.path, TARGET),
                ("protocol", self.protocol, TARGET),
            ):
                if not value.isascii() or not allowed.fullmatch(value.encode()):
                    raise ValueError(f"{name} {value[:64]!r} cannot be sent")
        return f"{line}\r\n".encode()


@dataclass
class Response(_Refusable):
    """
    A response.

    Args:
        status_code: the status code.
        reason_phrase: the text after it; may be empty.
        headers: the headers.
        body: the body, without transfer coding; empty if there is none.
    """

    status_code: int
    reason_phrase: str
    headers: Headers
    body: bytes = b""

    # The version; not part of what makes two responses equal.
    protocol = "HTTP/1.1"

    @classmethod
    def parse(
        cls,
        read_line: ReadBytes,
        read_exact: ReadBytes,
        read_to_eof: ReadBytes,
        proxy: bool = False,
    ) -> Generator[None, None, Response]:
        """
        Parse a response; everything is as for `Request.parse`.

        Args:
            read_exact: makes a generator that returns that many bytes.
            read_to_eof: makes a generator that returns all that comes; it raises
                :exc:`RuntimeError` for more than that many bytes.
            proxy: whether it answers ``CONNECT``: no body, and maybe HTTP/1.0.
        """
        parsing = _parsers[1](read_line, read_exact, read_to_eof, proxy)
        response: Response = yield from parsing
        return response

    def serialize(self) -> bytes:
        """
        Encode the response.  ``Content-Length`` is up to the caller.

        Raises:
            ValueError: the status code is not in 100 to 599, or the reason phrase
                holds a character that would break the status line.
        """
        status_code = int(self.status_code)
        if not 100 <= status_code < 600:
            raise ValueError(f"status code is {status_code}; allowed are 100 to 599")
        try:
            reason = exact_str(self.reason_phrase).encode("iso-8859-1")
        except UnicodeEncodeError:
            reason = b"\n"
        if not FIELD_VALUE.fullmatch(reason):
            raise ValueError(
                f"reason phrase {self.reason_phrase[:64]!r} cannot be sent"
            )
        head = b"HTTP/1.1 %d %b\r\n" % (status_code, reason)
        return head + self.headers.serialize() + (self.body or b"")
