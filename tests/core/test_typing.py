"""That the names for types exist where programs import them from."""

from __future__ import annotations

from fullduplex import typing


def test_typing_when_all_names_are_imported_has_them() -> None:
    for name in typing.__all__:
        assert getattr(typing, name) is not None


def test_new_types_when_called_return_their_argument() -> None:
    assert typing.Origin("http://a") == "http://a"
    assert typing.Subprotocol("chat") == "chat"
