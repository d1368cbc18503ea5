"""Redirects: where they lead, and what stays behind."""

from __future__ import annotations

import pytest

from fullduplex.core.client import redirects
from fullduplex.core.client.redirects import Redirect, follow_redirect, without_headers
from fullduplex.core.errors import InvalidHeader, InvalidURI, SecurityError
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Response
from fullduplex.core.uri import parse_uri

PRIVATE = {"authorization", "cookie", "host", "proxy-authorization"}


def follow(start: str, location: str, status: int = 302, **options: bool) -> Redirect:
    response = Response(status, "", Headers(Location=location))
    redirect = follow_redirect([parse_uri(start)], response, **options)
    assert redirect is not None
    return redirect


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_each_status_of_a_redirect_is_followed(status: int) -> None:
    redirect = follow("ws://a/", "ws://b/x?y", status)
    assert redirect.uri == parse_uri("ws://b/x?y")


@pytest.mark.parametrize("status", [200, 304, 305, 306, 400, 401, 404, 500])
def test_another_status_is_no_redirect(status: int) -> None:
    response = Response(status, "", Headers(Location="ws://b/"))
    assert follow_redirect([parse_uri("ws://a/")], response) is None


def test_a_redirect_without_target_is_a_refusal() -> None:
    response = Response(302, "Found", Headers())
    assert follow_redirect([parse_uri("ws://a/")], response) is None


def test_several_targets_are_refused() -> None:
    response = Response(302, "", Headers([("Location", "/a"), ("Location", "/b")]))
    with pytest.raises(InvalidHeader, match="Location header: it is there 2 times"):
        follow_redirect([parse_uri("ws://a/")], response)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x", "ws://a:81/x"),
        ("x", "ws://a:81/dir/x"),
        ("../x?y", "ws://a:81/x?y"),
        ("?y", "ws://a:81/dir/file?y"),
        ("", "ws://a:81/dir/file?q"),
        ("//b/x", "ws://b/x"),
        ("WS://B:81/", "ws://b:81/"),
        ("wss://b", "wss://b"),
        ("http://b/x", "ws://b/x"),
        ("https://b/x", "wss://b/x"),
        ("HTTPS://u:p@b:444/x?y#z", "wss://u:p@b:444/x?y"),
        ("/caf\xc3\xa9", "ws://a:81/caf%C3%A9"),  # UTF-8 seen as ISO-8859-1
        ("/caf\xe9", "ws://a:81/caf%C3%A9"),  # ISO-8859-1 indeed
        ("/a b", "ws://a:81/a%20b"),
    ],
)
def test_targets_are_resolved(location: str, target: str) -> None:
    assert follow("ws://a:81/dir/file?q", location).uri == parse_uri(target)


def test_a_relative_target_keeps_the_zone_of_an_address() -> None:
    redirect = follow("ws://[fe80::1%25eth0]:81/", "/x")
    assert redirect.uri == parse_uri("ws://[fe80::1%25eth0]:81/x")
    assert not redirect.cross_origin


@pytest.mark.parametrize(
    "location",
    [
        "ftp://a/",
        "httpx://a/",
        "http:///",
        "wss:///",
        "ws://[/",
        "ws://a/#x",
        "ws://a:x",
    ],
)
def test_a_target_that_is_no_websocket_uri_is_refused(location: str) -> None:
    with pytest.raises(InvalidURI, match=r"redirect from ws://a/x\)$"):
        follow("ws://a/x", location)


# -- Security ------------------------------------------------------------------


@pytest.mark.parametrize(
    "location", ["ws://a/", "ws://b/", "ws://a:443/", "http://a/", "http://a:443/"]
)
def test_giving_up_tls_is_refused(location: str) -> None:
    with pytest.raises(SecurityError, match=r"from wss://a/ to .* TLS"):
        follow("wss://u:p@a/", location)


def test_gaining_tls_is_fine_and_keeps_no_credentials() -> None:
    redirect = follow("ws://u:p@a/", "wss://a/")
    assert redirect.uri == parse_uri("wss://a/")
    assert redirect.cross_origin
    assert redirect.drop_headers == PRIVATE


