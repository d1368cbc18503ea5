"""Headers: case, several values, order, and what is refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import InvalidHeader, InvalidHeaderFormat
from fullduplex.core.http.headers import Headers, HeadersLike, MultipleValuesError


@pytest.fixture
def headers() -> Headers:
    return Headers([("Host", "h"), ("Accept", "a"), ("accept", "b")])


def test_lookup_when_the_case_differs_finds_the_value(headers: Headers) -> None:
    assert headers["HOST"] == "h"
    assert headers.get("hOST") == "h"
    assert "host" in headers
    assert 5 not in headers  # type: ignore[comparison-overlap]


def test_lookup_when_there_are_several_values_raises(headers: Headers) -> None:
    with pytest.raises(MultipleValuesError) as raised:
        headers["Accept"]
    assert str(raised.value) == "'Accept'"
    assert not isinstance(raised.value, KeyError)
    with pytest.raises(MultipleValuesError):
        headers.get("Accept", "default")


def test_lookup_when_the_name_is_absent_raises_key_error(headers: Headers) -> None:
    with pytest.raises(KeyError):
        headers["Origin"]
    assert headers.get("Origin", "d") == "d"
    assert headers.get_all("Origin") == []


def test_assignment_when_the_name_exists_adds_a_value(headers: Headers) -> None:
    headers["HOST"] = "i"
    assert headers.get_all("host") == ["h", "i"]


def test_deletion_removes_all_values(headers: Headers) -> None:
    del headers["ACCEPT"]
    assert list(headers.raw_items()) == [("Host", "h")]
    with pytest.raises(KeyError, match="'accept'"):
        del headers["ACCEPT"]


def test_iteration_gives_distinct_lower_cased_names(headers: Headers) -> None:
    assert list(headers) == ["host", "accept"]
    assert len(headers) == 2


def test_raw_items_keep_spelling_and_order(headers: Headers) -> None:
    assert list(headers.raw_items()) == [
        ("Host", "h"),
        ("Accept", "a"),
        ("accept", "b"),
    ]


def test_setdefault_when_the_name_exists_keeps_it(headers: Headers) -> None:
    assert headers.setdefault("HOST", "other") == "h"
    assert headers.setdefault("Origin", "o") == "o"
    assert headers["origin"] == "o"


def test_pop_and_clear_remove(headers: Headers) -> None:
    assert headers.pop("host") == "h"
    assert "host" not in headers
    headers.clear()
    assert len(headers) == 0
    assert list(headers.raw_items()) == []


class KeysAndGetItem:
    def keys(self) -> list[str]:
        return ["A", "B"]

    def __getitem__(self, name: str, /) -> str:
        return name.lower()


class Multidict(Mapping[str, str]):
    """Repeats its keys, as those of several web frameworks do."""

    pairs = (("A", "1"), ("A", "2"))

    def __getitem__(self, name: str) -> str:
        return dict(reversed(self.pairs))[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def items(self):  # type: ignore[no-untyped-def]
        return self.pairs


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        (Headers([("A", "1"), ("A", "2")]), [("A", "1"), ("A", "2")]),
        ({"A": "1", "B": "2"}, [("A", "1"), ("B", "2")]),
        ([("A", "1"), ("A", "2")], [("A", "1"), ("A", "2")]),
        (iter([("A", "1")]), [("A", "1")]),
        (KeysAndGetItem(), [("A", "a"), ("B", "b")]),
        (Multidict(), [("A", "1"), ("A", "2")]),
    ],
    ids=["Headers", "dict", "list", "iterator", "keys", "multidict"],
)
def test_headers_when_made_from_any_form_hold_all_pairs(
    source: HeadersLike, pairs: list[tuple[str, str]]
) -> None:
    assert list(Headers(source, C="3").raw_items()) == [*pairs, ("C", "3")]


def test_update_with_itself_doubles_the_values(headers: Headers) -> None:
    headers.update(headers)
    assert headers.get_all("host") == ["h", "h"]


@pytest.mark.parametrize("duplicate", [Headers.copy, copy.copy, copy.deepcopy])
def test_copy_when_changed_leaves_the_original(
    headers: Headers, duplicate: type[Headers]
) -> None:
    other = duplicate(headers)
    assert other == headers
    other["Accept"] = "c"
    assert headers.get_all("accept") == ["a", "b"]


def test_get_all_when_its_result_is_changed_leaves_the_headers(
    headers: Headers,
) -> None:
    headers.get_all("accept").append("c")
    assert headers.get_all("accept") == ["a", "b"]


def test_pickle_keeps_headers(headers: Headers) -> None:
    other = pickle.loads(pickle.dumps(headers))
    assert list(other.raw_items()) == list(headers.raw_items())


def test_equality_ignores_case_and_the_order_of_names(headers: Headers) -> None:
    same = Headers([("ACCEPT", "a"), ("accept", "b"), ("host", "h")])
    assert headers == same
    assert headers != Headers([("Accept", "b"), ("accept", "a"), ("host", "h")])
    assert Headers(A="1") != {"a": "1"}
    with pytest.raises(TypeError):
        hash(headers)


def test_serialize_gives_the_lines_of_the_wire() -> None:
    headers = Headers({"A": "1", "b": "\xe9\t"})
    assert headers.serialize() == b"A: 1\r\nb: \xe9\t\r\n\r\n"
    assert str(headers) == "A: 1\r\nb: \xe9\t\r\n\r\n"
    assert repr(headers) == "Headers([('A', '1'), ('b', 'é\\t')])"


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\n", "\r", "a\0", "\x7f", "€", "😀"])
def test_assignment_when_the_value_cannot_be_sent_is_refused(value: str) -> None:
    headers = Headers()
    with pytest.raises(InvalidHeader, match=r"invalid A header: character .* at "):
        headers["A"] = value
    assert len(headers) == 0


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\n", "é", "a\0"])
def test_assignment_when_the_name_is_no_token_is_refused(name: str) -> None:
    headers = Headers()
    with pytest.raises(InvalidHeaderFormat, match="must be a token"):
        headers[name] = "value"
    assert len(headers) == 0


@pytest.mark.parametrize("value", [b"bytes", None])
def test_assignment_when_the_value_is_bytes_or_none_is_refused(value: str) -> None:
    with pytest.raises(TypeError, match="must be str"):
        Headers()["A"] = value


def test_assignment_when_the_value_is_a_number_makes_it_str() -> None:
    headers = Headers()
    headers["Content-Length"] = 5  # type: ignore[assignment]
    assert headers["content-length"] == "5"


def test_multiple_values_error_when_made_without_a_name_has_a_text() -> None:
    assert str(MultipleValuesError()) == ""


names = st.sampled_from(["A", "a", "B", "b", "C"])
values = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]))


@given(st.lists(st.tuples(names, values)))
def test_headers_when_given_any_pairs_stay_consistent(
    pairs: list[tuple[str, str]],
) -> None:
    headers = Headers(pairs)
    assert list(headers.raw_items()) == pairs
    assert set(headers) == {name.lower() for name, _ in pairs}
    for name in headers:
        assert headers.get_all(name) == [v for n, v in pairs if n.lower() == name]
    lines = headers.serialize().decode("iso-8859-1")
    assert lines == "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
