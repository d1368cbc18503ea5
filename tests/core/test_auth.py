"""Basic authentication: what is read from a request, and what is right."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from fullduplex.core.auth import Refused, challenge, checker, read_credentials
from fullduplex.core.datastructures import Headers
from fullduplex.core.headers import build_authorization_basic
from fullduplex.core.http1 import Request


def request(*values: str) -> Request:
    return Request("/", Headers([("Authorization", value) for value in values]))


@pytest.mark.parametrize("password", ["secret", "", "with:colon", "pässwörd"])
def test_credentials_are_read(password: str) -> None:
    header = build_authorization_basic("alice", password)
    assert read_credentials(request(header)) == ("alice", password)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "Missing credentials"),
        (("Bearer abc",), "Unsupported credentials"),
        (("Basic",), "Unsupported credentials"),
        (("Basic %%",), "Unsupported credentials"),
        (("Basic YWxpY2U=",), "Unsupported credentials"),
        (("Basic YTpi", "Basic YTpi"), "Unsupported credentials"),
    ],
)
def test_what_is_no_credentials_is_refused(values: tuple[str, ...], text: str) -> None:
    with pytest.raises(Refused, match=text):
        read_credentials(request(*values))


@pytest.mark.parametrize(
    "credentials",
    [
        ("alice", "secret"),
        [("alice", "secret"), ("bob", "x")],
        iter([("alice", "secret")]),
        [["alice", "secret"]],
    ],
)
def test_checker_knows_the_right_password(credentials: Any) -> None:
    check = checker(credentials)
    assert check("alice", "secret")
    assert not check("alice", "Secret")
    assert not check("alice", "")
    assert not check("carol", "secret")
    assert not check("carol", "")
    assert not check("alice", "\udcff")


def test_checker_compares_once_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare_digest(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    check = checker(("alice", "secret"))
    for username, password in [
        ("alice", "secret"),
        ("alice", "x"),
        ("carol", "x" * 99),
    ]:
        check(username, password)

    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("bad", [None, 3, "ab", ("a",), [("a", 1)], [("a", "b", "c")]])
def test_checker_refuses_another_shape_without_showing_it(bad: Any) -> None:
    with pytest.raises(TypeError, match="must be a pair") as raised:
        checker(bad)
    assert "'a'" not in str(raised.value)


def test_challenge_quotes_the_realm() -> None:
    assert challenge('a "b"') == 'Basic realm="a \\"b\\"", charset="UTF-8"'
    with pytest.raises(ValueError, match="realm"):
        challenge("a\r\nb")
    with pytest.raises(TypeError, match="realm"):
        challenge(3)  # type: ignore[arg-type]
