"""Keywords with two spellings, and keywords that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex.core.arguments import (
    callable_or_none,
    deprecated,
    one_of,
    reject_unknown,
)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [(None, None, None), (1, None, 1), (None, 2, 2), ([], None, [])],
)
def test_either_takes_the_value_that_was_given(old: Any, new: Any, value: Any) -> None:
    assert one_of("old_name", old, "new_name", new) == value


def test_either_refuses_both_and_names_them() -> None:
    with pytest.raises(TypeError, match="old_name and new_name are one parameter"):
        one_of("old_name", 1, "new_name", 1)


def test_deprecated_keyword_is_taken_out_with_a_warning() -> None:
    kwds = {"timeout": 3, "other": 4}

    with pytest.warns(
        DeprecationWarning, match="timeout is deprecated; use close_timeout"
    ):
        value = deprecated(kwds, "timeout", "close_timeout", 10, 10)

    assert value == 3
    assert kwds == {"other": 4}


def test_deprecated_keyword_that_is_absent_leaves_the_value_and_is_silent() -> None:
    kwds = {"other": 4}
    assert deprecated(kwds, "timeout", "close_timeout", 10) == 10
    assert kwds == {"other": 4}


def test_deprecated_keyword_whose_value_is_none_counts_as_given() -> None:
    kwds: dict[str, Any] = {"timeout": None}
    with pytest.warns(DeprecationWarning, match="timeout is deprecated"):
        assert deprecated(kwds, "timeout", "close_timeout", 10, 10) is None


@pytest.mark.parametrize("newer", [5, None, 0])
def test_newer_keyword_counts_where_both_are_given(newer: int | None) -> None:
    with pytest.warns(DeprecationWarning, match="timeout is deprecated"):
        value = deprecated({"timeout": 3}, "timeout", "close_timeout", newer, 10)
    assert value == newer


KNOWN = {"ping_interval", "ping_timeout", "close_timeout", "max_size"}


def test_known_keywords_pass() -> None:
    reject_unknown("connect", ["max_size", "ping_timeout"], KNOWN)
    reject_unknown("connect", [], KNOWN)


def test_typo_is_refused_with_the_nearest_known_name() -> None:
    with pytest.raises(
        TypeError,
        match=r"connect\(\) got an unexpected keyword 'max_sise'; "
        r"did you mean 'max_size'\?",
    ):
        reject_unknown("connect", ["max_sise"], KNOWN)


def test_keyword_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword 'zzz'$"):
        reject_unknown("serve", ["zzz"], KNOWN)


def test_first_unknown_keyword_is_named() -> None:
    with pytest.raises(TypeError, match="'aaa'"):
        reject_unknown("serve", ["max_size", "aaa", "bbb"], KNOWN)


@pytest.mark.parametrize("value", [None, print, int, lambda: None])
def test_callable_or_none_passes_what_can_be_called(value: Any) -> None:
    callable_or_none("logger_factory", value)


@pytest.mark.parametrize("value", [1, "name", [], False])
def test_callable_or_none_refuses_everything_else(value: Any) -> None:
    with pytest.raises(
        TypeError, match=f"hook must be callable, not {type(value).__name__}"
    ):
        callable_or_none("hook", value)
