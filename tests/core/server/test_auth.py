"""Basic authentication: what is read from a request, and what is right."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from fullduplex.core.http.grammar import build_authorization_basic
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response
from fullduplex.core.server.auth import (
    Refused,
    authenticate,
    challenge,
    checker,
    read_credentials,
    the_check,
)


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


class Connection:
    """As much of a server's connection as authentication needs."""

    username: str | None = None

    def respond(self, status: int, text: str) -> Response:
        return Response(int(status), "Status", Headers(), text.encode())


@pytest.mark.parametrize(
    ("header", "verdict", "body"),
    [
        ("Basic aGVsbG86aWxvdmV5b3U=", True, None),
        ("Basic aGVsbG86aWxvdmV5b3U=", False, b"Invalid credentials\n"),
        ("Bearer token", True, b"Unsupported credentials\n"),
        (None, True, b"Missing credentials\n"),
    ],
)
def test_authenticate_asks_the_face_to_wait_for_the_verdict(
    header: str | None, verdict: bool, body: bytes | None
) -> None:
    connection = Connection()
    asked: list[tuple[str, ...]] = []
    steps = authenticate(
        connection,
        request() if header is None else request(header),
        lambda *pair: asked.append(pair),
        challenge("realm"),
    )
    with pytest.raises(StopIteration) as stop:
        next(steps)
        steps.send(verdict)
    response = stop.value.value

    if body is None:
        assert (response, connection.username) == (None, "hello")
        assert asked == [("hello", "iloveyou")]
    else:
        assert response.body == body
        assert response.headers["WWW-Authenticate"] == challenge("realm")
        assert connection.username is None


@pytest.mark.parametrize("given", [(None, None), (("a", "b"), print)])
def test_one_way_to_check_is_wanted(given: Any) -> None:
    with pytest.raises(ValueError, match="either credentials or check_credentials"):
        the_check(*given)
