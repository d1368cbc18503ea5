"""What a `connect` call is found to ask for, and what of that is remembered."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from fullduplex.core.client import plan as connecting
from fullduplex.core.client.plan import ConnectPlan
from fullduplex.core.errors import InvalidHeaderValue, InvalidURI
from fullduplex.core.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from fullduplex.core.handshake.request_template import RequestTemplate
from fullduplex.core.http.headers import Headers
from fullduplex.core.uri import parse_uri

URI = "ws://example.com/path?query"


def request(plan: ConnectPlan) -> bytes:
    return plan.draft.with_key("the key")


def kept(secret: str) -> bool:
    """Whether anything that is remembered holds a text."""
    gc.collect()
    terms = [
        item for item in gc.get_objects() if isinstance(item, connecting.ConnectConfig)
    ]
    return any(secret in f"{item} {item.draft.with_key('')!r}" for item in terms)


def test_plan_when_made_again_with_equal_arguments_has_the_same_draft() -> None:
    first, second = (
        ConnectPlan(URI, {"origin": "http://a", "max_size": 5}) for _ in "12"
    )

    assert first.draft is second.draft
    assert first.options is second.options
    assert first.keywords == second.keywords
    assert first.keywords is not second.keywords
    assert first.keywords["extensions"] is not second.keywords["extensions"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"origin": "http://a"}, {"origin": "http://b"}),
        ({"max_size": 1}, {"max_size": 2}),
        ({"open_timeout": 1}, {"open_timeout": 2}),
        ({"user_agent_header": "a"}, {"user_agent_header": None}),
        ({"compression": None}, {"compression": "deflate"}),
    ],
)
def test_plan_with_another_argument_is_another_one(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = ConnectPlan(URI, one), ConnectPlan(URI, other)

    assert (first.options, first.open_timeout, request(first)) != (
        second.options,
        second.open_timeout,
        request(second),
    )


def test_plan_when_a_value_equals_one_of_another_type_is_checked() -> None:
    ConnectPlan(URI, {"max_size": 1, "open_timeout": 1})

    with pytest.raises(TypeError, match="max_size must be an int"):
        ConnectPlan(URI, {"max_size": True, "open_timeout": 1})
    with pytest.raises(TypeError, match="open_timeout must be a number"):
        ConnectPlan(URI, {"max_size": 1, "open_timeout": True})


def test_plan_when_something_is_wrong_says_so_each_time() -> None:
    for _ in "12":
        with pytest.raises(InvalidURI, match=r"mean ws://example\.com/"):
            ConnectPlan("http://example.com/", {})
        with pytest.raises(ValueError, match="compression is 'gzip'"):
            ConnectPlan(URI, {"compression": "gzip"})
        with pytest.raises(InvalidHeaderValue, match="Origin"):
            ConnectPlan(URI, {"origin": "a\r\nb"})
        with pytest.raises(TypeError, match="max_size must be an int"):
            ConnectPlan(URI, {"max_size": []})


def test_plan_keeps_no_credentials() -> None:
    plans = [
        ConnectPlan("ws://user:hush@example.com/", {}),
        ConnectPlan(URI, {"extra_headers": {"Authorization": "hush"}}),
        ConnectPlan(URI, {"proxy": "http://user:hush@proxy"}),
    ]
    assert b"Authorization: hush" in request(plans[1])
    ConnectPlan("ws://known.example.com/", {})

    assert kept("known.example.com")
    assert not kept("hush")
    assert not kept("Authorization")


def test_plan_when_headers_change_makes_another_draft() -> None:
    plan = ConnectPlan(URI, {"extra_headers": lambda: None})
    assert plan.headers_factory is not None
    before = plan.draft

    plan.set_headers({"X-Token": "fresh"})

    assert b"X-Token: fresh\r\n" in request(plan)
    assert b"X-Token" not in before.with_key("the key")


def test_plan_when_its_lists_change_does_not_change_the_next_one() -> None:
    plan = ConnectPlan(URI, {})
    plan.keywords["extensions"].append(ClientPerMessageDeflateFactory())

    assert len(ConnectPlan(URI, {}).keywords["extensions"]) == 1


def test_draft_with_a_key_in_other_headers_puts_it_into_its_own() -> None:
    headers = Headers({"Host": "Sec-WebSocket-Key: not here"})

    draft = RequestTemplate(parse_uri(URI), extra_headers=headers, user_agent=None)

    assert draft.with_key("the key").decode().split("\r\n") == [
        "GET /path?query HTTP/1.1",
        "Host: Sec-WebSocket-Key: not here",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: the key",
        "Sec-WebSocket-Version: 13",
        "",
        "",
    ]
