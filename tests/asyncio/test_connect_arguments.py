"""The parameters of `connect`, and what the call itself refuses."""

from __future__ import annotations

import asyncio
import functools
import inspect
import ssl
from pathlib import Path
from typing import Any

import pytest

import fullduplex
from fullduplex import (
    ClientConnection,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidURI,
    WebSocketClientProtocol,
    connect,
    serve,
    unix_connect,
)
from fullduplex.http import USER_AGENT

from ..kit.asyncio_peer import Stopwatch, listening
from ..kit.names import label

URI = "ws://localhost:1/"

# Parameters that websockets 10 documents, with their defaults.
DOCUMENTED = {
    "create_protocol": None,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 10,
    "max_size": 2**20,
    "max_queue": 2**5,
    "read_limit": 2**16,
    "write_limit": 2**16,
    "compression": "deflate",
    "origin": None,
    "extensions": None,
    "subprotocols": None,
    "extra_headers": None,
    "logger": None,
}

# Signatures


def test_connect_has_the_parameters_of_the_seed_page_with_its_defaults() -> None:
    parameters = inspect.signature(connect).parameters

    assert next(iter(parameters)) == "uri"
    for name, default in DOCUMENTED.items():
        assert parameters[name].default == default, name
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_connect_has_the_newer_parameters() -> None:
    parameters = inspect.signature(connect).parameters

    for name in (
        "additional_headers",
        "create_connection",
        "user_agent_header",
        "open_timeout",
        "process_exception",
        "reconnect_delays",
        "proxy",
    ):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["open_timeout"].default == 10
    assert parameters["user_agent_header"].default == USER_AGENT


def test_unix_connect_has_the_parameters_of_the_seed_page_with_its_defaults() -> None:
    parameters = inspect.signature(unix_connect).parameters

    assert list(parameters)[:2] == ["path", "uri"]
    for name, default in DOCUMENTED.items():
        assert parameters[name].default == default, name


def test_client_protocol_has_the_parameters_of_the_seed_page() -> None:
    parameters = inspect.signature(WebSocketClientProtocol).parameters

    for name, default in DOCUMENTED.items():
        if name not in ("create_protocol", "compression"):
            assert parameters[name].default == default, name


def test_names_of_the_seed_page_are_the_same_objects() -> None:
    assert fullduplex.client.connect is connect
    assert fullduplex.client.unix_connect is unix_connect
    assert fullduplex.client.WebSocketClientProtocol is ClientConnection
    assert WebSocketClientProtocol is ClientConnection


def test_connect_takes_only_the_uri_by_position() -> None:
    with pytest.raises(TypeError):
        connect(URI, None)  # type: ignore[call-arg]