@pytest.mark.parametrize(
    ("start", "location"),
    [
        ("ws://a/", "ws://b/"),
        ("ws://a/", "ws://a:81/"),
        ("ws://a/", "wss://a/"),
        ("ws://a:443/", "wss://a/"),
        ("wss://a/", "//a.b/"),
        ("wss://a/", "wss://a./"),
    ],
)
def test_another_origin_gets_no_credentials(start: str, location: str) -> None:
    redirect = follow(start.replace("//", "//user:secret@"), location)
    assert redirect.cross_origin
    assert redirect.uri.user_info is None
    assert redirect.drop_headers == PRIVATE


@pytest.mark.parametrize(
    ("start", "location"),
    [
        ("ws://a/", "/x"),
        ("ws://a/", "//a/x"),
        ("ws://a/", "ws://A:80/x"),
        ("wss://a/", "wss://a:443/x"),
    ],
)
def test_the_same_origin_gets_the_same_credentials(start: str, location: str) -> None:
    redirect = follow(start.replace("//", "//user:secret@"), location)
    assert not redirect.cross_origin
    assert redirect.uri.user_info == ("user", "secret")
    assert redirect.drop_headers == frozenset()


@pytest.mark.parametrize("host", ["a", "b"])
def test_credentials_in_the_target_are_used(host: str) -> None:
    redirect = follow("ws://user:secret@a/", f"ws://new:word@{host}/")
    assert redirect.uri.user_info == ("new", "word")


def test_messages_show_no_credentials() -> None:
    with pytest.raises(SecurityError) as caught:
        follow("wss://user:secret@a/", "ws://new:word@a/")
    assert "secret" not in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("location", ["/x", "ws://b/"])
def test_a_socket_of_the_caller_serves_only_once(location: str) -> None:
    with pytest.raises(ValueError, match="sock"):
        follow("ws://a/", location, has_sock=True)


@pytest.mark.parametrize(
    ("option", "match"), [("has_address", "host or port"), ("is_unix", "Unix socket")]
)
def test_a_destination_of_the_caller_serves_only_its_origin(
    option: str, match: str
) -> None:
    assert follow("ws://a/", "/x", **{option: True}).uri == parse_uri("ws://a/x")
    with pytest.raises(ValueError, match=match):
        follow("ws://a/", "ws://b/", **{option: True})


# -- Limit ---------------------------------------------------------------------


def test_the_tenth_request_must_not_be_redirected() -> None:
    trail = [parse_uri(f"ws://a/{n}") for n in range(9)]
    response = Response(302, "", Headers(Location="ws://u:p@a/next"))
    assert follow_redirect(trail, response) is not None
    trail.append(parse_uri("ws://a/9"))
    with pytest.raises(SecurityError) as caught:
        follow_redirect(trail, response)
    assert str(caught.value) == (
        "10 requests were redirected, the last one to ws://a/next; "
        "FULLDUPLEX_MAX_REDIRECTS is 10"
    )


def test_a_loop_is_named() -> None:
    trail = [parse_uri(f"ws://{host}/") for host in "xyababababa"][:10]
    response = Response(302, "", Headers(Location="ws://a/"))
    assert trail[-1].host == "b"
    with pytest.raises(
        SecurityError, match="in a loop: ws://a/ -> ws://b/ -> ws://a/;"
    ):
        follow_redirect(trail, response)


def test_the_limit_can_be_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirects, "MAX_REDIRECTS", 1)
    with pytest.raises(SecurityError, match="loop: ws://a/ -> ws://a/;"):
        follow("ws://a/", "/")


# -- Headers -------------------------------------------------------------------


def test_headers_that_are_private_are_left_out() -> None:
    headers = [
        ("Authorization", "Bearer x"),
        ("X-Trace", "1"),
        ("COOKIE", "a=b"),
        ("x-trace", "2"),
        ("Proxy-Authorization", "y"),
        ("Host", "a"),
    ]
    redirect = follow("ws://a/", "ws://b/")
    kept = without_headers(headers, redirect.drop_headers)
    assert list(kept.raw_items()) == [("X-Trace", "1"), ("x-trace", "2")]


def test_no_headers_stay_no_headers() -> None:
    assert without_headers(None, frozenset()) == Headers()
