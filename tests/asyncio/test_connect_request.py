"""What the request says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fullduplex import (
    Headers,
    connect,
)
from fullduplex.http import USER_AGENT

from ..kit.asyncio_peer import listening
from .kit import finish, opened

# The request


@pytest.mark.variants("plain")
async def test_request_is_complete_and_in_order() -> None:
    async with opened(
        compression="deflate",
        origin="http://example.com",
        subprotocols=["one", "two", "one"],
        extra_headers={"X-Extra": "value"},
    ) as (_, peer):
        assert peer.lines[0] == "GET / HTTP/1.1"
        assert peer.header_names == [
            "Host",
            "Origin",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Protocol",
            "X-Extra",
            "User-Agent",
        ]
        port = peer.writer.get_extra_info("sockname")[1]
        assert peer.header("Host") == f"127.0.0.1:{port}"
        assert peer.header("Origin") == "http://example.com"
        assert peer.header("Upgrade") == "websocket"
        assert peer.header("Connection") == "Upgrade"
        assert len(peer.header("Sec-WebSocket-Key") or "") == 24
        assert peer.header("Sec-WebSocket-Version") == "13"
        assert (
            peer.header("Sec-WebSocket-Extensions")
            == "permessage-deflate; client_max_window_bits"
        )
        assert peer.header("Sec-WebSocket-Protocol") == "one, two, one"
        assert peer.header("User-Agent") == USER_AGENT


@pytest.mark.variants("plain")
async def test_request_without_options_has_no_header_for_them() -> None:
    async with opened(
        compression=None, extensions=[], subprotocols=[], user_agent_header=None
    ) as (_, peer):
        assert peer.header_names == [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
        ]


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.variants("plain")
async def test_user_agent_header_when_empty_is_omitted(value: str | None) -> None:
    async with opened(user_agent_header=value) as (_, peer):
        assert peer.headers("User-Agent") == []


@pytest.mark.variants("plain")
async def test_user_agent_header_is_sent() -> None:
    async with opened(user_agent_header="mine/1") as (_, peer):
        assert peer.headers("User-Agent") == ["mine/1"]


class Pairs:
    """What has keys() and items only."""

    def keys(self) -> Iterator[str]:
        return iter(["X-One", "X-Two"])

    def __getitem__(self, name: str) -> str:
        return {"X-One": "1", "X-Two": "2"}[name]


HEADERS: dict[str, Callable[[], Any]] = {
    "mapping": lambda: {"X-One": "1", "X-Two": "2"},
    "list": lambda: [("X-One", "1"), ("X-Two", "2")],
    "tuple": lambda: (("X-One", "1"), ("X-Two", "2")),
    "headers": lambda: Headers({"X-One": "1", "X-Two": "2"}),
    "generator": lambda: (pair for pair in [("X-One", "1"), ("X-Two", "2")]),
    "keys": Pairs,
}


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("name", ["extra_headers", "additional_headers"])
@pytest.mark.variants("plain")
async def test_extra_headers_in_any_form_are_sent(form: str, name: str) -> None:
    async with opened(**{name: HEADERS[form]()}) as (_, peer):
        assert peer.headers("X-One") == ["1"]
        assert peer.headers("X-Two") == ["2"]
        assert peer.header_names[-3:] == ["X-One", "X-Two", "User-Agent"]


@pytest.mark.variants("plain")
async def test_extra_headers_may_repeat_a_name() -> None:
    async with opened(extra_headers=[("X", "1"), ("x", "2")]) as (_, peer):
        assert peer.headers("X") == ["1", "2"]


@pytest.mark.parametrize("name", ["Host", "Authorization", "Origin", "User-Agent"])
@pytest.mark.variants("plain")
async def test_extra_headers_replace_those_of_the_library(name: str) -> None:
    async with opened(
        origin="http://example.com", extra_headers={name.lower(): "mine"}
    ) as (_, peer):
        assert peer.headers(name) == ["mine"]


@pytest.mark.variants("plain")
async def test_keys_are_different_each_time() -> None:
    keys = set()
    for _ in range(5):
        async with opened() as (_, peer):
            keys.add(peer.header("Sec-WebSocket-Key"))
    assert len(keys) == 5


# URIs


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("/path/to?query=1&b=2", "/path/to?query=1&b=2"),
        ("?query", "/?query"),
        ("/a b", "/a%20b"),
        ("/é?ü", "/%C3%A9?%C3%BC"),
        ("/é%41", "/%C3%A9%41"),
        ("/%2F%41", "/%2F%41"),
        ("/#", "/"),
    ],
)
@pytest.mark.variants("plain")
async def test_uri_becomes_the_target_of_the_request(rest: str, target: str) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(f"ws://127.0.0.1:{listener.port}{rest}").connect()
        )
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.target == target
        assert ws.path == target
        await finish(ws, peer)


@pytest.mark.parametrize(
    ("userinfo", "authorization"),
    [
        ("user:password", "Basic dXNlcjpwYXNzd29yZA=="),
        ("u%40:p%3Aw%C3%A9", "Basic dUA6cDp3w6k="),
        ("u:", "Basic dTo="),
    ],
)
@pytest.mark.variants("plain")
async def test_uri_with_credentials_sends_them_as_basic_authorization(
    userinfo: str, authorization: str
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(f"ws://{userinfo}@127.0.0.1:{listener.port}/").connect()
        )
        peer = await (await listener.accept()).handshake()
        assert peer.headers("Authorization") == [authorization]
        assert peer.header("Host") == f"127.0.0.1:{listener.port}"
        await finish(await opening, peer)


@pytest.mark.variants("plain")
async def test_uri_in_upper_case_is_normalized() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(f"WS://LOCALHOST:{listener.port}/Path").connect()
        )
        peer = await (await listener.accept()).handshake()
        assert peer.header("Host") == f"localhost:{listener.port}"
        assert peer.target == "/Path"
        await finish(await opening, peer)


async def test_uri_with_an_ipv6_address_connects() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    async with listening(host="::1") as listener:
        opening = asyncio.ensure_future(
            connect(f"ws://[::1]:{listener.port}/").connect()
        )
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.header("Host") == f"[::1]:{listener.port}"
        assert ws.remote_address[:2] == ("::1", listener.port)
        await finish(ws, peer)
