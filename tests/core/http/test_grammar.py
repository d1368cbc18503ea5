"""The grammar of the headers of a handshake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import InvalidHeaderFormat, InvalidHeaderValue
from fullduplex.core.http.grammar import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from fullduplex.core.typing import ExtensionHeader, ExtensionName


@pytest.mark.parametrize(
    ("args", "host"),
    [
        (("h", 80, False), "h"),
        (("h", 443, True), "h"),
        (("h", 443, False), "h:443"),
        (("h", 80, True), "h:80"),
        (("h", 443, True, True), "h:443"),
        (("::1", 80, False), "[::1]"),
        (("::1", 8080, False), "[::1]:8080"),
        (("fe80::1%eth0", 8080, False), "[fe80::1]:8080"),
    ],
)
def test_build_host_leaves_out_the_default_port(args: Any, host: str) -> None:
    assert build_host(*args) == host


@pytest.mark.parametrize(
    ("header", "items"),
    [
        ("Upgrade", ["Upgrade"]),
        ("keep-alive, Upgrade", ["keep-alive", "Upgrade"]),
        (",,a\t , ,b ,", ["a", "b"]),
    ],
)
def test_parse_connection_when_valid_gives_its_items(
    header: str, items: list[str]
) -> None:
    assert parse_connection(header) == items
    assert parse_subprotocol(header) == items
    assert parse_upgrade(header) == items


@pytest.mark.parametrize("header", ["", ",", " , ", "a b", "a;", "(a)", "a,é", 'a,"b"'])
def test_lists_when_malformed_are_refused(header: str) -> None:
    for parse in (parse_connection, parse_subprotocol, parse_upgrade):
        with pytest.raises(InvalidHeaderFormat):
            parse(header)


def test_parse_upgrade_when_a_version_is_given_keeps_it() -> None:
    assert parse_upgrade("websocket, HTTP/2.0") == ["websocket", "HTTP/2.0"]
    with pytest.raises(InvalidHeaderFormat, match="at 9 in websocket/"):
        parse_upgrade("websocket/")


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("foo", [("foo", [])]),
        ("foo, bar", [("foo", []), ("bar", [])]),
        ("foo; a", [("foo", [("a", None)])]),
        ("foo;a=1;b", [("foo", [("a", "1"), ("b", None)])]),
        ('foo \t; a = "1" ,bar', [("foo", [("a", "1")]), ("bar", [])]),
        (r'foo; a="\1\0"', [("foo", [("a", "10")])]),
        ("foo; a; a", [("foo", [("a", None), ("a", None)])]),
    ],
)
def test_parse_extension_when_valid_gives_names_and_parameters(
    header: str, parsed: list[ExtensionHeader]
) -> None:
    assert parse_extension(header) == parsed
    assert parse_extension(build_extension(parsed)) == parsed


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "expected an item at 0"),
        ("foo bar", "expected comma at 4"),
        ("foo;", "expected token at 4"),
        ("foo; ;", "expected token at 5"),
        ("foo; a=", "expected token at 7"),
        ('foo; a="', "expected quoted string at 7"),
        ('foo; a="\\"', "expected quoted string at 7"),
        ('foo; a="\n"', "expected quoted string at 7"),
        ('foo; a=""', "expected token in quotes at 7"),
        ('foo; a="b c"', "expected token in quotes at 7"),
        ("=", "expected token at 0"),
    ],
)
def test_parse_extension_when_malformed_says_where(header: str, text: str) -> None:
    with pytest.raises(
        InvalidHeaderFormat, match=f"invalid Sec-WebSocket-Extensions header: {text}"
    ):
        parse_extension(header)


@pytest.mark.parametrize(
    "extension",
    [("a b", []), ("a", [("b\n", None)]), ("a", [("b", "")]), ("a", [("b", "\r\n")])],
)
def test_build_extension_when_something_is_no_token_is_refused(
    extension: ExtensionHeader,
) -> None:
    with pytest.raises(ValueError, match="is not a token"):
        build_extension([extension])


def test_build_subprotocol_joins_tokens_only() -> None:
    assert build_subprotocol(["a", "b"]) == "a, b"
    with pytest.raises(ValueError, match="is not a token"):
        build_subprotocol(["a, b"])


@pytest.mark.parametrize("subprotocols", ["chat", {"chat"}, 5, None, iter(["chat"])])
def test_validate_subprotocols_when_no_list_raises_type_error(
    subprotocols: Any,
) -> None:
    with pytest.raises(TypeError, match="subprotocols must be a list"):
        validate_subprotocols(subprotocols)


@pytest.mark.parametrize("item", ["", "a b", "a,b", "a\n", "é", 5, None, b"chat"])
def test_validate_subprotocols_when_an_item_is_no_token_raises_value_error(
    item: Any,
) -> None:
    with pytest.raises(ValueError, match="not a token"):
        validate_subprotocols(["chat", item])


def test_validate_subprotocols_when_valid_accepts_any_sequence() -> None:
    validate_subprotocols(["chat", "superchat"])
    validate_subprotocols(())


def test_build_www_authenticate_basic_quotes_the_realm() -> None:
    assert (
        build_www_authenticate_basic('a "b" \\') == 'Basic realm="a \\"b\\" \\\\", '
        'charset="UTF-8"'
    )
    with pytest.raises(ValueError, match="cannot be sent"):
        build_www_authenticate_basic("a\r\nX: y")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ('a; b="c"', "c"),
        (r'a; b="\c\d"', "cd"),
        (r'a; b="c\\"', None),
        (r'a; b="\\\c"', None),
        ('a; b="c d"', None),
        ('a; b=""', None),
    ],
)
def test_parse_extension_when_a_value_is_quoted_unquotes_tokens(
    header: str, value: str | None
) -> None:
    if value is None:
        with pytest.raises(InvalidHeaderFormat, match="expected token in quotes"):
            parse_extension(header)
    else:
        assert parse_extension(header) == [("a", [("b", value)])]


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic aGVsbG86aWxvdmV5b3U=", ("hello", "iloveyou")),
        ("bAsIc   aGVsbG86aWxvdmV5b3U=", ("hello", "iloveyou")),
        ("Basic Og==", ("", "")),
        ("Basic YTpiOmM=", ("a", "b:c")),
        ("Basic /zrD/w==", ("\udcff", "\udcc3\udcff")),
    ],
)
def test_parse_authorization_basic_when_valid_gives_credentials(
    header: str, credentials: tuple[str, str]
) -> None:
    assert parse_authorization_basic(header) == credentials


@pytest.mark.parametrize(
    ("header", "exc", "text"),
    [
        ("", InvalidHeaderFormat, "expected token at 0"),
        ("Basic", InvalidHeaderFormat, "expected Base64 at 5"),
        ("Basic ", InvalidHeaderFormat, "expected Base64 at 6"),
        ("Basic=", InvalidHeaderFormat, "expected Base64 at 5"),
        ("Basic aGVsbG8= x", InvalidHeaderFormat, "expected end at 14"),
        ("Digest aGVsbG8=", InvalidHeaderValue, "unsupported scheme: Digest"),
        ("Basic aGVsbG8", InvalidHeaderValue, "not Base64"),
        ("Basic aGVs=bG8", InvalidHeaderFormat, "expected end at 11"),
        ("Basic a-b_", InvalidHeaderValue, "not Base64"),
        ("Basic aGVsbG8=", InvalidHeaderValue, "no colon"),
    ],
)
def test_parse_authorization_basic_when_wrong_says_why(
    header: str, exc: type[Exception], text: str
) -> None:
    with pytest.raises(exc, match=f"invalid Authorization header: .*{text}"):
        parse_authorization_basic(header)


def test_build_authorization_basic_when_the_name_has_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="colon"):
        build_authorization_basic("a:b", "c")


@given(
    st.text(st.characters(exclude_categories=["Cs"])).filter(lambda u: ":" not in u),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_authorization_basic_when_built_and_parsed_is_the_same(
    username: str, password: str
) -> None:
    header = build_authorization_basic(username, password)
    assert parse_authorization_basic(header) == (username, password)


tokens = st.text("!#$%&'*+-.^_`|~019azAZ", min_size=1)


@given(
    st.lists(
        st.tuples(
            tokens.map(ExtensionName),
            st.lists(st.tuples(tokens, tokens | st.none()), max_size=10),
        ),
        min_size=1,
        max_size=10,  # with the parameters below MAX_LIST_ITEMS
    )
)
def test_extension_when_built_and_parsed_is_the_same(
    extensions: list[ExtensionHeader],
) -> None:
    assert parse_extension(build_extension(extensions)) == extensions


@given(st.one_of(st.text(), st.text(' \t,;="\\a/Bé')))
def test_parsers_when_given_anything_raise_nothing_but_what_is_documented(
    header: str,
) -> None:
    for parse in (parse_connection, parse_upgrade, parse_extension, parse_subprotocol):
        try:
            assert parse(header)
        except InvalidHeaderFormat:
            pass
    for value in (header, "Basic " + header):
        try:
            parse_authorization_basic(value)
        except (InvalidHeaderFormat, InvalidHeaderValue):
            pass
