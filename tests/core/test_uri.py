"""WebSocket URIs: their parts, what is escaped, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import InvalidURI
from fullduplex.core.uri import WebSocketURI, parse_uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("ws://localhost/", (False, "localhost", 80, "/", "")),
        ("wss://localhost/", (True, "localhost", 443, "/", "")),
        ("WSS://LocalHost", (True, "localhost", 443, "", "")),
        ("ws://h/a/b?q=1&r", (False, "h", 80, "/a/b", "q=1&r")),
        ("ws://h/a;b=c", (False, "h", 80, "/a;b=c", "")),
        ("ws://h?q", (False, "h", 80, "", "q")),
        ("ws://h/?", (False, "h", 80, "/", "")),
        ("ws://h/#", (False, "h", 80, "/", "")),
        ("ws://h:8765", (False, "h", 8765, "", "")),
        ("ws://h:", (False, "h", 80, "", "")),
        ("wss://h:0", (True, "h", 443, "", "")),
        ("ws://h:65535", (False, "h", 65535, "", "")),
        ("ws://my_host.:1", (False, "my_host.", 1, "", "")),
        ("ws://127.0.0.1", (False, "127.0.0.1", 80, "", "")),
        ("ws://[::1]", (False, "::1", 80, "", "")),
        ("ws://[2001:DB8::1]:9/", (False, "2001:db8::1", 9, "/", "")),
        ("ws://[fe80::1%25eth0]/", (False, "fe80::1%eth0", 80, "/", "")),
        ("ws://[fe80::1%eth0]/", (False, "fe80::1%eth0", 80, "/", "")),
        ("ws://bücher.example/", (False, "xn--bcher-kva.example", 80, "/", "")),
        ("ws://\uff25xample.com/", (False, "example.com", 80, "/", "")),
        # What cannot travel is escaped.
        ("ws://h/a b?c d", (False, "h", 80, "/a%20b", "c%20d")),
        ("ws://h/ü?ö", (False, "h", 80, "/%C3%BC", "%C3%B6")),
        # What is escaped stays so, in an IRI too.
        ("ws://h/%41%2F?%20", (False, "h", 80, "/%41%2F", "%20")),
        ("ws://h/é%41", (False, "h", 80, "/%C3%A9%41", "")),
        # The rest travels as written.
        ('ws://h/"<>[]{}|^`\\%zz?/?:@', (False, "h", 80, '/"<>[]{}|^`\\%zz', "/?:@")),
    ],
)
def test_parse_uri_when_valid_gives_its_parts(
    uri: str, parts: tuple[bool, str, int, str, str]
) -> None:
    assert parse_uri(uri) == WebSocketURI(*parts)
    assert parse_uri(uri).user_info is None


@pytest.mark.parametrize(
    ("userinfo", "expected"),
    [
        ("u:p", ("u", "p")),
        ("u:", ("u", "")),
        (":p", ("", "p")),
        ("u:p:q", ("u", "p:q")),
        ("u:p%3Aq%40", ("u", "p:q@")),
        ("a@b:c", ("a@b", "c")),
        ("%C3%BC:é", ("ü", "é")),
        ("u:%zz", ("u", "%zz")),
    ],
)
def test_parse_uri_when_there_is_userinfo_decodes_it(
    userinfo: str, expected: tuple[str, str]
) -> None:
    uri = parse_uri(f"ws://{userinfo}@h/")
    assert uri.user_info == expected
    assert (uri.username, uri.password) == expected
    assert uri.host == "h"


@pytest.mark.parametrize(
    ("uri", "resource_name"),
    [
        ("ws://h", "/"),
        ("ws://h?q", "/?q"),
        ("ws://h/p?q", "/p?q"),
        ("ws://h/p?", "/p"),
        ("ws://u:p@h/p#", "/p"),
    ],
)
def test_resource_name_is_what_the_request_asks_for(
    uri: str, resource_name: str
) -> None:
    assert parse_uri(uri).resource_name == resource_name


@pytest.mark.parametrize(
    ("uri", "msg"),
    [
        ("", "scheme"),
        (
            "localhost",
            "a URI starts with ws:// or wss://; did you mean ws://localhost?",
        ),
        ("localhost:80/", "did you mean ws://localhost:80/?"),
        ("//[::1]:80", "did you mean ws://[::1]:80?"),
        ("a.b/c?d", "did you mean ws://a.b/c?d?"),
        ("http://localhost/", "did you mean ws://localhost/?"),
        ("HTTPS://a", "did you mean wss://a?"),
        ("ftp://a", "scheme is 'ftp'; a URI starts with ws:// or wss://"),
        ("", "scheme is ''; a URI starts with ws:// or wss://"),
        (" ws://localhost/", "scheme"),
        ("ws:", "host is missing"),
        ("ws:/h", "host is missing"),
        ("ws:///p", "host is missing"),
        ("ws://:80/", "host is missing"),
        ("ws://h/#f", "fragment"),
        ("ws://h:x/", "port is 'x'"),
        ("ws://h:-1/", "port is '-1'"),
        ("ws://h:+1/", "port is"),
        ("ws://h:٣/", "port is"),
        ("ws://h:65536/", "port is '65536'; allowed are 0 to 65535"),
        ("ws://h:80:80/", "port is"),
        ("ws://::1/", "host is missing"),
        ("ws://[::1/", "brackets"),
        ("ws://[::1]x/", "brackets"),
        ("ws://[::1]:x/", "port is 'x'"),
        ("ws://[host]/", "IPv6"),
        ("ws://[::1%]/", "zone"),
        ("ws://[fe80::1%a b]/", "zone"),
        ("ws://a..b/", "domain name"),
        (f"ws://{'a' * 64}/", "domain name"),
        ("ws://h h/", "no host has"),
        ("ws://h\\@evil/", "user name without password"),
        ("ws://h%41/", "no host has"),
        ("ws://℀.com/", "no host has"),
        ("ws://u@h/", "without password"),
        ("ws://@h/", "without password"),
        ("ws://u%3Av:p@h/", "colon"),
        ("ws://%FF:p@h/", "UTF-8"),
        ("ws://u:%FF@h/", "UTF-8"),
        ("ws://u:\ud800@h/", "UTF-8"),
        ("ws://h/\ud800", "not Unicode"),
        ("ws://h/a\tb", "control character"),
        ("ws://h/\r\nX: y", "control character"),
        ("ws://h/\0", "control character"),
        ("ws://h/?\x7f", "control character"),
        ("ws://h/\x85", "control character"),
        ("ws://h\n/", "control character"),
        ("ws://h/\n", "control character"),
    ],
)
def test_parse_uri_when_invalid_says_why(uri: str, msg: str) -> None:
    with pytest.raises(InvalidURI) as raised:
        parse_uri(uri)
    assert raised.value.uri == uri
    assert msg in raised.value.msg
    assert isinstance(raised.value, ValueError)


pieces = st.sampled_from(
    ["ws", "wss", ":", "//", "/", "?", "#", "@", "[", "]", "::1", "%", "%41", "é", "\n"]
)


@given(st.one_of(st.text(), st.lists(pieces | st.text(max_size=3)).map("".join)))
def test_parse_uri_when_given_anything_raises_nothing_but_invalid_uri(
    text: str,
) -> None:
    for uri in (text, "ws://" + text, "ws://h/" + text):
        try:
            parts = parse_uri(uri)
        except InvalidURI:
            continue
        assert parts.host.isascii()
        assert parts.host.isprintable()
        assert 0 < parts.port < 65536
        assert all("!" <= char <= "~" for char in parts.resource_name)


def test_parse_uri_when_a_result_is_changed_then_the_next_is_not() -> None:
    parse_uri("ws://example.com/").host = "example.org"
    assert parse_uri("ws://example.com/").host == "example.com"


@pytest.mark.parametrize("uri", [None, 5, b"ws://localhost/"])
def test_uri_that_is_no_str_is_named(uri: Any) -> None:
    with pytest.raises(TypeError, match="expected a str"):
        parse_uri(uri)
