"""Settings from the environment."""

from __future__ import annotations

import pytest

from fullduplex.core.environ import environment_value


def test_setting_when_nothing_is_set_is_the_default() -> None:
    assert environment_value("NO_SUCH_SETTING", 7, int) == 7


def test_setting_when_only_the_name_of_websockets_is_set_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBSOCKETS_X", "8")
    assert environment_value("X", 7, int) == 8


def test_setting_when_both_names_are_set_prefers_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBSOCKETS_X", "8")
    monkeypatch.setenv("FULLDUPLEX_X", "9")
    assert environment_value("X", 7, int) == 9


def test_setting_when_it_makes_no_sense_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBSOCKETS_X", "many")
    with pytest.raises(ValueError, match="WEBSOCKETS_X is 'many'"):
        environment_value("X", 7, int)
