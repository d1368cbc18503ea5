"""Opening a connection: parameters, addresses, TLS, the handshake, redirects."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

import fullduplex
from fullduplex import (
    ClientConnection,
    ConnectionClosedError,
    ConnectionClosedOK,
    Headers,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    InvalidStatusCode,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    SecurityError,
    WebSocketClientProtocol,
    connect,
    unix_connect,
)
from fullduplex.extensions import ClientExtensionFactory, Extension
from fullduplex.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from fullduplex.frames import Frame
from fullduplex.http import USER_AGENT

from .kit import (
    BINARY,
    TEXT,
    Listener,
    Peer,
    Stopwatch,
    close_frame,
    frame,
    listening,
    opened,
    turns,
)

URI = "ws://localhost:1/"

# The parameters of the seed's page, with its defaults.
SEED = {
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


async def attempt(
    listener: Listener, step: Callable[[Peer], Awaitable[Any]], **options: Any
) -> tuple[ClientConnection, Peer]:
    """Connect while the peer takes a step; the caller closes what came of it."""
    opening = asyncio.ensure_future(
        connect(listener.uri, **{"compression": None, **options}).connect()
    )
    peer = await listener.accept()
    await step(peer)
    return await opening, peer


async def finish(ws: ClientConnection, peer: Peer) -> None:
    answer = asyncio.ensure_future(peer.answer_close())
    await ws.close()
    await answer


# Signatures


def test_connect_has_the_parameters_of_the_seed_page_with_its_defaults() -> None:
    parameters = inspect.signature(connect).parameters

    assert next(iter(parameters)) == "uri"
    for name, default in SEED.items():
        assert parameters[name].default == default, name
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_connect_has_the_newer_parameters() -> None:
    parameters = inspect.signature(connect).parameters

    for name in (
        "additional_headers", "create_connection", "user_agent_header",
        "open_timeout", "process_exception", "reconnect_delays", "proxy",
    ):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["open_timeout"].default == 10
    assert parameters["user_agent_header"].default == USER_AGENT


def test_unix_connect_has_the_parameters_of_the_seed_page_with_its_defaults() -> None:
    parameters = inspect.signature(unix_connect).parameters

    assert list(parameters)[:2] == ["path", "uri"]
    for name, default in SEED.items():
        assert parameters[name].default == default, name


def test_client_protocol_has_the_parameters_of_the_seed_page() -> None:
    parameters = inspect.signature(WebSocketClientProtocol).parameters

    for name, default in SEED.items():
        if name not in ("create_protocol", "compression"):
            assert parameters[name].default == default, name


def test_names_of_the_seed_page_are_the_same_objects() -> None:
    assert fullduplex.client.connect is connect
    assert fullduplex.client.unix_connect is unix_connect
    assert fullduplex.client.WebSocketClientProtocol is ClientConnection
    assert WebSocketClientProtocol is ClientConnection


def test_connect_takes_only_the_uri_by_position() -> None:
    with pytest.raises(TypeError):
        connect(URI, None)  # type: ignore[misc]


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


@pytest.mark.parametrize(
    ("arguments", "error"), BAD_ARGUMENTS, ids=[repr(a) for a, _ in BAD_ARGUMENTS]
)
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
    with pytest.raises(TypeError, match=rf"\b{wrong}\b.*\b{right}\b"):
        connect(URI, **{wrong: 1})
    with pytest.raises(TypeError, match=rf"\b{wrong}\b.*\b{right}\b"):
        unix_connect("/path", **{wrong: 1})


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
    other: Any = value if same else {} if old == "extra_headers" else Subclass
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
    with pytest.warns(DeprecationWarning) as caught:
        connect(URI, timeout=3)
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning) as caught:
        unix_connect("/path", timeout=3)
    assert caught[0].filename == __file__


@pytest.mark.variants("plain")
async def test_timeout_as_the_old_name_of_close_timeout_works() -> None:
    async with listening() as listener:
        with pytest.warns(DeprecationWarning):
            opening = connect(listener.uri, timeout=0.1)
        task = asyncio.ensure_future(opening.connect())
        await (await listener.accept()).handshake()
        ws = await task
        watch = Stopwatch()
        await ws.close()
        assert watch.elapsed < 0.5


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
            "Host", "Upgrade", "Connection", "Sec-WebSocket-Key",
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


# Where to connect


async def test_host_and_port_change_the_destination_but_not_the_request() -> None:
    async with listening() as listener:
        for uri, options, host in [
            ("ws://example.com/", {"host": "127.0.0.1", "port": listener.port},
             "example.com"),
            ("ws://127.0.0.1:9/", {"port": listener.port}, "127.0.0.1:9"),
            (f"ws://nowhere.invalid:{listener.port}/", {"host": "127.0.0.1"},
             f"nowhere.invalid:{listener.port}"),
        ]:
            opening = asyncio.ensure_future(connect(uri, **options).connect())
            peer = await (await listener.accept()).handshake()
            assert peer.header("Host") == host
            await finish(await opening, peer)


async def test_sock_is_taken_over() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(connect("ws://example.com/", sock=sock).connect())
        peer = await (await listener.accept()).handshake()
        assert peer.header("Host") == "example.com"
        ws = await opening
        await finish(ws, peer)
        await turns(2)
        assert sock.fileno() == -1


async def test_sock_is_closed_after_a_failed_handshake() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(connect("ws://example.com/", sock=sock).connect())
        peer = await (await listener.accept()).read_request()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(InvalidStatus):
            await opening
        await peer.gone()
        await turns(2)
        assert sock.fileno() == -1


async def test_local_addr_is_where_we_connect_from() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(listener.uri, local_addr=("127.0.0.1", 0)).connect()
        )
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert ws.local_address[0] == "127.0.0.1"
        await finish(ws, peer)


@pytest.mark.variants("plain")
async def test_keywords_of_create_connection_are_accepted() -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(
                f"ws://localhost:{listener.port}/",
                happy_eyeballs_delay=0.1,
                interleave=1,
                family=socket.AF_INET,
                proto=0,
                flags=0,
                all_errors=False,
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


async def test_refused_tcp_is_an_oserror() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("form", [str, str.encode, Path], ids=lambda f: f.__name__)
async def test_unix_connect_connects_to_a_path(
    form: Callable[[str], Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener:
        opening = asyncio.ensure_future(unix_connect(form(path)).connect())
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.header("Host") == "localhost"
        assert ws.remote_address == path
        assert ws.local_address == ""
        await ws.send("x")
        assert (await peer.read()).opcode in (TEXT, BINARY)
        await finish(ws, peer)


async def test_unix_connect_with_tls_asks_for_wss(
    tmp_path: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path, ssl=server_tls) as listener:
        opening = asyncio.ensure_future(unix_connect(path, ssl=client_tls).connect())
        peer = await (await listener.accept()).handshake()
        ws = await opening
        assert peer.header("Host") == "localhost"
        assert ws.secure
        await finish(ws, peer)


async def test_unix_connect_with_uri_and_keywords_uses_them(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener:
        opening = asyncio.ensure_future(
            unix_connect(path, "ws://example.com/there", origin="o").connect()
        )
        peer = await (await listener.accept()).handshake()
        assert (peer.header("Host"), peer.target) == ("example.com", "/there")
        assert peer.header("Origin") == "o"
        await finish(await opening, peer)


# TLS


async def test_tls_connects_to_a_server_that_is_trusted(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(listener.at("/", "localhost"), ssl=client_tls).connect()
        )
        peer = await (await listener.accept()).handshake(glued=frame(TEXT, "glued"))
        ws = await opening
        assert peer.header("Host") == f"localhost:{listener.port}"
        assert await ws.recv() == "glued"
        assert ws.secure
        await finish(ws, peer)


async def test_tls_keeps_the_name_of_the_uri_when_host_leads_elsewhere(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(
                f"wss://example.com:{listener.port}/", host="127.0.0.1", ssl=client_tls
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)

        # The destination is in the certificate, the name of the URI is not.
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(
                f"wss://example.org:{listener.port}/", host="127.0.0.1", ssl=client_tls
            )


async def test_tls_with_server_hostname_verifies_that_name(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        opening = asyncio.ensure_future(
            connect(
                f"wss://example.org:{listener.port}/",
                host="127.0.0.1",
                server_hostname="example.com",
                ssl=client_tls,
            ).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


async def test_tls_over_sock_verifies_the_name_of_the_uri(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(
            connect("wss://example.com/", sock=sock, ssl=client_tls).connect()
        )
        peer = await (await listener.accept()).handshake()
        await finish(await opening, peer)


@pytest.mark.parametrize("options", [{}, {"ssl": True}], ids=repr)
async def test_tls_by_default_trusts_only_what_the_system_trusts(
    options: dict[str, Any], server_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as listener:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.at("/", "localhost"), **options)


async def test_tls_to_a_server_without_it_is_an_oserror(
    client_tls: ssl.SSLContext,
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(f"wss://localhost:{listener.port}/", ssl=client_tls).connect()
        )
        peer = await listener.accept()
        peer.write(b"this is no TLS\r\n")
        with pytest.raises(OSError):
            await opening


async def test_tls_to_a_server_that_is_silent_times_out(
    client_tls: ssl.SSLContext,
) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError):
            await connect(
                f"wss://localhost:{listener.port}/", ssl=client_tls, open_timeout=0.1
            )


async def test_tls_to_a_server_of_another_authority_is_refused(
    authority: trustme.CA,
) -> None:
    stranger = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(stranger)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with listening(ssl=stranger) as listener:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.at("/", "localhost"), ssl=context)


# create_protocol


class Subclass(ClientConnection):
    def __init__(self, *args: Any, extra: str = "", **kwargs: Any) -> None:
        self.extra = extra
        self.calls: list[str] = []
        self.given = (args, kwargs)
        super().__init__(*args, **kwargs)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.calls.append("made")

    def connection_open(self) -> None:
        super().connection_open()
        assert self.open
        self.calls.append("open")

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.calls.append("lost")


@pytest.mark.parametrize("name", ["create_protocol", "create_connection"])
async def test_create_protocol_makes_the_connection(name: str) -> None:
    async with opened(**{name: functools.partial(Subclass, extra="mine")}) as (ws, peer):
        assert isinstance(ws, Subclass)
        assert ws.extra == "mine"
        assert ws.calls == ["made", "open"]
        args, kwargs = ws.given
        assert args == ()
        assert {
            "logger", "origin", "extensions", "subprotocols", "extra_headers",
            "user_agent_header", "ping_interval", "ping_timeout", "close_timeout",
            "max_size", "max_queue", "read_limit", "write_limit", "host", "port",
            "secure",
        } <= set(kwargs)
        assert kwargs["host"] == "127.0.0.1"
        assert kwargs["port"] == peer.writer.get_extra_info("sockname")[1]
        assert kwargs["secure"] is False
        await finish(ws, peer)
        assert ws.calls == ["made", "open", "lost"]


async def test_create_protocol_that_raises_raises_from_await() -> None:
    def broken(**kwargs: Any) -> ClientConnection:
        raise LookupError("no")

    async with listening() as listener:
        with pytest.raises(LookupError):
            await connect(listener.uri, create_protocol=broken)


async def test_connection_open_that_sends_works() -> None:
    class Greeting(ClientConnection):
        def connection_open(self) -> None:
            self.greeting = asyncio.ensure_future(self.send("hello"))

    async with opened(create_protocol=Greeting) as (ws, peer):
        assert (await peer.read()).text == "hello"
        await ws.greeting  # type: ignore[attr-defined]


@pytest.mark.parametrize("static", [True, False])
async def test_process_subprotocol_can_be_overridden(static: bool) -> None:
    class Lenient(ClientConnection):
        if static:

            @staticmethod
            def process_subprotocol(
                headers: Headers, available: Sequence[str] | None
            ) -> str | None:
                return f"{headers['X-Protocol']} of {available}"

        else:

            def process_subprotocol(  # type: ignore[no-redef]
                self, headers: Headers, available: Sequence[str] | None
            ) -> str | None:
                return f"{headers['X-Protocol']} of {available}"

    async with opened(
        "X-Protocol: mine", create_protocol=Lenient, subprotocols=["a", "b"]
    ) as (ws, _):
        assert ws.subprotocol == "mine of ['a', 'b']"


async def test_process_extensions_can_be_overridden() -> None:
    class Lenient(ClientConnection):
        @staticmethod
        def process_extensions(
            headers: Headers, available: Sequence[ClientExtensionFactory] | None
        ) -> list[Extension]:
            return []

    async with opened(
        "Sec-WebSocket-Extensions: x-unknown", create_protocol=Lenient
    ) as (ws, peer):
        assert ws.extensions == []
        await ws.send("x")
        assert (await peer.read()).text == "x"


class Reverse(Extension):
    """Turns text round, both ways."""

    name = "x-reverse"  # type: ignore[assignment]

    def encode(self, frame: Frame) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin, rsv2=True)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin)


class ReverseFactory(ClientExtensionFactory):
    name = "x-reverse"  # type: ignore[assignment]

    def get_request_params(self) -> list[tuple[str, str | None]]:
        return [("how", "all")]

    def process_response_params(self, params: Any, accepted_extensions: Any) -> Extension:
        return Reverse()


async def test_extensions_of_the_user_are_offered_and_used() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: x-reverse",
        extensions=[ReverseFactory()],
        compression="deflate",
    ) as (ws, peer):
        assert peer.header("Sec-WebSocket-Extensions") == (
            "x-reverse; how=all, permessage-deflate; client_max_window_bits"
        )
        await ws.send("abc")
        received = await peer.read()
        assert received.payload == b"cba"
        peer.write(frame(TEXT, "olleh", rsv=0x20))
        assert await ws.recv() == "hello"


async def test_permessage_deflate_of_the_user_takes_the_place_of_the_default() -> None:
    async with opened(
        extensions=[ClientPerMessageDeflateFactory(server_max_window_bits=10)],
        compression="deflate",
    ) as (_, peer):
        assert peer.header("Sec-WebSocket-Extensions") == (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits"
        )


# Using the object


async def test_connect_awaited_returns_an_open_connection() -> None:
    async with listening() as listener:

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            await peer.answer_close()

        task = asyncio.ensure_future(serve())
        ws = await connect(listener.uri)
        assert ws.open
        await ws.close()
        await task


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1000), (LookupError, 1011), (asyncio.CancelledError, 1011)],
)
async def test_connect_as_context_manager_always_closes(
    error: type[BaseException] | None, code: int
) -> None:
    async with listening() as listener:
        codes = []

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            codes.append((await peer.answer_close()).code)

        task = asyncio.ensure_future(serve())
        try:
            async with connect(listener.uri) as ws:
                assert ws.open
                if error is not None:
                    raise error
        except (LookupError, asyncio.CancelledError) as exc:
            assert type(exc) is error
        await task
        assert ws.closed
        assert codes == [code]


async def test_connect_object_may_be_used_again_but_not_twice_at_once() -> None:
    async with listening() as listener:

        async def serve() -> None:
            for _ in range(2):
                await (await (await listener.accept()).handshake()).answer_close()

        task = asyncio.ensure_future(serve())
        opening = connect(listener.uri)
        async with opening:
            with pytest.raises(RuntimeError):
                async with opening:
                    pass
        async with opening as ws:
            assert ws.open
        await task


# Responses


async def test_frames_glued_to_the_response_are_received() -> None:
    glued = frame(TEXT, "one") + frame(BINARY, b"\xff" * 70_000) + close_frame(1001)
    async with opened(glued=glued) as (ws, peer):
        assert await ws.recv() == "one"
        assert await ws.recv() == b"\xff" * 70_000
        peer.close()
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_fault_glued_to_the_response_fails_the_open_connection() -> None:
    async with opened(glued=frame(TEXT, "ok") + frame(3)) as (ws, peer):
        assert await ws.recv() == "ok"
        assert (await peer.answer_close()).code == 1002
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


async def test_response_byte_by_byte_is_accepted() -> None:
    async with listening() as listener:

        async def trickle(peer: Peer) -> None:
            await peer.read_request()
            for byte in peer.switching() + frame(TEXT, "x"):
                peer.write(bytes([byte]))
                await turns(2)

        ws, peer = await attempt(listener, trickle)
        assert await ws.recv() == "x"
        await finish(ws, peer)


async def test_interim_responses_are_skipped() -> None:
    async with listening() as listener:

        async def hesitate(peer: Peer) -> None:
            await peer.read_request()
            peer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            peer.write(peer.switching())

        ws, peer = await attempt(listener, hesitate)
        await finish(ws, peer)


@pytest.mark.variants("plain")
async def test_response_may_spell_its_headers_in_any_case_and_as_lists() -> None:
    async with listening() as listener:

        async def respond(peer: Peer) -> None:
            await peer.read_request()
            peer.write(
                (
                    "HTTP/1.1 101 \r\nUPGRADE: WebSocket\r\n"
                    "connection: keep-alive, UPGRADE\r\n"
                    f"SEC-WEBSOCKET-ACCEPT: {peer.accept}\r\n\r\n"
                ).encode()
            )

        ws, peer = await attempt(listener, respond)
        await finish(ws, peer)


def answer(*lines: str, end: str = "\r\n\r\n") -> bytes:
    return ("\r\n".join(lines) + end).encode("iso-8859-1")


GOOD = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: {accept}",
]


def without(start: str) -> list[str]:
    return [line for line in GOOD if not line.startswith(start)]


BAD_RESPONSES: dict[str, tuple[bytes, type[Exception], type[Exception] | None]] = {
    "nothing": (b"", InvalidMessage, EOFError),
    "half a status line": (b"HTTP/1.", InvalidMessage, EOFError),
    "half a header": (b"HTTP/1.1 101 OK\r\nUpgr", InvalidMessage, EOFError),
    "rubbish": (b"\x16\x03\x01 rubbish\r\n\r\n", InvalidMessage, ValueError),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", InvalidMessage, ValueError),
    "HTTP/1.0": (answer("HTTP/1.0 101 OK", *GOOD[1:]), InvalidMessage, ValueError),
    "HTTP/2": (answer("HTTP/2 101 OK", *GOOD[1:]), InvalidMessage, ValueError),
    "no reason part": (answer("HTTP/1.1 101", *GOOD[1:]), InvalidMessage, ValueError),
    "status abc": (answer("HTTP/1.1 abc OK"), InvalidMessage, ValueError),
    "status 99": (answer("HTTP/1.1 99 OK"), InvalidMessage, ValueError),
    "status 600": (answer("HTTP/1.1 600 OK"), InvalidMessage, ValueError),
    "LF only": (b"HTTP/1.1 101 OK\nUpgrade: websocket\n\n", InvalidMessage, ValueError),
    "folded": (answer(*GOOD, "X: a", " b"), InvalidMessage, ValueError),
    "space before colon": (answer(*GOOD, "X : a"), InvalidMessage, ValueError),
    "no colon": (answer(*GOOD, "nonsense"), InvalidMessage, ValueError),
    "long header": (
        answer(*GOOD, "X: " + "a" * 10_000), InvalidMessage, SecurityError
    ),
    "many headers": (answer(*GOOD, *["X: a"] * 200), InvalidMessage, SecurityError),
    "long status line": (answer("HTTP/1.1 101 " + "a" * 10_000), SecurityError, None),
    "endless status line": (b"HTTP/1.1 101 " + b"a" * 100_000, SecurityError, None),
    "endless header": (
        b"HTTP/1.1 101 OK\r\nX: " + b"a" * 100_000, InvalidMessage, SecurityError
    ),
    "200": (answer("HTTP/1.1 200 OK", "Content-Length: 0"), InvalidStatus, None),
    "large body": (
        answer("HTTP/1.1 404 No", "Content-Length: 999999999"), InvalidMessage,
        SecurityError,
    ),
    "endless body": (
        answer("HTTP/1.1 404 No") + bytes(2_000_000), InvalidMessage, SecurityError
    ),
    "no Connection": (answer(*without("Connection")), InvalidUpgrade, None),
    "wrong Connection": (
        answer(*without("Connection"), "Connection: close"), InvalidUpgrade, None
    ),
    "no Upgrade": (answer(*without("Upgrade")), InvalidUpgrade, None),
    "wrong Upgrade": (
        answer(*without("Upgrade"), "Upgrade: h2c"), InvalidUpgrade, None
    ),
    "two Upgrades": (answer(*GOOD, "Upgrade: websocket"), InvalidUpgrade, None),
    "no Accept": (answer(*without("Sec")), InvalidHeader, None),
    "two Accepts": (answer(*GOOD, GOOD[-1]), InvalidHeader, None),
    "wrong Accept": (
        answer(*without("Sec"), "Sec-WebSocket-Accept: AAAA"), InvalidHeaderValue, None
    ),
    "extension": (
        answer(*GOOD, "Sec-WebSocket-Extensions: permessage-deflate"),
        NegotiationError, None,
    ),
    "subprotocol": (
        answer(*GOOD, "Sec-WebSocket-Protocol: chat"), NegotiationError, None
    ),
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "stays"])
async def test_bad_response_raises_and_closes_the_socket(name: str, ends: bool) -> None:
    data, error, cause = BAD_RESPONSES[name]
    if cause is EOFError and not ends:
        error, cause = TimeoutError, None
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(listener.uri, compression=None, open_timeout=0.3).connect()
        )
        peer = await (await listener.accept()).read_request()
        peer.write(data.replace(b"{accept}", peer.accept.encode()))
        if ends:
            peer.close()
        watch = Stopwatch()

        with pytest.raises(error) as caught:
            await opening

        if cause is not None:
            assert isinstance(caught.value.__cause__, cause)
        if error is not TimeoutError:
            assert isinstance(caught.value, InvalidHandshake)
            assert watch.elapsed < 0.25
        if not ends:
            await peer.gone()


NEGOTIATIONS = {
    "unknown extension": (["Sec-WebSocket-Extensions: x-a"], NegotiationError),
    "repeated extension": (
        ["Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"],
        NegotiationError,
    ),
    "unknown parameter": (
        ["Sec-WebSocket-Extensions: permessage-deflate; x=1"], NegotiationError
    ),
    "malformed extension": (["Sec-WebSocket-Extensions: a;;b="], InvalidHeaderFormat),
    "unknown subprotocol": (["Sec-WebSocket-Protocol: three"], NegotiationError),
    "two subprotocols": (["Sec-WebSocket-Protocol: one, two"], InvalidHandshake),
    "malformed subprotocol": (["Sec-WebSocket-Protocol: a b"], InvalidHeaderFormat),
}


@pytest.mark.parametrize("name", NEGOTIATIONS)
@pytest.mark.variants("plain")
async def test_bad_negotiation_raises(name: str) -> None:
    headers, error = NEGOTIATIONS[name]
    async with listening() as listener:

        async def respond(peer: Peer) -> None:
            await peer.handshake(*headers)

        with pytest.raises(error):
            await attempt(
                listener, respond, compression="deflate", subprotocols=["one", "two"]
            )
        await listener.peers[0].gone()


@pytest.mark.variants("plain")
async def test_no_subprotocol_though_some_were_offered_is_fine() -> None:
    async with opened(subprotocols=["one"]) as (ws, _):
        assert ws.subprotocol is None


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 9\r\n\r\nForbidden",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nForb\r\n5\r\nidden\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_refusal_has_status_headers_and_body(framing: bytes) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(listener.uri, close_timeout=5).connect()
        )
        peer = await (await listener.accept()).read_request()
        watch = Stopwatch()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n" + framing)
        with pytest.raises(InvalidStatusCode) as caught:
            await opening

        # The server keeps TCP open, which is none of our business.
        assert watch.elapsed < 1
        assert caught.value.status_code == 403
        assert caught.value.headers["X-Why"] == "because"
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == b"Forbidden"
        assert str(caught.value).endswith("HTTP 403")
        await peer.gone()


# Time


async def test_open_timeout_ends_waiting_for_a_silent_server() -> None:
    async with listening() as listener:
        watch = Stopwatch()
        with pytest.raises(TimeoutError, match="open_timeout"):
            await connect(listener.uri, open_timeout=0.1, close_timeout=5)
        assert 0.08 < watch.elapsed < 0.6
        await (await listener.accept()).gone()


async def test_open_timeout_covers_a_response_that_never_ends() -> None:
    async with listening() as listener:

        async def drip() -> None:
            peer = await (await listener.accept()).read_request()
            peer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
            try:
                while True:
                    peer.write(b"X: y\r\n")
                    await peer.drain()
                    await asyncio.sleep(0.02)
            except ConnectionError:
                pass

        task = asyncio.ensure_future(drip())
        watch = Stopwatch()
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=0.2)
        assert watch.elapsed < 0.8
        await task


async def test_open_timeout_covers_all_redirects_together() -> None:
    async with listening() as listener:

        async def serve() -> None:
            try:
                while True:
                    peer = await (await listener.accept()).read_request()
                    await asyncio.sleep(0.06)
                    peer.write(redirect("/again"))
            except asyncio.CancelledError:
                pass

        task = asyncio.ensure_future(serve())
        watch = Stopwatch()
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=0.2)
        assert watch.elapsed < 0.8
        task.cancel()
        await task


@pytest.mark.parametrize("value", [0, -1])
async def test_open_timeout_of_nothing_fails_at_once(value: float) -> None:
    async with listening() as listener:
        with pytest.raises(TimeoutError):
            await connect(listener.uri, open_timeout=value)


async def test_open_timeout_none_waits() -> None:
    async with listening() as listener:

        async def late(peer: Peer) -> None:
            await asyncio.sleep(0.05)
            await peer.handshake()

        ws, peer = await attempt(listener, late, open_timeout=None)
        await finish(ws, peer)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
async def test_cancelling_while_connecting_closes_the_socket(
    secure: bool, client_tls: ssl.SSLContext
) -> None:
    async with listening() as listener:
        options: dict[str, Any] = {"ssl": client_tls} if secure else {}
        scheme = "wss" if secure else "ws"
        uri = f"{scheme}://localhost:{listener.port}/"
        task = asyncio.ensure_future(connect(uri, **options).connect())
        peer = await listener.accept()
        await peer.reader.read(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.gone()


async def test_cancelling_at_any_moment_leaves_nothing_open() -> None:
    async with listening() as listener:

        async def serve() -> None:
            while True:
                peer = await listener.accept()
                served.append(asyncio.ensure_future(handshake(peer)))

        async def handshake(peer: Peer) -> None:
            try:
                await peer.handshake()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            await peer.gone()
            peer.close()

        served: list[asyncio.Future[None]] = []
        task = asyncio.ensure_future(serve())
        for wait in range(20):
            opening = asyncio.ensure_future(
                connect(listener.uri, close_timeout=0.1).connect()
            )
            await turns(wait)
            opening.cancel()
            try:
                ws = await opening
            except asyncio.CancelledError:
                continue
            await ws.close()
        await turns(10)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.gather(*served)


# Redirects


def redirect(location: str | None, status: int = 302) -> bytes:
    lines = [f"HTTP/1.1 {status} Redirect", "Content-Length: 0"]
    if location is not None:
        lines.append(f"Location: {location}")
    return answer(*lines)


async def redirected(
    listener: Listener, location: str, status: int = 302
) -> Peer:
    """Take a connection and send it elsewhere; it must be closed then."""
    peer = await (await listener.accept()).read_request()
    peer.write(redirect(location, status))
    await peer.gone()
    return peer


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.variants("plain")
async def test_redirect_with_any_status_is_followed(status: int) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(connect(listener.at("/old?a=b")).connect())
        first = await redirected(listener, "/new?c=d", status)
        second = await (await listener.accept()).handshake()
        ws = await opening

        assert (first.target, second.target) == ("/old?a=b", "/new?c=d")
        assert ws.path == "/new?c=d"
        await finish(ws, second)


async def test_redirect_to_the_same_origin_sends_everything_again() -> None:
    async with listening() as listener:
        uri = f"ws://user:password@127.0.0.1:{listener.port}/a/b"
        opening = asyncio.ensure_future(
            connect(uri, extra_headers={"Cookie": "c", "X": "y"}, origin="o").connect()
        )
        first = await redirected(listener, "c")
        second = await (await listener.accept()).handshake()

        assert second.target == "/a/c"
        for name in ("Authorization", "Cookie", "X", "Origin"):
            assert first.headers(name) == second.headers(name) != []
        await finish(await opening, second)


async def test_redirect_to_another_origin_drops_credentials() -> None:
    headers = {
        "Authorization": "Bearer secret",
        "Cookie": "secret",
        "Proxy-Authorization": "secret",
        "X-Other": "kept",
    }
    async with listening() as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers=headers, subprotocols=["p"]).connect()
        )
        first = await redirected(one, two.at("/there"))
        second = await (await two.accept()).handshake()

        assert first.header("Authorization") == "Bearer secret"
        for name in ("Authorization", "Cookie", "Proxy-Authorization"):
            assert first.headers(name) != []
            assert second.headers(name) == []
        assert second.header("X-Other") == "kept"
        assert second.header("Sec-WebSocket-Protocol") == "p"
        assert second.header("Host") == f"127.0.0.1:{two.port}"
        assert b"secret" not in second.request
        await finish(await opening, second)


async def test_redirect_to_another_origin_drops_credentials_of_the_uri() -> None:
    async with listening() as one, listening() as two:
        uri = f"ws://user:password@127.0.0.1:{one.port}/"
        opening = asyncio.ensure_future(connect(uri).connect())
        first = await redirected(one, two.uri)
        second = await (await two.accept()).handshake()
        assert first.headers("Authorization") != []
        assert second.headers("Authorization") == []
        await finish(await opening, second)


async def test_redirect_there_and_back_does_not_restore_credentials() -> None:
    async with listening() as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers={"Cookie": "secret"}).connect()
        )
        await redirected(one, two.uri)
        await redirected(two, one.at("/back"))
        third = await (await one.accept()).handshake()
        assert third.headers("Cookie") == []
        await finish(await opening, third)


async def test_redirect_from_ws_to_wss_connects_with_tls(
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fullduplex.asyncio import client

    # What the system trusts, where the test can say it.
    monkeypatch.setattr(client, "default_context", lambda: client_tls)
    async with listening() as one, listening(ssl=server_tls) as two:
        opening = asyncio.ensure_future(
            connect(one.uri, extra_headers={"Cookie": "secret"}).connect()
        )
        await redirected(one, two.at("/", "localhost"))
        second = await (await two.accept()).handshake()
        ws = await opening
        assert ws.secure
        assert ws.transport.get_extra_info("ssl_object") is not None
        assert second.headers("Cookie") == []
        await finish(ws, second)


async def test_redirect_from_wss_to_ws_is_refused(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with listening(ssl=server_tls) as one, listening() as two:
        opening = asyncio.ensure_future(
            connect(one.at("/", "localhost"), ssl=client_tls).connect()
        )
        await redirected(one, two.uri)
        with pytest.raises(SecurityError):
            await opening
        assert two.peers == []


async def test_redirects_without_end_are_refused_after_ten_requests() -> None:
    async with listening() as listener:

        async def serve() -> None:
            for number in range(10):
                await redirected(listener, f"/{number}")

        task = asyncio.ensure_future(serve())
        with pytest.raises(SecurityError):
            await connect(listener.uri)
        await task
        assert len(listener.peers) == 10


@pytest.mark.parametrize(
    ("location", "status", "error"),
    [
        ("http://127.0.0.1/", 302, InvalidURI),
        ("https://127.0.0.1/", 302, InvalidURI),
        ("ws://127.0.0.1/#fragment", 302, InvalidURI),
        (None, 302, InvalidStatus),
        ("/elsewhere", 304, InvalidStatus),
        ("/elsewhere", 200, InvalidStatus),
    ],
)
@pytest.mark.variants("plain")
async def test_redirect_that_leads_nowhere_raises(
    location: str | None, status: int, error: type[Exception]
) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(connect(listener.uri).connect())
        peer = await (await listener.accept()).read_request()
        peer.write(redirect(location, status))
        with pytest.raises(error):
            await opening
        await peer.gone()


async def test_redirect_with_a_destination_of_the_caller() -> None:
    async with listening() as one, listening() as two:
        # The same origin: the destination still holds.
        opening = asyncio.ensure_future(
            connect("ws://example.com/", host="127.0.0.1", port=one.port).connect()
        )
        await redirected(one, "/there")
        second = await (await one.accept()).handshake()
        assert (second.target, second.header("Host")) == ("/there", "example.com")
        await finish(await opening, second)

        # Another one: it does not.
        opening = asyncio.ensure_future(
            connect("ws://example.com/", host="127.0.0.1", port=one.port).connect()
        )
        await redirected(one, two.uri)
        with pytest.raises(ValueError, match="host"):
            await opening


async def test_redirect_with_sock_is_refused() -> None:
    async with listening() as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setblocking(False)
        opening = asyncio.ensure_future(connect("ws://localhost/", sock=sock).connect())
        await redirected(listener, "/there")
        with pytest.raises(ValueError, match="sock"):
            await opening


async def test_redirect_of_a_unix_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with listening(path=path) as listener, listening() as other:
        opening = asyncio.ensure_future(unix_connect(path).connect())
        await redirected(listener, "/there")
        second = await (await listener.accept()).handshake()
        assert second.target == "/there"
        await finish(await opening, second)

        opening = asyncio.ensure_future(unix_connect(path).connect())
        await redirected(listener, other.uri)
        with pytest.raises(ValueError, match="Unix"):
            await opening
