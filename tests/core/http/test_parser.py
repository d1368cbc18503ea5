"""HTTP/1.1 heads and bodies: what is understood, refused, and bounded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import (
    HeaderLineTooLong,
    InvalidHeader,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from fullduplex.core.http import messages as _http1_messages
from fullduplex.core.http import parser as http1
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import (
    MAX_BODY_SIZE,
    MAX_HEAD_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    MalformedRequest,
    Request,
    Response,
)
from fullduplex.core.http.parser import RequestParser, ResponseParser
from fullduplex.sansio.streams import StreamReader

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade:websocket\r\n"
    b"X-Latin: \t caf\xe9 \t \r\n"
    b"X-Empty:\r\n"
    b"\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
)


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


# -- Requests ------------------------------------------------------------------


def test_request_when_fed_at_once_is_parsed() -> None:
    request = RequestParser().feed(REQUEST)
    assert request == Request(
        "/chat?room=1",
        Headers(
            [
                ("Host", "server.example.com"),
                ("Upgrade", "websocket"),
                ("X-Latin", "caf\xe9"),
                ("X-Empty", ""),
            ]
        ),
    )
    assert request.method == "GET"
    assert request.protocol == "HTTP/1.1"


@given(st.lists(st.integers(min_value=0)))
def test_request_when_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    expected = RequestParser().feed(REQUEST)
    parser = RequestParser()
    results = [parser.feed(data) for data in portions(REQUEST + b"\x81\x80", cuts)]
    assert results[-1] == expected
    assert len(parser.leftover) <= 2
    assert parser.leftover == b"\x81\x80"[: len(parser.leftover)]


def test_request_when_followed_by_bytes_keeps_them_all() -> None:
    parser = RequestParser()
    request = parser.feed(REQUEST + b"fra")
    assert parser.feed(b"mes") is request
    assert parser.leftover == b"frames"
    assert parser.feed_eof() is request


def test_request_when_other_methods_and_versions_come_lets_them_through() -> None:
    request = RequestParser().feed(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    assert request == Request("/", Headers({"Content-Length": "0"}), "POST", "HTTP/1.0")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\r\n" * 4, "invalid request line"),
        (b"GET /", "invalid request line"),
        (b"GET / HTTP/1.1 ", "invalid request line"),
        (b"GET  / HTTP/1.1", "invalid request line"),
        (b"GET\t/\tHTTP/1.1", "invalid request line"),
        (b" GET / HTTP/1.1", "invalid request line"),
        (b"GET  HTTP/1.1", "invalid request line"),
        (b"G(T / HTTP/1.1", "invalid request line"),
        (b"GET /caf\xc3\xa9 HTTP/1.1", "0xc3 in position 4: invalid request line"),
        (b"GET /\0 HTTP/1.1", "invalid request line"),
        (b"GET /\r HTTP/1.1", "invalid request line"),
        (b"GET / HTTP/2", "unsupported HTTP version: b'HTTP/2'"),
        (b"GET / http/1.1", "unsupported HTTP version"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "invalid request line"),
    ],
)
def test_request_when_its_line_is_malformed_says_why(line: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RequestParser().feed(line + b"\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Name",
        b": value",
        b"Name : value",
        b"Na\xefme: value",
        b"N(me: value",
        b"Name: a\0b",
        b"Name: a\rb",
        b"Name: a\x7fb",
    ],
)
def test_headers_when_malformed_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="invalid "):
        RequestParser().feed(b"GET / HTTP/1.1\r\nA: b\r\n" + line + b"\r\n")
    with pytest.raises(ValueError, match="invalid "):
        ResponseParser().feed(b"HTTP/1.1 101 OK\r\nA: b\r\n" + line + b"\r\n")


@pytest.mark.parametrize("start", [b"A: b\r\n", b""])
@pytest.mark.parametrize("fold", [b" ", b"\t", b" \t "])
def test_request_when_a_line_is_folded_is_refused_and_told_so(
    start: bytes, fold: bytes
) -> None:
    data = b"GET / HTTP/1.1\r\n" + start + fold + b"folded\r\n"
    with pytest.raises(ValueError, match=r"header line: it continues .*obsolete"):
        RequestParser().feed(data)


@pytest.mark.parametrize("fold", [b" ", b"\t", b" \t "])
def test_response_when_a_line_is_folded_joins_it_by_a_space(fold: bytes) -> None:
    lines = b"A: one \r\n" + fold + b"two\r\n" + fold + b"three \r\nB:\r\n x\r\n\r\n"
    response = ResponseParser().feed(b"HTTP/1.1 101 OK\r\n" + lines)
    assert response is not None
    assert list(response.headers.raw_items()) == [("A", "one two three"), ("B", "x")]


def test_response_when_its_first_header_is_folded_is_refused() -> None:
    with pytest.raises(ValueError, match="it continues the status line"):
        ResponseParser().feed(b"HTTP/1.1 101 OK\r\n A: b\r\n")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_request_when_empty_lines_come_first_ignores_a_few(count: int) -> None:
    for feed in ([b"\r\n" * count + REQUEST], bytewise(b"\r\n" * count + REQUEST)):
        parser = RequestParser()
        for data in feed:
            request = parser.feed(data)
        assert request == RequestParser().feed(REQUEST)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://b.example/admin?x", "/admin?x", "b.example"),
        (b"HTTPS://b:81", "/", "b:81"),
        (b"ws://[::1]:81?x=http://c/", "/?x=http://c/", "[::1]:81"),
        (b"wss://b/a//b", "/a//b", "b"),
        (b"//b/admin", "//b/admin", "server.example.com"),  # a path, RFC 3986, 3.3
        (b"/http://b/", "/http://b/", "server.example.com"),
    ],
)
def test_request_for_an_absolute_uri_means_its_path_and_host(
    target: bytes, path: str, host: str
) -> None:
    for feed in (
        [REQUEST.replace(b"/chat?room=1", target)],
        bytewise(REQUEST.replace(b"/chat?room=1", target)),
    ):
        parser = RequestParser()
        for data in feed:
            request = parser.feed(data)
        assert request is not None
        assert (request.path, request.headers["Host"]) == (path, host)


def test_request_for_an_absolute_uri_must_have_one_host_nevertheless() -> None:
    for lines in (b"A: b\r\n\r\n", b"Host: a\r\nHost: b\r\n\r\n"):
        request = RequestParser().feed(b"GET http://c/ HTTP/1.1\r\n" + lines)
        assert request is not None
        assert "c" not in request.headers.get_all("Host")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"*"),
        (b"CONNECT", b"host:80"),
        (b"GET", b"host:80"),
        (b"GET", b"admin"),
        (b"GET", b"/a#b"),
        (b"GET", b"#"),
        (b"GET", b"?a"),
        (b"GET", b"http:///a"),
        (b"GET", b"http://"),
        (b"GET", b"http:/a"),
        (b"GET", b"http://u@b/"),
        (b"GET", b"http://b/a#b"),
        (b"GET", b"ftp://b/"),
        (b"GET", b"http://b/\x7f"),
    ],
)
def test_request_for_what_has_no_path_is_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(
        ValueError, match="expected a path or an absolute URI"
    ) as raised:
        RequestParser().feed(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(raised.value, MalformedRequest)
    assert "u@" not in str(raised.value)


def test_request_options_for_the_server_as_a_whole_is_let_through() -> None:
    request = RequestParser().feed(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert request is not None
    assert request.path == "*"


@pytest.mark.parametrize(
    "lines",
    [
        b"Authorization : Basic c2VjcmV0\r\n",
        b"Authorization: c2VjcmV0\0\r\n",
        b"X-Api-Key: c2VjcmV0\x7f\r\n",
        b"Cookie: a\r\n c2VjcmV0\r\n",
    ],
)
def test_headers_when_malformed_do_not_show_credentials(lines: bytes) -> None:
    for parser, start in (
        (RequestParser(), b"GET / HTTP/1.1\r\n"),
        (ResponseParser(), b"HTTP/1.1 101 OK\r\n"),
    ):
        text = ""
        try:
            parser.feed(start + lines)
        except ValueError as exc:
            text = str(exc)
        assert "c2VjcmV0" not in text


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nA: b\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\n",
    ],
)
def test_lines_when_they_end_without_cr_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="ends without CR"):
        RequestParser().feed(data)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"Content-Length: 1", "Content-Length is not 0"),
        (b"Content-Length: +0", "invalid Content-Length"),
        (b"Content-Length: 0\r\nContent-Length: 1", "invalid Content-Length"),
        (b"Transfer-Encoding: chunked", "Transfer-Encoding"),
    ],
)
def test_request_when_it_has_a_body_is_refused(header: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RequestParser().feed(b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n")


def test_request_when_the_stream_ends_says_what_was_missing() -> None:
    for data, missing in [
        (b"", "request line"),
        (b"GET", "request line"),
        (b"GET / HTTP/1.1\r\n", "header line"),
        (b"GET / HTTP/1.1\r\nA: b", "header line"),
    ]:
        parser = RequestParser()
        assert parser.feed(data) is None
        with pytest.raises(EOFError, match=missing):
            parser.feed_eof()


def test_parser_when_it_failed_raises_the_same_error_again() -> None:
    parser = RequestParser()
    with pytest.raises(ValueError, match="request line") as raised:
        parser.feed(b"?\r\n")
    with pytest.raises(ValueError, match="request line") as again:
        parser.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert again.value is raised.value
    assert parser.leftover == b""


# -- Limits --------------------------------------------------------------------


def test_request_line_when_as_long_as_allowed_is_accepted() -> None:
    path = b"/" + b"a" * (MAX_LINE_LENGTH - len(b"GET / HTTP/1.1\r\n"))
    request = RequestParser().feed(b"GET " + path + b" HTTP/1.1\r\n\r\n")
    assert request is not None
    assert request.path == path.decode()


def test_request_line_when_one_byte_longer_is_refused() -> None:
    path = b"/" + b"a" * (MAX_LINE_LENGTH - len(b"GET / HTTP/1.1\r\n") + 1)
    with pytest.raises(RequestLineTooLong, match="8192 bytes"):
        RequestParser().feed(b"GET " + path + b" HTTP/1.1\r\n\r\n")


def test_lines_when_too_long_are_refused_before_they_end() -> None:
    request, response = RequestParser(), ResponseParser()
    filler = b"a" * (MAX_LINE_LENGTH - 1)
    assert request.feed(filler) is None
    assert response.feed(filler) is None
    with pytest.raises(RequestLineTooLong):
        request.feed(b"a")
    with pytest.raises(StatusLineTooLong):
        response.feed(b"a")


def test_header_line_when_too_long_is_refused() -> None:
    head = b"HTTP/1.1 101 OK\r\n"
    fits = b"A: " + b"a" * (MAX_LINE_LENGTH - 5) + b"\r\n"
    assert ResponseParser().feed(head + fits + b"\r\n") is not None
    with pytest.raises(HeaderLineTooLong, match="header line has more than 8192"):
        ResponseParser().feed(head + b"A" + fits + b"\r\n")


def test_headers_when_there_are_too_many_are_refused() -> None:
    head, line = b"HTTP/1.1 101 OK\r\n", b"A: b\r\n"
    assert ResponseParser().feed(head + line * MAX_NUM_HEADERS + b"\r\n") is not None
    with pytest.raises(TooManyHeaders, match="more than 128 headers"):
        ResponseParser().feed(head + line * (MAX_NUM_HEADERS + 1))


def test_limits_when_the_environment_sets_them_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("WEBSOCKETS_MAX_NUM_HEADERS", "2")
        patch.setenv("FULLDUPLEX_SERVER", "mine")
        fresh = {}
        for module in (_http1_messages, http1):
            assert module.__spec__ is not None
            assert module.__spec__.loader is not None
            copy = importlib.util.module_from_spec(module.__spec__)
            patch.setitem(sys.modules, module.__name__, copy)
            module.__spec__.loader.exec_module(copy)
            fresh[module] = copy
    assert fresh[_http1_messages].MAX_NUM_HEADERS == 2
    assert fresh[_http1_messages].SERVER == "mine"
    with pytest.raises(TooManyHeaders):
        fresh[http1].RequestParser().feed(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3)


def test_head_when_too_long_as_a_whole_is_refused() -> None:
    line = b"A: " + b"x" * 1019 + b"\r\n"
    lines = line * (MAX_HEAD_SIZE // len(line))
    for parser, start in (
        (RequestParser(), b"GET / HTTP/1.1\r\n"),
        (ResponseParser(), b"HTTP/1.1 101 OK\r\n"),
    ):
        with pytest.raises(TooManyHeaders, match="head has more than 65536 bytes"):
            parser.feed(start + lines + b"\r\n")
    start = b"GET / HTTP/1.1\r\nB: "
    data = lines[len(line) :]
    data = start + b"x" * (len(line) - len(start) - 4) + b"\r\n" + data + b"\r\n"
    assert len(data) == MAX_HEAD_SIZE
    for feed in ([data], portions(data, list(range(0, len(data), 1000)))):
        parser = RequestParser()
        for portion in feed:
            request = parser.feed(portion)
        assert request is not None
        assert len(request.headers.get_all("A")) == 63


def test_head_when_it_may_be_one_line_may_be_one_line() -> None:
    data = b"GET / HTTP/1.1\r\nCookie: " + b"x" * 60_000 + b"\r\n\r\n"
    with pytest.raises(HeaderLineTooLong):
        RequestParser().feed(data)
    assert RequestParser(max_line=MAX_HEAD_SIZE).feed(data) is not None


# -- Responses -----------------------------------------------------------------


def test_response_101_has_no_body_and_keeps_what_follows() -> None:
    parser = ResponseParser()
    response = parser.feed(SWITCHING + b"\x81\x02hi")
    assert response == Response(
        101,
        "Switching Protocols",
        Headers({"Upgrade": "websocket", "Content-Length": "5"}),
    )
    assert parser.leftover == b"\x81\x02hi"
    assert parser.feed_eof() is response


def test_response_when_interim_ones_come_first_skips_them() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\n"
    response = ResponseParser().feed(interim + SWITCHING)
    assert response is not None
    assert response.status_code == 101


def test_response_when_there_are_too_many_interim_ones_is_refused() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert ResponseParser().feed(interim * 16 + SWITCHING) is not None
    with pytest.raises(SecurityError, match="16 interim"):
        ResponseParser().feed(interim * 17)


BODIES = {
    "length": (b"Content-Length: 5\r\n\r\nHello", b"more"),
    "repeated length": (
        b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nHello",
        b"more",
    ),
    "chunks": (
        b"Transfer-Encoding: Chunked\r\n\r\n"
        b"3\r\nHel\r\n2 ; x=y\r\nlo\r\n000\r\nTrailer: x\r\n\r\n",
        b"more",
    ),
    "chunks and length": (
        b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nHello\r\n0\r\n\r\n",
        b"more",
    ),
    "end of stream": (b"\r\nHello", b""),
}


@pytest.mark.parametrize("kind", BODIES)
@given(cuts=st.lists(st.integers(min_value=0)))
def test_response_body_when_cut_anywhere_is_the_same(
    kind: str, cuts: list[int]
) -> None:
    data, more = BODIES[kind]
    parser = ResponseParser()
    for portion in portions(b"HTTP/1.1 403 Forbidden\r\n" + data + more, cuts):
        parser.feed(portion)
    response = parser.feed_eof()
    assert (response.status_code, response.body) == (403, b"Hello")
    assert parser.leftover == more


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 204), ("GET", 304), ("HEAD", 200), ("CONNECT", 200), ("CONNECT", 299)],
)
def test_response_when_it_cannot_have_a_body_ends_with_its_head(
    method: str, status: int
) -> None:
    parser = ResponseParser(method)
    data = b"HTTP/1.1 %d OK\r\nContent-Length: 5\r\n\r\nnext" % status
    response = parser.feed(data)
    assert response is not None
    assert response.body == b""
    assert parser.leftover == b"next"


def test_response_when_from_a_proxy_may_be_http_1_0() -> None:
    data = b"HTTP/1.0 200 Connection established\r\n\r\n"
    response = ResponseParser("CONNECT").feed(data)
    assert response is not None
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "invalid status line"),
        (b"HTTP/1.1 101", "invalid status line"),
        (b"HTTP/1.1", "invalid status line"),
        (b"HTTP/1.0 101 OK", "unsupported HTTP version: b'HTTP/1.0'"),
        (b"HTTP/2 101 OK", "unsupported HTTP version"),
        (b"SSH-2.0-OpenSSH_9.6 a b", "unsupported HTTP version"),
        (b"HTTP/1.1  101 OK", "expected three digits"),
        (b"HTTP/1.1 1o1 OK", "expected three digits"),
        (b"HTTP/1.1 99 OK", "expected three digits"),
        (b"HTTP/1.1 1010 OK", "expected three digits"),
        (b"HTTP/1.1 101 O\x7fK", "invalid reason phrase"),
    ],
)
def test_response_when_its_line_is_malformed_says_why(line: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ResponseParser().feed(line + b"\r\n")


# -- Refusals: nothing that follows the status line takes the verdict away -----


@pytest.mark.parametrize("status", [0, 99, 200, 302, 426, 599, 600, 999])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_refusal_counts_whatever_its_status_and_version(
    status: int, version: bytes
) -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/%b %03d Why not\r\nA: b\r\n\r\nHello" % (version, status))
    assert parser.refused
    response = parser.feed_eof()
    assert (response.status_code, response.body) == (status, b"Hello")
    assert response.protocol == f"HTTP/{version.decode()}"
    assert parser.fault is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 403\r\nA: b\r\n\r\n",
        b"HTTP/1.1 403 \r\nA: b\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\nA: b\n\n",
        b"HTTP/1.1 403 Forbid\x7fden\r\nA: b\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nA : b\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nwhat\r\nA: b\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\n what\r\nA: b\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nC: \0\r\n d\r\nA: b\r\n\r\n",
    ],
)
def test_refusal_counts_whatever_its_head_looks_like(data: bytes) -> None:
    for feed in ([data + b"Hello"], bytewise(data + b"Hello")):
        parser = ResponseParser()
        for portion in feed:
            parser.feed(portion)
        response = parser.feed_eof()
        assert (response.status_code, response.body) == (403, b"Hello")
        assert list(response.headers.raw_items()) == [("A", "b")]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (b"A: " + b"x" * 9000, "8192 bytes"),
        (b"A: b\r\n" * 129, "128 headers"),
    ],
)
def test_refusal_counts_whatever_limit_its_head_exceeds(
    lines: bytes, text: str
) -> None:
    parser = ResponseParser()
    response = parser.feed(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n" + lines)
    assert response is not None
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "3"
    assert text in str(parser.fault)
    parser.feed(b"more")
    assert parser.leftover == b""


@pytest.mark.parametrize(
    ("data", "body", "text"),
    [
        (
            b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nHi\r\n0\r\n\r\n",
            b"Hi",
            "gzip",
        ),
        (b"Transfer-Encoding: gzip\r\n\r\nHi", b"Hi", "unsupported transfer coding"),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"",
            "chunk size",
        ),
        (b"Content-Length: -1\r\n\r\nHi", b"Hi", "invalid Content-Length"),
        (b"Content-Length: 1_0\r\n\r\nHi", b"Hi", "invalid Content-Length"),
        (b"Content-Length: \xb2\r\n\r\nHi", b"Hi", "invalid Content-Length"),
        (b"Content-Length:\r\n\r\nHi", b"Hi", "invalid Content-Length"),
        (b"Content-Length: 5, 6\r\n\r\nHi", b"Hi", "invalid Content-Length"),
        (b"Content-Length: " + b"9" * 20 + b"\r\n\r\nHi", b"Hi", "Content-Length"),
        (b"Content-Length: 5\r\n\r\nHell", b"Hell", "body of 5 bytes"),
        (b"Transfer-Encoding: chunked\r\n\r\n\r\n", b"", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n0x1\r\n", b"", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", b"a", "than its size"),
        (b"Transfer-Encoding: chunked\r\n\r\n1", b"", "chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\na", b"a", "chunk of 2 bytes"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"a", "chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"a", "header line"),
    ],
)
def test_refusal_counts_whatever_its_body_is(
    data: bytes, body: bytes, text: str
) -> None:
    data = b"HTTP/1.1 429 Busy\r\nRetry-After: 3\r\n" + data
    for feed in ([data], bytewise(data)):
        parser = ResponseParser()
        for portion in feed:
            parser.feed(portion)
        response = parser.feed_eof()
        assert (response.status_code, response.body) == (429, body)
        assert response.headers["Retry-After"] == "3"
        assert text in str(parser.fault)


def test_refusal_whose_length_is_told_twice_in_one_line_is_whole() -> None:
    response = ResponseParser().feed(
        b"HTTP/1.1 403 x\r\nContent-Length: 2, 2\r\n\r\nHi"
    )
    assert response is not None
    assert response.body == b"Hi"


@pytest.mark.parametrize("error", [TimeoutError("late"), EOFError("cut"), KeyError()])
def test_refusal_when_cut_has_what_came(error: Exception) -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 403 x\r\n\r\nHel") is None
    assert parser.refused
    response = parser.cut(error)
    assert (response.status_code, response.body) == (403, b"Hel")
    assert parser.fault is not None
    assert parser.feed(b"lo") is response
    assert parser.cut(error) is response
    assert parser.leftover == b""


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1048577\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n100001\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n80000\r\n"
        + bytes(2**19)
        + b"\r\n80001\r\n",
        b"\r\n",
    ],
    ids=["length", "chunk", "huge chunk", "chunks", "end of stream"],
)
def test_refusal_when_its_body_is_too_big_is_cut_at_the_limit(head: bytes) -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n" + head) is None
    response = parser.feed(bytes(MAX_BODY_SIZE + 1))
    assert response is not None
    assert len(response.body) == MAX_BODY_SIZE
    assert isinstance(parser.fault, SecurityError)
    assert "1,048,576 bytes (MAX_BODY_SIZE)" in str(parser.fault)


def test_refusal_whose_chunks_are_all_extensions_is_cut() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"1;" + b"x" * 8000 + b"\r\na\r\n"
    fed = 0
    while parser.feed(chunk) is None:
        fed += len(chunk)
        assert fed < 2 * MAX_BODY_SIZE
    assert isinstance(parser.fault, SecurityError)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1048576\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n100000\r\n",
        b"\r\n",
    ],
)
def test_response_when_its_body_is_as_big_as_allowed_is_accepted(head: bytes) -> None:
    parser = ResponseParser()
    end = b"\r\n0\r\n\r\n" if b"chunked" in head else b""
    parser.feed(b"HTTP/1.1 200 OK\r\n" + head + bytes(MAX_BODY_SIZE) + end)
    assert len(parser.feed_eof().body) == MAX_BODY_SIZE


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "status line"),
        (b"HTTP/1.1 101 OK\r\nA: b", "header line"),
        (b"HTTP/1.1 403 No\r\nA: b\r\n", "header line"),
    ],
)
def test_response_when_the_stream_ends_says_what_was_missing(
    data: bytes, missing: str
) -> None:
    parser = ResponseParser()
    assert parser.feed(data) is None
    with pytest.raises(EOFError, match=missing):
        parser.feed_eof()


@given(
    st.sampled_from(
        [
            b"",
            b"GET / HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: ",
            b"HTTP/1.1 101 OK\r\nA: ",
            b"HTTP/1.0 403 No\r\nA: ",
        ]
    ),
    st.binary() | st.text("aF0129: ;,-\r\n\t\0").map(str.encode),
)
def test_parsers_when_given_garbage_raise_only_what_is_documented(
    start: bytes, data: bytes
) -> None:
    for parser in (RequestParser(), ResponseParser()):
        outcomes: list[tuple[object, object]] = []
        for feed in ([start + data], bytewise(start + data)):
            parser = type(parser)()
            try:
                for portion in feed:
                    parser.feed(portion)
                outcomes.append((parser.feed_eof(), parser.leftover))
            except (ValueError, SecurityError, EOFError) as exc:
                outcomes.append((type(exc), str(exc)))
        assert outcomes[0] == outcomes[1]


def run(steps: Generator[None, None, Any], reader: StreamReader) -> Any:
    """Run a generator that has all its bytes."""
    reader.feed_eof()
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", UnicodeDecodeError),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", NotImplementedError),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", ValueError),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", ValueError),
    ],
)
def test_request_when_parsed_by_a_generator_raises_what_is_documented(
    data: bytes, error: type[Exception]
) -> None:
    reader = StreamReader()
    reader.feed_data(data)
    with pytest.raises(error):
        run(Request.parse(reader.read_line), reader)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"HTTP/1.0 403 No\r\n\r\n", ValueError),
        (b"HTTP/1.1 999 No\r\n\r\n", ValueError),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            NotImplementedError,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", SecurityError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHi", EOFError),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ValueError),
    ],
)
def test_response_when_parsed_by_a_generator_raises_what_is_documented(
    data: bytes, error: type[Exception]
) -> None:
    reader = StreamReader()
    reader.feed_data(data)
    readers = reader.read_line, reader.read_exact, reader.read_to_eof
    with pytest.raises(error):
        run(Response.parse(*readers), reader)


# -- Serializing ---------------------------------------------------------------


def test_request_when_serialized_and_parsed_is_the_same() -> None:
    request = Request("/a?b", Headers({"Host": "h", "X": "\xe9"}))
    data = request.serialize()
    assert data == b"GET /a?b HTTP/1.1\r\nHost: h\r\nX: \xe9\r\n\r\n"
    assert RequestParser().feed(data) == request


def test_response_when_serialized_and_parsed_is_the_same() -> None:
    response = Response(403, "Forbidden", Headers({"Content-Length": "2"}), b"no")
    data = response.serialize()
    assert data == b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    assert ResponseParser().feed(data) == response


@pytest.mark.parametrize("path", ["", "/a b", "/\r\nX: y", "/\n", "/\0", "/é", "/\x7f"])
def test_request_when_its_path_would_break_the_line_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path .* cannot be sent"):
        Request(path, Headers()).serialize()


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n"])
def test_request_when_its_method_would_break_the_line_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=r"method .* cannot be sent"):
        Request("/", Headers(), method).serialize()


def test_request_when_a_header_would_break_its_line_cannot_be_built() -> None:
    with pytest.raises(InvalidHeader):
        Request("/", Headers({"X": "y\r\nInjected: z"}))


@pytest.mark.parametrize("reason", ["a\r\nX: y", "\n", "\0", "€"])
def test_response_when_its_reason_would_break_the_line_is_refused(reason: str) -> None:
    with pytest.raises(ValueError, match=r"reason phrase .* cannot be sent"):
        Response(200, reason, Headers()).serialize()


@pytest.mark.parametrize("status", [0, 99, 600, 1000])
def test_response_when_its_status_is_impossible_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="allowed are 100 to 599"):
        Response(status, "", Headers()).serialize()
