"""The server's opening handshake: what each request is answered with."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidUpgrade,
    NegotiationError,
)
from fullduplex.core.extensions.base import ServerExtensionFactory
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.extensions.permessage_deflate import (
    ServerPerMessageDeflateFactory,
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)
from fullduplex.core.frames.frame import Extension
from fullduplex.core.handshake.client import ClientHandshake
from fullduplex.core.handshake.errors import InvalidStatus
from fullduplex.core.handshake.server import ServerHandshake
from fullduplex.core.http.grammar import MAX_LIST_ITEMS
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response
from fullduplex.core.http.parser import ResponseParser
from fullduplex.core.typing import ExtensionName, ExtensionParameter
from fullduplex.core.uri import parse_uri

# RFC 6455, 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"

USUAL = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(
    line: str = "GET /chat HTTP/1.1",
    *,
    without: str | None = None,
    more: Sequence[tuple[str, str]] = (),
    **changed: str,
) -> bytes:
    """Write a request: the usual headers, less or with others of them."""
    headers = dict(USUAL)
    if without is not None:
        del headers[without]
    for name, value in changed.items():
        headers[name.replace("_", "-")] = value
    lines = [line, *(f"{k}: {v}" for k, v in [*headers.items(), *more]), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def answer(data: bytes, **options: Any) -> tuple[ServerHandshake, Response]:
    """Have a server answer, and read the answer as a client does."""
    handshake = ServerHandshake(**options)
    received = handshake.data_received(data)
    assert received is not None
    response = handshake.accept(received, now_date=DATE)
    parsed = ResponseParser().feed(handshake.response_bytes(response))
    assert parsed is not None
    assert (parsed.status_code, parsed.body) == (response.status_code, response.body)
    return handshake, parsed


def refused(data: bytes, **options: Any) -> tuple[Exception, Response]:
    handshake, response = answer(data, **options)
    assert handshake.exception is not None
    assert handshake.extensions == []
    assert handshake.subprotocol is None
    return handshake.exception, response


class Marker(Extension):
    name = ExtensionName("x-marker")


class MarkerFactory(ServerExtensionFactory):
    name = ExtensionName("x-marker")

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        if ("bad", None) in params:
            raise NegotiationError("bad")
        return [("ok", None)], Marker()


# -- Accepting -----------------------------------------------------------------


def test_sample_request_of_the_rfc_is_answered_to_the_byte() -> None:
    handshake = ServerHandshake(server_header="tester", subprotocols=["chat"])
    data = request(
        more=[
            ("Origin", "http://example.com"),
            ("Sec-WebSocket-Protocol", "superchat, chat"),
        ]
    )
    received = handshake.data_received(data)
    assert received is not None
    response = handshake.accept(received, now_date=DATE)
    assert (
        handshake.response_bytes(response)
        == (
            "HTTP/1.1 101 Switching Protocols\r\n"
            f"Date: {DATE}\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
            "Sec-WebSocket-Protocol: chat\r\n"
            "Server: tester\r\n"
            "\r\n"
        ).encode()
    )
    assert handshake.exception is None
    assert handshake.request == received
    assert handshake.response is response
    assert handshake.origin == "http://example.com"
    assert handshake.subprotocol == "chat"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"server_header": None},
        {"subprotocols": ["chat"], "server_header": "mine"},
        {"extensions": enable_server_permessage_deflate(None)},
    ],
)
@pytest.mark.parametrize("date", [DATE, None])
@pytest.mark.parametrize(
    "data",
    [
        request(),
        request(more=[("Sec-WebSocket-Protocol", "chat")]),
        request(more=[("Sec-WebSocket-Extensions", "permessage-deflate")]),
    ],
)
def test_response_that_nobody_looks_at_has_the_same_bytes(
    settings: dict[str, Any], date: str | None, data: bytes
) -> None:
    handshake, unseen = ServerHandshake(**settings), ServerHandshake(**settings)
    asked = handshake.data_received(data)
    assert asked is not None

    response = handshake.accept(asked, now_date=date)
    answer = unseen.accept_bytes(asked, now_date=date)

    if response.status_code == 101:
        assert answer == handshake.response_bytes(response)
    else:
        assert answer == response
    assert repr(unseen.exception) == repr(handshake.exception)
    assert unseen.subprotocol == handshake.subprotocol
    assert [type(item) for item in unseen.extensions] == [
        type(item) for item in handshake.extensions
    ]


@pytest.mark.parametrize("server_header", [None, ""])
def test_server_header_can_be_left_out(server_header: str | None) -> None:
    _, response = answer(request(), server_header=server_header)
    assert "Server" not in response.headers


def test_default_server_header_names_us() -> None:
    _, response = answer(request())
    assert re.fullmatch(r"Python/3\.\d+ fullduplex/\S+", response.headers["Server"])


@pytest.mark.parametrize(
    "data",
    [
        request(Upgrade="WebSocket", Connection="keep-alive, upgrade"),
        request(more=[("Content-Length", "0")]),
        request(more=[("X-Latin", "\xe9")]),
        request("GET /?a=b&c HTTP/1.1"),
        request(Host=""),
        request(Host="example.com:8080"),
        request(Host="[::1]:8080"),
        request(Host="under_score.example"),
    ],
)
def test_what_is_allowed_is_accepted(data: bytes) -> None:
    _, response = answer(data)
    assert response.status_code == 101


def test_bytes_behind_the_request_are_kept() -> None:
    handshake = ServerHandshake()
    assert handshake.data_received(request()[:-1]) is None
    assert handshake.leftover == b""
    assert handshake.data_received(b"\n\x81\x80abcd") is not None
    handshake.data_received(b"\x81")
    assert handshake.leftover == b"\x81\x80abcd\x81"
    handshake.eof_received()


# -- Refusing: each row of the table -------------------------------------------

GARBLED_KEY = [
    ("missing", request(without="Sec-WebSocket-Key")),
    ("empty", request(Sec_WebSocket_Key="")),
    ("not base64", request(Sec_WebSocket_Key="*" * 24)),
    ("not ASCII", request(Sec_WebSocket_Key="\xe9" * 24)),
    ("15 bytes", request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j")),
    ("18 bytes", request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZSEh")),
    ("repeated", request(more=[("Sec-WebSocket-Key", KEY)])),
]

ROWS: list[tuple[str, bytes, dict[str, Any], int, type[Exception]]] = [
    ("plain GET", b"GET / HTTP/1.1\r\n\r\n", {}, 426, InvalidUpgrade),
    ("browser", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", {}, 426, InvalidUpgrade),
    ("other Upgrade", request(Upgrade="h2c"), {}, 426, InvalidUpgrade),
    ("two Upgrades", request(Upgrade="websocket, h2c"), {}, 426, InvalidUpgrade),
    ("no Upgrade", request(without="Upgrade"), {}, 426, InvalidUpgrade),
    ("other Connection", request(Connection="close"), {}, 426, InvalidUpgrade),
    ("no Connection", request(without="Connection"), {}, 426, InvalidUpgrade),
    ("bad Upgrade", request(Upgrade="a b"), {}, 400, InvalidHeaderFormat),
    ("POST", request("POST / HTTP/1.1"), {}, 405, InvalidMethod),
    ("HEAD", request("HEAD / HTTP/1.1"), {}, 405, InvalidMethod),
    ("get", request("get / HTTP/1.1"), {}, 405, InvalidMethod),
    ("HTTP/1.0", request("GET / HTTP/1.0"), {}, 505, InvalidProtocol),
    ("no Host", request(without="Host"), {}, 400, InvalidHeader),
    ("two Hosts", request(more=[("Host", "b")]), {}, 400, InvalidHeader),
    ("Host with path", request(Host="a/b"), {}, 400, InvalidHeaderValue),
    ("Host with user", request(Host="u@a"), {}, 400, InvalidHeaderValue),
    ("Host list", request(Host="a, b"), {}, 400, InvalidHeaderValue),
    ("Host port", request(Host="a:b"), {}, 400, InvalidHeaderValue),
    *((f"key {name}", data, {}, 400, InvalidHeader) for name, data in GARBLED_KEY),
    ("no version", request(without="Sec-WebSocket-Version"), {}, 426, InvalidHeader),
    ("version 8", request(Sec_WebSocket_Version="8"), {}, 426, InvalidHeaderValue),
    ("013", request(Sec_WebSocket_Version="013"), {}, 426, InvalidHeaderValue),
    (
        "version list",
        request(Sec_WebSocket_Version="13, 8"),
        {},
        426,
        InvalidHeaderValue,
    ),
    (
        "wrong origin",
        request(Origin="https://evil"),
        {"origins": ["https://good"]},
        403,
        InvalidOrigin,
    ),
    ("no origin", request(), {"origins": ["https://good"]}, 403, InvalidOrigin),
    ("nobody", request(Origin="https://a"), {"origins": []}, 403, InvalidOrigin),
    (
        "origin repeated",
        request(Origin="https://a", more=[("Origin", "https://a")]),
        {"origins": ["https://a"]},
        400,
        InvalidHeader,
    ),
    (
        "malformed extensions",
        request(Sec_WebSocket_Extensions="a;;b"),
        {},
        400,
        InvalidHeaderFormat,
    ),
    (
        "malformed subprotocols",
        request(Sec_WebSocket_Protocol="a b"),
        {},
        400,
        InvalidHeaderFormat,
    ),
    (
        "empty subprotocols",
        request(Sec_WebSocket_Protocol=""),
        {"subprotocols": ["chat"]},
        400,
        InvalidHeaderFormat,
    ),
    (
        "no common subprotocol",
        request(Sec_WebSocket_Protocol="other"),
        {"subprotocols": ["chat"]},
        400,
        NegotiationError,
    ),
    ("no subprotocol", request(), {"subprotocols": ["chat"]}, 400, NegotiationError),
]


@pytest.mark.parametrize(
    ("data", "options", "status", "error"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_a_wrong_request_is_answered_with_its_status(
    data: bytes, options: dict[str, Any], status: int, error: type[Exception]
) -> None:
    exc, response = refused(data, **options)
    assert isinstance(exc, error)
    assert isinstance(exc, InvalidHandshake)
    assert response.status_code == status
    headers = response.headers
    assert headers["Connection"] == "close"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == str(len(response.body))
    assert headers["Date"] == DATE
    assert len(headers.get_all("Server")) == 1
    assert str(exc)[:64].encode() in response.body
    assert response.body.endswith(b".\n")


def test_405_tells_what_is_allowed() -> None:
    _, response = refused(request("POST / HTTP/1.1"))
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", request(Sec_WebSocket_Version="8")]
)
def test_426_tells_what_is_spoken(data: bytes) -> None:
    _, response = refused(data)
    assert response.reason_phrase == "Upgrade Required"
    assert response.headers["Upgrade"] == "websocket"
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert b"browser" in response.body


def test_400_tells_the_cause() -> None:
    _, response = refused(request(Sec_WebSocket_Key="dGhl"))
    assert b"'dGhl'; key has 3 bytes, expected 16" in response.body


def test_a_long_value_is_not_sent_back_whole() -> None:
    _, response = refused(request(Origin="x" * 8000), origins=["https://a"])
    assert len(response.body) < 300


# -- What the parser refuses ---------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 8192, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 8192, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 129, 431),
        (b"GET / HTTP/1.1\r\n" + (b"A: " + b"x" * 8000 + b"\r\n") * 9, 431),
    ],
)
def test_limits_are_answered(data: bytes, status: int) -> None:
    handshake = ServerHandshake()
    with pytest.raises(InvalidHandshake) as caught:
        handshake.data_received(data)
    response = handshake.error_response(caught.value, now_date=DATE)
    assert response is not None
    assert response.status_code == status
    assert response.headers["Connection"] == "close"
    assert response.headers["Date"] == DATE
    assert handshake.exception is caught.value
    assert handshake.response_bytes(response).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GET /\xe9 HTTP/1.1\r\n\r\n", b"must be ASCII"),
        (b"GET /a b HTTP/1.1\r\n\r\n", b"invalid request line: 'GET /a b HTTP/1.1'"),
        (b"GET * HTTP/1.1\r\n\r\n", b"the target is '*', expected a path"),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", b"the target is 'a:80'"),
        (b"GET /a#b HTTP/1.1\r\n\r\n", b"the target is '/a#b'"),
        (b"GET http://u:p@a/ HTTP/1.1\r\n\r\n", b"the target is 'http://***@a/'"),
        (b"GET / HTTP/1.1\n\n", b"request line ends without CR"),
        (b"GET / HTTP/1.1\r\nA: b\n\n", b"header line ends without CR"),
        (b"GET / HTTP/1.1\r\nHost : b\r\n\r\n", b"invalid header line: b'Host :'"),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", b"it continues A, which is obs"),
        (request(more=[("Content-Length", "1")]), b"Content-Length is not 0"),
        (request(more=[("Content-Length", "x")]), b"invalid Content-Length: 'x'"),
        (request(more=[("Transfer-Encoding", "chunked")]), b"Transfer-Encoding is set"),
    ],
)
def test_what_is_http_but_malformed_is_told_so(data: bytes, text: bytes) -> None:
    handshake = ServerHandshake()
    with pytest.raises(ValueError) as caught:
        handshake.data_received(data)
    response = handshake.error_response(caught.value, now_date=DATE)
    assert response is not None
    assert response.status_code == 400
    assert text in response.body
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("Connection", "a,"),
        ("Connection", ",,"),
        ("Upgrade", "a,"),
        ("Sec-WebSocket-Extensions", "a,"),
        ("Sec-WebSocket-Extensions", "a;b,"),
        ("Sec-WebSocket-Extensions", "permessage-deflate;x,"),
        ("Sec-WebSocket-Protocol", "a,"),
    ],
)
@pytest.mark.parametrize("lines", [1, 4])
def test_lists_are_read_up_to_a_limit(name: str, item: str, lines: int) -> None:
    ours = name in ("Connection", "Upgrade")
    head = (request(without=name) if ours else request())[:-2]
    if name == "Connection":
        head += b"Connection: Upgrade\r\n"
    many = f"{name}: {item * (MAX_LIST_ITEMS // lines)}a\r\n" * lines
    options = {"subprotocols": ["a"]} if "Protocol" in name else {}
    exc, response = refused(head + many.encode() + b"\r\n", **options)
    assert response.status_code == 400
    assert f"allowed are {MAX_LIST_ITEMS}" in str(exc)
    if name == "Upgrade":
        return
    fewer = f"{name}: {item * (MAX_LIST_ITEMS // 8 // lines)}a\r\n" * lines
    _, response = answer(head + fewer.encode() + b"\r\n", **options)
    assert response.status_code == 101


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",  # a TLS hello
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\n\n",
        b"\r\n" * 5,
        b"\x05\x01\x00\n",  # SOCKS
    ],
)
def test_what_is_no_such_request_gets_no_response(data: bytes) -> None:
    handshake = ServerHandshake()
    with pytest.raises(ValueError) as caught:
        handshake.data_received(data)
    assert handshake.error_response(caught.value) is None
    assert handshake.request is None


@pytest.mark.parametrize("data", [b"", b"GET / HT", request()[:-2]])
def test_a_request_that_ends_too_early_gets_no_response(data: bytes) -> None:
    handshake = ServerHandshake()
    assert handshake.data_received(data) is None
    with pytest.raises(EOFError) as caught:
        handshake.eof_received()
    assert handshake.error_response(caught.value) is None


# -- Origins -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origins", "origin", "admitted"),
    [
        (None, None, True),
        (None, "https://a", True),
        (["https://a", "https://b"], "https://b", True),
        (["https://a"], "https://A", False),
        (["https://a"], "https://a/", False),
        ([None], None, True),
        ([None], "https://a", False),
        ([None, "https://a"], "https://a", True),
        ({"https://a"}, "https://a", True),
        ([re.compile(r"https://.*\.ok\.com")], "https://a.ok.com", True),
        ([re.compile(r"https://.*\.ok\.com")], "https://a.ok.com.evil", False),
        ([re.compile(r"https://.*\.ok\.com")], "x https://a.ok.com", False),
        ([re.compile(".*")], None, False),
    ],
)
def test_origins(origins: Any, origin: str | None, admitted: bool) -> None:
    data = request() if origin is None else request(Origin=origin)
    handshake, response = answer(data, origins=origins)
    assert response.status_code == (101 if admitted else 403)
    assert handshake.origin == (origin if admitted else None)


@pytest.mark.parametrize("origins", ["https://a", [b"https://a"], [re.compile(b"")], 1])
def test_bad_origins_are_refused(origins: Any) -> None:
    with pytest.raises(TypeError, match="origins"):
        ServerHandshake(origins=origins)


# -- Subprotocols --------------------------------------------------------------


@pytest.mark.parametrize(
    ("supported", "offered", "chosen"),
    [
        (None, [], None),
        (None, ["chat"], None),
        ([], ["chat"], None),
        (["chat"], ["chat"], "chat"),
        (["a", "b"], ["b, a"], "a"),
        (["a", "b"], ["c", "b"], "b"),  # in two headers
    ],
)
def test_the_first_subprotocol_of_the_server_wins(
    supported: list[str] | None, offered: list[str], chosen: str | None
) -> None:
    data = request(more=[("Sec-WebSocket-Protocol", item) for item in offered])
    handshake, response = answer(data, subprotocols=supported)
    assert response.status_code == 101
    assert handshake.subprotocol == chosen
    assert response.headers.get("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(
    ("offered", "seen"), [([], []), (["a, b", "c"], ["a", "b", "c"])]
)
def test_select_subprotocol_is_asked_whatever_is_offered(
    offered: list[str], seen: list[str]
) -> None:
    asked: list[Any] = []

    def select(subprotocols: list[Any]) -> str | None:
        asked.append(subprotocols)
        return subprotocols[-1] if subprotocols else None

    data = request(more=[("Sec-WebSocket-Protocol", item) for item in offered])
    handshake, _ = answer(data, select_subprotocol=select)
    assert asked == [seen]
    assert handshake.subprotocol == (seen[-1] if seen else None)


def test_select_subprotocol_may_refuse() -> None:
    def select(subprotocols: list[Any]) -> str | None:
        raise NegotiationError("not on Sundays")

    exc, response = refused(request(), select_subprotocol=select)
    assert isinstance(exc, NegotiationError)
    assert response.status_code == 400
    assert b"not on Sundays" in response.body


@pytest.mark.parametrize("chosen", ["other", "a\r\nX-Evil: 1"])
def test_select_subprotocol_must_choose_what_is_offered(chosen: str) -> None:
    data = request(Sec_WebSocket_Protocol="a")
    exc, response = refused(data, select_subprotocol=lambda _: chosen)
    assert isinstance(exc, ValueError)
    assert response.status_code == 500


def test_500_reveals_nothing() -> None:
    def select(subprotocols: list[Any]) -> str | None:
        raise RuntimeError("secret")

    exc, response = refused(request(), select_subprotocol=select)
    assert isinstance(exc, RuntimeError)
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert b"RuntimeError" not in response.body


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"subprotocols": "chat"}, TypeError),
        ({"subprotocols": ["a b"]}, ValueError),
        ({"extensions": ["permessage-deflate"]}, TypeError),
        ({"server_header": "a\r\nb"}, InvalidHeaderValue),
    ],
)
def test_bad_arguments_are_refused(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ServerHandshake(**options)


# -- Extensions ----------------------------------------------------------------

BROWSER = "permessage-deflate; client_max_window_bits"
BOTH = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([], None),
        ([BROWSER], BOTH),
        (["permessage-deflate"], "permessage-deflate; server_max_window_bits=12"),
        (["permessage-deflate; server_max_window_bits=8"], None),
        (["x-unknown"], None),
        # An offer that can't be accepted leaves the next one its chance.
        ([f"permessage-deflate; mystery, {BROWSER}"], BOTH),
        (["permessage-deflate; mystery", BROWSER], BOTH),
        # One of two is taken.
        ([BROWSER, "permessage-deflate"], BOTH),
        # In the client's order.
        (["x-marker; a=b", BROWSER], f"x-marker; ok, {BOTH}"),
        ([f"{BROWSER}, x-marker"], f"{BOTH}, x-marker; ok"),
        (["x-marker; bad"], None),
    ],
)
def test_extensions_are_chosen(offers: list[str], chosen: str | None) -> None:
    data = request(more=[("Sec-WebSocket-Extensions", offer) for offer in offers])
    handshake, response = answer(
        data, extensions=enable_server_permessage_deflate([MarkerFactory()])
    )
    assert response.status_code == 101
    assert response.headers.get("Sec-WebSocket-Extensions") == chosen
    names = [extension.name for extension in handshake.extensions]
    parts = [] if chosen is None else chosen.split(", ")
    assert names == [part.partition(";")[0] for part in parts]


def test_offers_are_skipped_where_nothing_is_supported() -> None:
    handshake, response = answer(request(Sec_WebSocket_Extensions=BROWSER))
    assert response.status_code == 101
    assert "Sec-WebSocket-Extensions" not in response.headers
    assert handshake.extensions == []


def test_a_second_factory_may_accept_what_the_first_refuses() -> None:
    strict = ServerPerMessageDeflateFactory(
        client_max_window_bits=10, require_client_max_window_bits=True
    )
    _, response = answer(
        request(Sec_WebSocket_Extensions="permessage-deflate"),
        extensions=[strict, ServerPerMessageDeflateFactory()],
    )
    assert response.headers["Sec-WebSocket-Extensions"] == "permessage-deflate"


# -- Hooks ---------------------------------------------------------------------


def test_steps_can_be_replaced() -> None:
    handshake, response = answer(
        request(Origin="https://evil"),
        origins=["https://good"],
        subprotocols=["chat"],
        process_origin=lambda headers, origins: "https://mine",
        process_extensions=lambda headers, available: ("x-marker", [Marker()]),
        process_subprotocol=lambda headers, available: "mine",
    )
    assert response.status_code == 101
    assert handshake.origin == "https://mine"
    assert response.headers["Sec-WebSocket-Extensions"] == "x-marker"
    assert response.headers["Sec-WebSocket-Protocol"] == "mine"
    assert len(handshake.extensions) == 1


def test_a_request_may_be_judged_again() -> None:
    handshake = ServerHandshake()
    wrong = Request("/", Headers(), "POST")
    assert handshake.accept(wrong).status_code == 405
    assert handshake.accept(Request("/", Headers(USUAL))).status_code == 101
    assert handshake.exception is None


@pytest.mark.parametrize("name", ["Server", "Date"])
def test_a_header_that_a_hook_adds_takes_the_place_of_ours(name: str) -> None:
    handshake = ServerHandshake(server_header="ours")
    response = handshake.accept(Request("/", Headers(USUAL)), now_date=DATE)
    response.headers[name] = "theirs"
    assert handshake.response_bytes(response).count(f"{name}: ".encode()) == 1
    assert response.headers[name] == "theirs"


def test_a_response_of_a_hook_gets_a_server_header() -> None:
    handshake = ServerHandshake(server_header="ours")
    data = handshake.response_bytes(Response(200, "OK", Headers(), b"fine\n"))
    assert data == b"HTTP/1.1 200 OK\r\nServer: ours\r\n\r\nfine\n"


@pytest.mark.parametrize(
    ("status", "reason"), [(200, "OK"), (503, "Service Unavailable"), (599, "")]
)
def test_reject_answers_in_plain_text(status: int, reason: str) -> None:
    response = ServerHandshake(server_header=None).reject(status, "caf\u00e9\n")
    assert response == Response(
        status,
        reason,
        Headers(
            {
                "Connection": "close",
                "Content-Length": "6",
                "Content-Type": "text/plain; charset=utf-8",
            }
        ),
        "caf\u00e9\n".encode(),
    )


@pytest.mark.parametrize("status", [101, 199, 600])
def test_reject_refuses_a_status_that_ends_nothing(status: int) -> None:
    with pytest.raises(ValueError, match=f"status is {status}"):
        ServerHandshake().reject(status, "")


# -- Client and server together ------------------------------------------------


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


def feed(client: ClientHandshake, data: list[bytes]) -> bool:
    """Give a client portions, and tell whether the last one opened the connection."""
    return [client.data_received(portion) for portion in data][-1]


tokens = st.sampled_from(["a", "b", "c", "d"])


@given(
    offered=st.lists(tokens, unique=True),
    supported=st.lists(tokens, unique=True),
    compress=st.tuples(st.booleans(), st.booleans()),
    origin=st.sampled_from([None, "https://a"]),
    cuts=st.tuples(*(st.lists(st.integers(0, 999), max_size=6) for _ in range(2))),
    early=st.binary(max_size=9),
)
def test_both_sides_agree_whatever_the_cuts(
    offered: list[str],
    supported: list[str],
    compress: tuple[bool, bool],
    origin: str | None,
    cuts: tuple[list[int], list[int]],
    early: bytes,
) -> None:
    client = ClientHandshake(
        parse_uri("ws://u:p@example.com/x?y"),
        origin=origin,
        subprotocols=offered,
        extensions=enable_client_permessage_deflate(None) if compress[0] else None,
    )
    server = ServerHandshake(
        subprotocols=supported,
        extensions=enable_server_permessage_deflate(None) if compress[1] else None,
    )

    received = None
    for portion in portions(client.request_bytes(), cuts[0]):
        assert received is None or portion == b""
        received = server.data_received(portion)
    assert received is not None
    assert received.path == "/x?y"
    response = server.accept(received)

    common = [item for item in supported if item in offered]
    if supported and not common:
        assert response.status_code == 400
        with pytest.raises(InvalidStatus) as caught:
            feed(client, portions(server.response_bytes(response), cuts[1]))
        assert caught.value.response.body == response.body
        return

    # Frames may follow the response in the same segment.
    assert feed(client, portions(server.response_bytes(response) + early, cuts[1]))
    assert client.leftover == early
    assert server.leftover == b""
    assert server.origin == origin
    assert client.subprotocol == server.subprotocol
    assert client.subprotocol == (common[0] if common else None)
    assert len(client.extensions) == len(server.extensions) == all(compress)
    for ours, theirs in zip(client.extensions, server.extensions, strict=True):
        assert isinstance(ours, PerMessageDeflate)
        assert isinstance(theirs, PerMessageDeflate)
        assert theirs.inflate(ours.deflate(b"hi", fin=True), fin=True, max_size=2) == (
            b"hi"
        )