# Bad arguments, refused by the call itself


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"compression": "gzip"}, ValueError),
    ({"compression": True}, ValueError),
    ({"compression": ""}, ValueError),
    ({"subprotocols": "chat"}, TypeError),
    ({"subprotocols": {"chat"}}, TypeError),
    ({"subprotocols": ["a b"]}, ValueError),
    ({"subprotocols": [""]}, ValueError),
    ({"subprotocols": ["a\r\nX: y"]}, ValueError),
    ({"extensions": ["permessage-deflate"]}, TypeError),
    ({"origin": "http://a\r\nX: y"}, InvalidHeaderValue),
    ({"origin": "http://a\0"}, InvalidHeaderValue),
    ({"user_agent_header": "a\r\nX: y"}, InvalidHeaderValue),
    ({"extra_headers": {"X": "a\r\nY: b"}}, InvalidHeaderValue),
    ({"extra_headers": {"X": "a\nb"}}, InvalidHeaderValue),
    ({"extra_headers": {"X": "a\0b"}}, InvalidHeaderValue),
    ({"extra_headers": {"X: y\r\nZ": "a"}}, InvalidHeader),
    ({"extra_headers": {"X Y": "a"}}, InvalidHeader),
    ({"extra_headers": {"": "a"}}, InvalidHeader),
    ({"extra_headers": [("User-Agent", "a"), ("User-Agent", "b")]}, ValueError),
    ({"extra_headers": {"Sec-WebSocket-Key": "a"}}, ValueError),
    ({"extra_headers": {"Sec-WebSocket-Protocol": "a"}}, ValueError),
    ({"extra_headers": {"Sec-WebSocket-Extensions": "a"}}, ValueError),
    ({"extra_headers": {"Connection": "close"}}, ValueError),
    ({"extra_headers": {"Upgrade": "h2c"}}, ValueError),
    ({"ping_interval": -1}, ValueError),
    ({"ping_interval": float("nan")}, ValueError),
    ({"ping_interval": "20"}, TypeError),
    ({"ping_timeout": -0.1}, ValueError),
    ({"ping_timeout": "20"}, TypeError),
    ({"close_timeout": -1}, ValueError),
    ({"close_timeout": "10"}, TypeError),
    ({"open_timeout": "10"}, TypeError),
    ({"open_timeout": float("nan")}, ValueError),
    ({"max_size": -1}, ValueError),
    ({"max_size": "1"}, TypeError),
    ({"max_size": 1.5}, TypeError),
    ({"max_size": (1, 2, 3)}, ValueError),
    ({"max_size": (-1, None)}, ValueError),
    ({"max_queue": -1}, ValueError),
    ({"max_queue": "1"}, TypeError),
    ({"max_queue": (1, 2)}, ValueError),
    ({"max_queue": (1,)}, ValueError),
    ({"read_limit": 0}, ValueError),
    ({"read_limit": -1}, ValueError),
    ({"read_limit": None}, TypeError),
    ({"write_limit": -1}, ValueError),
    ({"write_limit": (1, 2)}, ValueError),
    ({"write_limit": "1"}, TypeError),
    ({"write_limit": None}, TypeError),
    ({"logger": "name"}, TypeError),
    ({"create_protocol": "name"}, TypeError),
    ({"process_exception": 3}, TypeError),
    ({"reconnect_delays": 3}, TypeError),
    ({"ssl": True}, ValueError),
    ({"ssl": False}, ValueError),
    ({"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, ValueError),
    ({"server_hostname": "localhost"}, ValueError),
    ({"sock": object(), "host": "localhost"}, ValueError),
    ({"sock": object(), "port": 80}, ValueError),
]


@pytest.mark.parametrize(("arguments", "error"), BAD_ARGUMENTS, ids=label)
def test_connect_refuses_a_bad_argument_in_the_call_and_names_it(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        connect(URI, **arguments)

    names = {"origin": "Origin", "user_agent_header": "User-Agent"}
    if error is ValueError or error is TypeError:
        name = next(iter(arguments))
        assert name in str(caught.value) or names.get(name, name) in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "localhost",
        "http://localhost/",
        "https://localhost/",
        "//localhost/",
        "ws:localhost",
        "ws://",
        "ws:///path",
        "ws://:80/",
        "ws://localhost/#fragment",
        "ws://user@localhost/",
        "ws://us%3Aer:password@localhost/",
        "ws://localhost:port/",
        "ws://localhost:65536/",
        "ws://localhost:-1/",
        "ws://[::1/",
        "ws://local host/",
        "ws://localhost/\r\nX: y",
        "ws://localhost/\0",
    ],
)
def test_connect_refuses_a_bad_uri_in_the_call(uri: str) -> None:
    with pytest.raises(InvalidURI):
        connect(uri)


@pytest.mark.parametrize("uri", [None, b"ws://localhost/", 3, Path("/")])
def test_connect_refuses_a_uri_that_is_no_str(uri: Any) -> None:
    with pytest.raises(TypeError):
        connect(uri)


@pytest.mark.parametrize(
    "arguments",
    [{"ssl": None}, {"ssl": False}, {"ssl": "yes"}, {"ssl": 1}],
    ids=repr,
)
def test_connect_to_wss_without_tls_is_refused_in_the_call(
    arguments: dict[str, Any],
) -> None:
    with pytest.raises((ValueError, TypeError), match="ssl"):
        connect("wss://localhost/", **arguments)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ping_intervall", "ping_interval"),
        ("extra_header", "extra_headers"),
        ("additional_header", "additional_headers"),
        ("subprotocol", "subprotocols"),
        ("server_host_name", "server_hostname"),
        ("maxsize", "max_size"),
    ],
)
def test_connect_names_the_nearest_keyword_for_an_unknown_one(
    wrong: str, right: str
) -> None:
    options: dict[str, Any] = {wrong: 1}
    with pytest.raises(TypeError, match=rf"\b{wrong}\b.*\b{right}\b"):
        connect(URI, **options)
    with pytest.raises(TypeError, match=rf"\b{wrong}\b.*\b{right}\b"):
        unix_connect("/path", **options)


