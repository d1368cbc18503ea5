"""HTTP/1.1 heads and bodies: what is understood, refused, and bounded."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core import _http1_messages, http1
from fullduplex.core.datastructures import Headers
from fullduplex.core.errors import (
    HeaderLineTooLong,
    InvalidHeader,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from fullduplex.core.http1 import (
    MAX_BODY_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    Request,
    RequestParser,
    Response,
    ResponseParser,
)

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
        (b"", "invalid request line"),
        (b"GET /", "invalid request line"),
        (b"GET / HTTP/1.1 ", "invalid request line"),
        (b"GET  / HTTP/1.1", "invalid request line"),
        (b"GET\t/\tHTTP/1.1", "invalid request line"),
        (b" GET / HTTP/1.1", "invalid request line"),
        (b"GET  HTTP/1.1", "invalid request line"),
        (b"G(T / HTTP/1.1", "invalid request line"),
        (b"GET /caf\xc3\xa9 HTTP/1.1", "invalid request line"),
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
        b" folded",
        b"\tfolded",
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
        parser.feed(b"\r\n")
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
    assert fresh[http1].MAX_NUM_HEADERS == 2
    assert fresh[http1].SERVER == "mine"
    with pytest.raises(TooManyHeaders):
        fresh[http1].RequestParser().feed(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3)


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
    with pytest.raises(ValueError, match="unsupported HTTP version"):
        ResponseParser().feed(data)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "invalid status line"),
        (b"HTTP/1.1 101", "invalid status line"),
        (b"HTTP/1.1", "invalid status line"),
        (b"HTTP/1.0 101 OK", "unsupported HTTP version: b'HTTP/1.0'"),
        (b"HTTP/2 101 OK", "unsupported HTTP version"),
        (b"SSH-2.0-OpenSSH_9.6 a b", "unsupported HTTP version"),
        (b"HTTP/1.1  101 OK", "allowed are 100 to 599"),
        (b"HTTP/1.1 1o1 OK", "allowed are 100 to 599"),
        (b"HTTP/1.1 99 OK", "allowed are 100 to 599"),
        (b"HTTP/1.1 600 OK", "allowed are 100 to 599"),
        (b"HTTP/1.1 1010 OK", "allowed are 100 to 599"),
        (b"HTTP/1.1 101 O\x7fK", "invalid reason phrase"),
    ],
)
def test_response_when_its_line_is_malformed_says_why(line: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ResponseParser().feed(line + b"\r\n")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n", "unsupported transfer coding"),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "unsupported transfer coding",
        ),
        (b"Content-Length: -1\r\n\r\n", "invalid Content-Length"),
        (b"Content-Length: 1_0\r\n\r\n", "invalid Content-Length"),
        (b"Content-Length: \xb2\r\n\r\n", "invalid Content-Length"),
        (b"Content-Length:\r\n\r\n", "invalid Content-Length"),
        (b"Content-Length: 5, 5\r\n\r\n", "invalid Content-Length"),
        (b"Content-Length: " + b"9" * 20 + b"\r\n\r\n", "invalid Content-Length"),
        (b"Transfer-Encoding: chunked\r\n\r\n\r\n", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n0x1\r\n", "invalid chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\n", "ends without CR"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc", "longer than its size"),
    ],
)
def test_response_when_its_body_is_malformed_says_why(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ResponseParser().feed(b"HTTP/1.1 200 OK\r\n" + data)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1048577\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n100001\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n100000\r\n" + bytes(2**20) + b"\r\n1\r\n",
        b"\r\n" + bytes(MAX_BODY_SIZE + 1),
    ],
    ids=["length", "chunk", "huge chunk", "chunks", "end of stream"],
)
def test_response_when_its_body_is_too_big_is_refused_early(head: bytes) -> None:
    with pytest.raises(SecurityError, match="allowed are 1,048,576"):
        ResponseParser().feed(b"HTTP/1.1 200 OK\r\n" + head)


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
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHell", "body of 5 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", "chunk size"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
            "chunk of 1 bytes",
        ),
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
