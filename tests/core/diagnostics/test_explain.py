"""The story of a connection, as people read it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from fullduplex.core.connection.base import BaseConnection
from fullduplex.core.diagnostics.connect_trace import ConnectTrace
from fullduplex.core.diagnostics.diagnosis import blame
from fullduplex.core.diagnostics.explain import explain, explain_failure, milliseconds
from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.frame_protocol import Side
from fullduplex.core.endpoint.not_open import NOT_OPEN
from fullduplex.core.errors import InvalidHeader
from fullduplex.core.handshake.errors import InvalidStatus
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response

from ...kit.bytes import PONG, TEXT, close_frame, frame
from ...kit.pair import deliver, finish, lose, make_session, start


class Connection(BaseConnection):
    """A connection of no face."""

    side = Side.CLIENT

    def __init__(self, session: Endpoint | None = None) -> None:
        self._base_logger = logging.getLogger("fullduplex.test")
        self._session = NOT_OPEN if session is None else session
        self.request = self.response = None
        self.subprotocol = None
        self.now = 0.0

    def _tcp_ended(self) -> bool:
        return False

    def _address(self, name: str) -> Any:
        return {"sockname": ("::1", 5000, 0, 0), "peername": ("::1", 80, 0, 0)}[name]

    def _tls(self) -> Any:
        return None

    def _now(self) -> float:
        return self.now

    def _unsent(self) -> int:
        return 70


class Tls:
    """What an `ssl.SSLObject` tells."""

    def __init__(self, certificate: Any) -> None:
        self.certificate = certificate

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return "TLS_AES_256_GCM_SHA384", "TLSv1.3", 256

    def getpeercert(self) -> Any:
        return self.certificate


CERTIFICATE = {
    "subject": ((("commonName", "example.com"),), (("organizationName", "E"),)),
    "issuer": ((("commonName", "CA"),),),
    "subjectAltName": (("DNS", "example.com"), ("DNS", "www.example.com")),
    "notAfter": "Jan  1 00:00:00 3000 GMT",
}


def talking() -> Connection:
    """Make a connection that was redirected and has talked a little."""
    connection = Connection(make_session())
    session = connection._session
    connection.request = Request(
        "/x",
        Headers(
            [
                ("Host", "b"),
                ("Authorization", "Basic c2VjcmV0"),
                ("Cookie", "secret"),
                ("Proxy-Authorization", "secret"),
                ("Sec-WebSocket-Key", "AAAA"),
            ]
        ),
    )
    connection.response = Response(
        101, "Switching Protocols", Headers([("Set-Cookie", "secret"), ("X-A", "b")])
    )
    connection.subprotocol = "chat"
    opening = ConnectTrace("ws://user:secret@a/x", 0)
    opening.redirected("wss://b/x")
    opening.use_proxy("http://me:secret@proxy:3128", "https_proxy")
    opening.tried(("::2", 80), OSError("no route"))
    opening.tried(("::1", 80))
    opening.mark("handshake", 0.25)
    opening.mark("dns", 0.2512)
    connection.opening = session.opening = opening
    deliver(session, frame(TEXT, "abc"), 1)
    finish(operations.send(session, "12345", True))
    session.writer.take()
    finish(operations.ping(session, b"1", None, 1))
    deliver(session, frame(PONG, b"1"), 1.5)
    connection.now = 2
    return connection


def test_story_of_a_live_connection() -> None:
    connection = talking()

    assert explain(connection, Tls(CERTIFICATE)).splitlines() == [
        "connection OPEN, open for 2.000 s",
        "  opening",
        "    asked        ws://***@a/x",
        "    redirected   wss://b/x",
        "    proxy        http://***@proxy:3128 (https_proxy)",
        "    tried        [::2]:80: no route",
        "    tried        [::1]:80",
        "    local        [::1]:5000",
        "    remote       [::1]:80",
        "    timings      dns 1.2 ms, handshake 250 ms, total 251 ms",
        "  TLS",
        "    version      TLSv1.3",
        "    cipher       TLS_AES_256_GCM_SHA384, 256 bits",
        "    subject      commonName=example.com, organizationName=E",
        "    names        example.com, www.example.com",
        "    issuer       commonName=CA",
        "    until        Jan  1 00:00:00 3000 GMT",
        "  request",
        "    GET /x HTTP/1.1",
        "    Host: b",
        "    Authorization: [hidden]",
        "    Cookie: [hidden]",
        "    Proxy-Authorization: [hidden]",
        "    Sec-WebSocket-Key: AAAA",
        "  response",
        "    HTTP/1.1 101 Switching Protocols",
        "    Set-Cookie: [hidden]",
        "    X-A: b",
        "  agreed",
        "    subprotocol  chat",
        "    extensions   none",
        "  traffic",
        "    received     8 bytes; 1 messages of 3 bytes; the last 0.500 s ago",
        "    sent         18 bytes; 1 messages of 5 bytes; the last 2.000 s ago",
        "    waiting      1 messages (3 bytes) to be received, 77 bytes to be sent",
        "  liveness",
        "    verdict      alive",
        "    pings        1 sent, 1 answered",
        "    round trip   min 500 ms, mean 500 ms, p50 500 ms, p99 500 ms",
    ]


def test_story_of_a_dead_connection_ends_with_its_end() -> None:
    connection = talking()
    deliver(connection._session, close_frame(4000, "e\x1b[1m\u202e"), 3)
    start(operations.close(connection._session, 1000, "", 3))
    lose(connection._session, None, 15)
    connection.now = 1e6

    text = explain(connection)

    assert text.startswith("connection CLOSED, was open for 15.0 s\n")
    assert text.splitlines()[-4:] == [
        "  end",
        "    by           peer, close frame",
        "    because      the peer closed with 4000 (private use) e\\x1b[1m\\u202e",
        "    in short     received 4000 (private use) e\\x1b[1m\\u202e; then sent "
        "4000 (private use) e\\x1b[1m\\u202e",
    ]
    assert "secret" not in text


def test_story_of_a_connection_that_is_not_open_yet() -> None:
    assert explain(Connection()).splitlines() == [
        "connection CONNECTING",
        "  opening",
        "    local        [::1]:5000",
        "    remote       [::1]:80",
    ]


def test_certificate_that_was_not_checked_is_named_so() -> None:
    assert "certificate  not checked" in explain(Connection(), Tls({}))


def test_story_of_a_refusal_shows_the_answer_and_its_reason() -> None:
    opening = ConnectTrace("ws://a/", 0)
    opening.redirected("ws://b/")
    opening.use_proxy(None, "b is in no_proxy")
    opening.mark("tcp", 0.002)
    headers = Headers([("Set-Cookie", "secret"), ("Retry-After", "5")])
    exc = InvalidStatus(Response(503, "Busy", headers, b"come\nback\x1b"))
    blame(exc, opening)

    assert explain_failure(exc).splitlines() == [
        "connection refused or failed",
        "  opening",
        "    asked        ws://a/",
        "    redirected   ws://b/",
        "    proxy        none (b is in no_proxy)",
        "    timings      tcp 2 ms, total 2 ms",
        "  response",
        "    HTTP/1.1 503 Busy",
        "    Set-Cookie: [hidden]",
        "    Retry-After: 5",
        "  body, 10 bytes",
        "    come\\nback\\x1b",
        "  end",
        "    by           peer, handshake",
        "    because      the server answered HTTP 503 Busy",
        "    in short     server rejected WebSocket connection: HTTP 503",
    ]


@pytest.mark.parametrize(
    "exc",
    [InvalidHeader("Upgrade"), OSError(111, "no"), TimeoutError(), ValueError("x")],
)
def test_story_of_a_failure_needs_no_opening(exc: Exception) -> None:
    text = explain_failure(exc)

    assert text.startswith("connection refused or failed\n  end\n")
    assert "because      " in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000123, "0.0123 ms"),
        (0.0005, "0.5 ms"),
        (0.0123, "12.3 ms"),
        (0.4567, "457 ms"),
        (12.3456, "12,346 ms"),
    ],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
