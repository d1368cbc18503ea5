"""Credentials and control characters do not get into errors, logs and explanations."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import Any

import pytest

from fullduplex.core.client.proxy.address import Proxy, parse_proxy
from fullduplex.core.client.proxy.selection import select_proxy
from fullduplex.core.credentials import (
    display_address,
    display_header,
    display_uri,
    escape,
)
from fullduplex.core.errors import (
    InvalidHeaderFormat,
    InvalidOrigin,
    InvalidProxy,
    InvalidURI,
)
from fullduplex.core.handshake.errors import (
    AbortHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    RedirectHandshake,
)
from fullduplex.core.http.grammar import parse_authorization_basic
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.logs import log_head
from fullduplex.core.http.messages import Request, Response
from fullduplex.core.uri import WebSocketURI, parse_uri

# Each is refused, or is an address whose parts are others than were meant.
ADDRESSES = [
    "ws://user:sec/ret@host/",
    "ws://user:sec?ret@host/",
    "ws://user:sec#ret@host/",
    "ws://user:sec@ret@host:x/",
    "ws://user:secret@host:x/",
    "ws://user:secret@ho st/",
    "ws://user:secret@[::1/",
    "ws://[secret/ret@host/",
    "ws://user:secret%ff@host/",
    "ws://secret-ret@host/",
    "ws:user:secret@host/",
    "user:secret@host:80",
    "secret@host",
    "http://user:secret@host/path",
    "ws://user:secret@host/#part",
    "ws://user:secret\x1b@host/",
]


def texts_of(exc: BaseException) -> list[str]:
    """Everything that programs, loggers and event loops show of an exception."""
    found = ["".join(traceback.format_exception(exc))]
    while True:
        found += [str(exc), repr(exc)]
        cause = exc.__cause__
        if cause is None:
            return found
        exc = cause


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_that_is_refused_does_not_show_its_password(address: str) -> None:
    for parse, error in ((parse_uri, InvalidURI), (parse_proxy, InvalidProxy)):
        with pytest.raises(error) as caught:
            parse(address.replace("ws:", "ftp:") if parse is parse_proxy else address)
        exc: Any = caught.value
        for copied in (exc, copy.copy(exc), pickle.loads(pickle.dumps(exc))):
            for text in (str(copied), repr(copied)):
                assert "sec" not in text.replace("is no", "")
                assert "ret@" not in text
                assert text.isprintable()
        assert address.partition(":")[2] in (
            exc.uri if error is InvalidURI else exc.proxy
        )


def test_proxy_of_the_environment_does_not_show_its_password() -> None:
    for value in ("http://user:sec/ret@proxy:3128", "user:sec#ret@proxy"):
        environ = {"http_proxy": value}
        with pytest.raises(InvalidProxy, match="http_proxy") as caught:
            select_proxy(parse_uri("ws://example.com/"), True, environ)
        for text in texts_of(caught.value):
            assert "ret@" not in text.replace(value, "")
        assert "sec" not in str(caught.value)


def test_addresses_do_not_show_their_passwords() -> None:
    uri = parse_uri("ws://user:secret@host/@path?a@b")
    assert repr(uri).startswith("WebSocketURI(secure=False, host='host', port=80, ")
    assert "secret" not in repr(uri)
    assert "user" not in repr(uri)
    assert uri == WebSocketURI(False, "host", 80, "/@path", "a@b", "user", "secret")
    assert "secret" not in repr(Proxy("http", "host", 80, "user", "secret"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ws://user:pa/ss@host/x", "ws://***@host/x"),
        ("ws://a@b@host/x", "ws://***@host/x"),
        ("user:pw@host", "***@host"),
        ("ws://host/x", "ws://host/x"),
        ("ws://host/\x1b\u2028\x85", r"ws://host/\x1b\u2028\x85"),
        ("//user@host", "//***@host"),
        ("@", "***@"),
        ("", ""),
    ],
)
def test_address_is_shown_from_its_last_at_on(address: str, shown: str) -> None:
    assert display_address(address) == shown


def test_uri_that_is_well_formed_keeps_its_path() -> None:
    assert display_uri("ws://u:p@host/@x") == "ws://***@host/@x"
    assert display_uri("ws://host/@x?//a@b") == "ws://host/@x?//a@b"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Basic dXNlcg==", "[hidden]"),
        ("proxy-authorization", "x", "[hidden]"),
        ("COOKIE", "a=b", "[hidden]"),
        ("Set-Cookie", "a=b", "[hidden]"),
        ("X-Api-Key", "x", "[hidden]"),
        ("X-Auth-Token", "x", "[hidden]"),
        ("WWW-Authenticate", "Basic realm=x", "Basic realm=x"),
        ("Sec-WebSocket-Key", "x", "x"),
        ("Location", "wss://u:p/w@host/x", "wss://***@host/x"),
        ("Location", "/@x", "/@x"),
        (
            "Link",
            "<https://u:p@host/>; rel=a, <b@c>",
            "<https://***@host/>; rel=a, <b@c>",
        ),
        ("X", "\x1b[2J\x9b\x85\u2028", r"\x1b[2J\x9b\x85\u2028"),
    ],
)
def test_header_is_shown_without_credentials(name: str, value: str, shown: str) -> None:
    assert display_header(name, value) == shown


def test_repr_of_headers_hides_what_the_wire_carries() -> None:
    headers = Headers({"Cookie": "secret", "Host": "a"})
    assert repr(headers) == "Headers([('Cookie', '[hidden]'), ('Host', 'a')])"
    assert "secret" in str(headers)
    assert "secret" not in repr(Request("/", headers))
    location = Headers({"Location": "ws://user:secret@host/"})
    assert repr(location) == "Headers([('Location', 'ws://***@host/')])"
    assert location["Location"] == "ws://user:secret@host/"


@pytest.mark.parametrize("error", [InvalidStatus, InvalidProxyStatus])
def test_repr_of_a_refusal_is_short_and_shows_no_values(error: Any) -> None:
    headers = Headers({"Set-Cookie": "secret", "X": "y"})
    exc = error(Response(403, "No\x9b", headers, b"secret" * 9999))
    assert repr(exc) == rf"{error.__name__}(<HTTP 403 No\x9b, 2 headers, 59,994 bytes>)"
    assert exc.response.headers["Set-Cookie"] == "secret"


def test_repr_of_other_errors_shows_no_values() -> None:
    for exc in (
        AbortHandshake(302, Headers({"Set-Cookie": "secret"}), b"secret"),
        RedirectHandshake("ws://u:sec/ret@host/"),
    ):
        assert "sec" not in repr(exc)
        assert "sec" not in str(exc)


@pytest.mark.parametrize(
    "header",
    [
        "secret",
        "secret-token:x",
        'Basic "secret"',
        "Basic secret;x",
        "secret\tx",
        "Basic",
    ],
)
def test_credentials_that_are_malformed_are_not_shown(header: str) -> None:
    with pytest.raises(InvalidHeaderFormat.__mro__[1]) as caught:
        parse_authorization_basic(header)
    assert "secret" not in str(caught.value)


def test_tab_does_not_part_basic_from_its_credentials() -> None:
    with pytest.raises(InvalidHeaderFormat, match="expected Base64"):
        parse_authorization_basic("Basic\tdTpw")


def test_origin_of_a_client_is_escaped() -> None:
    assert str(InvalidOrigin("a\x9b31m\x85")) == r"invalid Origin header: a\x9b31m\x85"


def test_text_of_any_script_stays_as_it_is() -> None:
    for text in ("naïve\u00a0café", "日本語", "👩\u200d🚀", "a\\n"):
        assert escape(text) == text
    assert escape("\t\n\r\0\x7f\u202e\ud800") == r"\t\n\r\x00\x7f\u202e\ud800"


def test_head_in_the_log_is_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("fullduplex.test_credentials")
    with caplog.at_level(logging.DEBUG, logger.name):
        headers = Headers({"Location": "https://u:p@a/", "X": "a\x85b", "Cookie": "c"})
        log_head(logger, "<", "HTTP/1.1 302 Moved\x9b", headers)
    assert [record.getMessage() for record in caplog.records] == [
        r"< HTTP/1.1 302 Moved\x9b",
        "< Location: https://***@a/",
        r"< X: a\x85b",
        "< Cookie: [hidden]",
    ]
