"""How text of others is made safe to show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullduplex.cli._errors import one_line, without_credentials
from fullduplex.cli._render import escape_json, is_json
from fullduplex.core.credentials import escape

DANGEROUS = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2066\u2067\u2068\u2069\ufeff",
]


@pytest.mark.parametrize("character", DANGEROUS, ids=lambda c: f"U+{ord(c):04X}")
def test_dangerous_character_is_shown_as_an_escape(character: str) -> None:
    shown = escape(f"a{character}b")

    assert character not in shown
    assert shown.isascii()
    assert shown.startswith("a\\")


@pytest.mark.parametrize("text", ["plain", "é ü 漢字 עברית", "🦆👩‍🚀", "C:\\new", ""])
def test_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert escape(text) == text


@given(st.text())
def test_escaped_text_holds_no_line_break_and_can_be_encoded(text: str) -> None:
    assert len(escape(text).splitlines()) <= 1
    escape(text).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=50)
@given(
    st.lists(json_values) | st.dictionaries(st.text(), json_values),
    st.booleans(),
    st.sampled_from([None, "\t", 2]),
)
def test_escaped_json_is_the_same_json_on_one_line(
    value: object, ascii_only: bool, indent: str | int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    shown = escape_json(text)

    assert json.loads(shown) == value
    assert len(shown.splitlines()) == 1
    assert escape(shown) == shown


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", ' \n{"a": [1, 2]} '])
def test_objects_and_arrays_are_json(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize(
    "text", ["1", '"a"', "null", "", "{", "[1,]", "{a}", "text {}", "[" * 200_000]
)
def test_other_text_is_not_taken_for_json(text: str) -> None:
    assert not is_json(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ws://user:pass@host/x", "ws://***@host/x"),
        ("ws://user:p@ss@host/x", "ws://***@host/x"),
        ("ws://host/@user", "ws://host/@user"),
        ("ws://host/?a=b@c", "ws://host/?a=b@c"),
        ("bad wss://u:p@h and ws://v:q@i", "bad wss://***@h and ws://***@i"),
    ],
)
def test_credentials_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_reason_becomes_one_short_line() -> None:
    shown = one_line("a\r\nb\x1b[31m" + "c" * 10_000)

    assert shown.startswith(r"a b\x1b[31mccc")
    assert len(shown) < 600