def test_connect_refuses_a_keyword_that_resembles_nothing() -> None:
    with pytest.raises(TypeError, match="qqq"):
        connect(URI, qqq=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [("extra_headers", "additional_headers"), ("create_protocol", "create_connection")],
)
@pytest.mark.parametrize("same", [True, False])
def test_connect_with_both_spellings_is_a_type_error(
    old: str, new: str, same: bool
) -> None:
    value: Any = {"X": "y"} if old == "extra_headers" else ClientConnection
    other: Any = (
        value
        if same
        else {}
        if old == "extra_headers"
        else functools.partial(ClientConnection)
    )
    with pytest.raises(TypeError, match=f"{old}.*{new}"):
        connect(URI, **{old: value, new: other})


def test_connect_with_deprecated_names_warns() -> None:
    with pytest.warns(DeprecationWarning, match="close_timeout"):
        connect(URI, timeout=3)
    with pytest.warns(DeprecationWarning, match="create_protocol"):
        connect(URI, klass=ClientConnection)
    with pytest.warns(DeprecationWarning, match="loop"):
        connect(URI, loop=None)
    with pytest.warns(DeprecationWarning, match="legacy_recv"):
        connect(URI, legacy_recv=False)


def test_connect_warns_about_the_line_of_the_caller() -> None:
    with pytest.warns(DeprecationWarning, match="timeout") as caught:
        connect(URI, timeout=3)
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="timeout") as caught:
        unix_connect("/path", timeout=3)
    assert caught[0].filename == __file__


@pytest.mark.variants("plain")
async def test_timeout_as_the_old_name_of_close_timeout_works() -> None:
    async with listening() as listener:
        with pytest.warns(DeprecationWarning, match="timeout"):
            opening = connect(listener.uri, timeout=0.1)
        task = asyncio.ensure_future(opening.connect())
        await (await listener.accept()).handshake()
        ws = await task
        watch = Stopwatch()
        await ws.close()
        assert watch.elapsed < 5  # half of what it is by default


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"timeout": 3}, 3),
        ({"timeout": 3, "close_timeout": 5}, 5),
        ({"timeout": 3, "close_timeout": None}, None),
    ],
)
async def test_newer_name_of_a_timeout_counts(
    given: dict[str, Any], expected: float | None
) -> None:
    with pytest.warns(DeprecationWarning, match="timeout"):
        assert connect(URI, **given)._checked_plan().options.close_timeout == expected
    with pytest.warns(DeprecationWarning, match="timeout"):
        server = serve(lambda ws: ws.wait_closed(), **given)._server
    assert server.settings.options.close_timeout == expected


@pytest.mark.parametrize("newer", ["create_protocol", "create_connection"])
def test_newer_name_of_a_class_counts(newer: str) -> None:
    class Newer(ClientConnection):
        pass

    given: dict[str, Any] = {newer: Newer}
    with pytest.warns(DeprecationWarning, match="klass"):
        assert connect(URI, klass=ClientConnection, **given)._create is Newer


def test_connect_needs_no_running_loop_and_opens_nothing() -> None:
    connect("ws://localhost:1/", ssl_handshake_timeout=3)
    unix_connect("/nowhere")


@pytest.mark.parametrize(
    "arguments",
    [(), (None,)],
)
def test_unix_connect_without_path_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="path"):
        unix_connect(*arguments)


def test_unix_connect_refuses_path_and_sock_together_and_host_and_port() -> None:
    with pytest.raises(ValueError, match="sock"):
        unix_connect("/path", sock=object())
    for name in ("host", "port"):
        with pytest.raises((TypeError, ValueError), match=name):
            unix_connect("/path", **{name: "80"})
