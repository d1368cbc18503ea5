"""What each kind of request is answered with, seen from the wire."""

from __future__ import annotations

import asyncio
import logging
import re
import select
from typing import Any

import pytest

from fullduplex import ServerConnection, connect, serve
from fullduplex.core.http.messages import MAX_LINE_LENGTH, MAX_NUM_HEADERS

from ..kit.asyncio_peer import turns, until
from ..kit.bytes import ACCEPT, CLOSE, MASK, TEXT, frame, request
from ..kit.clock import PATIENCE
from .server_kit import records, serving

TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(40)

# Name, request, status, what the response must have besides.
REFUSED: list[tuple[str, bytes, int, dict[str, str | None]]] = [
    ("plain", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, {"Upgrade": "websocket"}),
    ("other-upgrade", request(Upgrade="h2c"), 426, {"Upgrade": "websocket"}),
    ("two-upgrades", request(Upgrade="websocket, h2c"), 426, {"Upgrade": "websocket"}),
    ("no-connection", request(without="Connection"), 426, {}),
    ("post", request("POST / HTTP/1.1"), 405, {"Allow": "GET"}),
    ("http-1.0", request("GET / HTTP/1.0"), 505, {}),
    ("long-line", request("GET /" + "a" * MAX_LINE_LENGTH + " HTTP/1.1"), 414, {}),
    ("long-header", request("GET / HTTP/1.1", "A: " + "a" * MAX_LINE_LENGTH), 431, {}),
    ("many-headers", request("GET / HTTP/1.1", *["A: a"] * MAX_NUM_HEADERS), 431, {}),
    ("no-key", request(without="Sec-WebSocket-Key"), 400, {}),
    ("bad-key", request(Sec_WebSocket_Key="no key"), 400, {}),
    ("short-key", request(Sec_WebSocket_Key="AAAA"), 400, {}),
    ("two-keys", request("GET / HTTP/1.1", "Sec-WebSocket-Key: AAAA"), 400, {}),
    ("no-host", request(without="Host"), 400, {}),
    (
        "old-version",
        request(Sec_WebSocket_Version="8"),
        426,
        {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"},
    ),
    (
        "bad-extensions",
        request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: ;"),
        400,
        {},
    ),
    ("bad-protocols", request("GET / HTTP/1.1", "Sec-WebSocket-Protocol: ;"), 400, {}),
    ("two-origins", request("GET / HTTP/1.1", "Origin: a", "Origin: b"), 400, {}),
    ("non-ascii-path", "GET /é HTTP/1.1\r\n\r\n".encode(), 400, {}),
    ("body", request("GET / HTTP/1.1", "Content-Length: 3") + b"abc", 400, {}),
    ("chunked", request("GET / HTTP/1.1", "Transfer-Encoding: chunked"), 400, {}),
    ("folded", request("GET / HTTP/1.1", "A: b", " c"), 400, {}),
    ("long-head", request("GET / HTTP/1.1", *["A: " + "a" * 8000] * 9), 431, {}),
]

SILENT = [
    ("garbage", b"\x00\x01\x02\r\n\r\n"),
    ("tls-hello", TLS_HELLO + b"\n"),
    ("http-2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
]


async def never(ws: ServerConnection) -> None:
    raise AssertionError("the handler was called")


@pytest.mark.variants("transports")
@pytest.mark.parametrize(
    ("data", "status", "headers"),
    [item[1:] for item in REFUSED],
    ids=[item[0] for item in REFUSED],
)
async def test_request_that_cannot_open_a_connection_is_refused(
    data: bytes, status: int, headers: dict[str, str | None]
) -> None:
    async with serving(never) as place:
        client = await place.connect()
        answer = await client.ask(data)

        assert answer.status == status
        assert answer.header("Connection") == "close"
        assert answer.header("Date") is not None
        assert "fullduplex" in (answer.header("Server") or "")
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"
        for name, value in headers.items():
            assert answer.header(name) == value
        assert await client.ended() == b""


@pytest.mark.parametrize(
    "data", [item[1] for item in SILENT], ids=[item[0] for item in SILENT]
)
async def test_bytes_that_are_no_request_get_no_answer_and_no_record(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(never) as place:
        caplog.clear()
        client = await place.connect()
        client.write(data)

        assert await client.ended() == b""
        assert records(caplog) == []
        assert any("no valid HTTP request" in line for line in records(caplog, 0))


@pytest.mark.variants("plain")
async def test_refusal_is_logged_once_at_info(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(never) as place:
        caplog.clear()
        client = await place.connect()
        await client.ask(request(without="Upgrade"))
        await client.ended()

        assert records(caplog) == ["connection rejected (426 Upgrade Required)"]


async def test_content_length_of_0_is_no_body() -> None:
    async with serving() as place:
        client = await place.connect()
        answer = await client.ask(request("GET / HTTP/1.1", "Content-Length: 0"))

        assert answer.status == 101
        assert answer.header("Sec-WebSocket-Accept") == ACCEPT


async def test_frames_glued_to_the_request_are_kept() -> None:
    async with serving() as place:
        client = await place.connect()
        client.write(request() + frame(TEXT, "early", mask=MASK))

        assert (await client.answer()).status == 101
        assert (await client.read()).text == "early"


@pytest.mark.variants("all")
async def test_frames_sent_while_a_hook_waits_are_kept() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def process_request(connection: object, request: object) -> None:
        entered.set()
        await go_on.wait()

    async with serving(process_request=process_request) as place:
        client = await place.connect()
        client.write(request() + frame(TEXT, "1", mask=MASK))
        await entered.wait()
        client.send(TEXT, "2")
        (connection,) = place.server._connections
        await until(lambda: connection._early_paused)
        for text in ("3", "4"):
            client.send(TEXT, text)
            await client.drain()
        await turns(3)
        go_on.set()

        assert (await client.answer()).status == 101
        assert [(await client.read()).text for _ in range(4)] == ["1", "2", "3", "4"]


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="no such events here")
@pytest.mark.variants("all")
async def test_client_that_leaves_behind_early_frames_is_noticed() -> None:
    entered, gone = asyncio.Event(), asyncio.Event()

    async def process_request(connection: ServerConnection, request: object) -> None:
        entered.set()
        await connection.wait_closed()
        gone.set()

    async with serving(process_request=process_request, open_timeout=None) as place:
        client = await place.connect()
        client.write(request() + frame(TEXT, "1", mask=MASK))
        await entered.wait()
        client.send(TEXT, "2")
        (connection,) = place.server._connections
        await until(lambda: connection._early_paused)
        client.send(TEXT, "3")
        await client.drain()
        client.close()

        await asyncio.wait_for(gone.wait(), PATIENCE)
        await until(lambda: not place.server._connections)


@pytest.mark.variants("plain")
async def test_request_that_comes_byte_by_byte_is_understood() -> None:
    async with serving() as place:
        client = await place.connect()
        for byte in request():
            client.write(bytes([byte]))
            await asyncio.sleep(0)

        assert (await client.answer()).status == 101


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (["https://a.ok.com"], "https://a.ok.com", 101),
        (["https://a.ok.com"], "https://A.ok.com", 403),
        (["https://a.ok.com"], None, 403),
        (["https://a.ok.com", None], None, 101),
        ([re.compile(r"https://.*\.ok\.com")], "https://a.ok.com", 101),
        ([re.compile(r"https://.*\.ok\.com")], "https://a.ok.com.evil", 403),
        ([re.compile(r".*")], None, 403),
        (None, "https://evil", 101),
    ],
)
async def test_origin_decides(
    origins: list[str | re.Pattern[str] | None] | None, origin: str | None, status: int
) -> None:
    seen = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(ws.origin)

    async with serving(handler, origins=origins) as place:
        client = await place.connect()
        more = [] if origin is None else [f"Origin: {origin}"]
        answer = await client.ask(request("GET / HTTP/1.1", *more))

        assert answer.status == status
        if status == 101:
            await client.say_goodbye()
            assert seen == [origin]
        else:
            await client.ended()
            assert seen == []


@pytest.mark.variants("plain")
async def test_empty_origin_means_none_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="None instead of ''"):
        starting = serve(never, "127.0.0.1", 0, origins=["", "https://a"])

    assert starting.ws_server.settings.origins == [None, "https://a"]


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("offer", "status", "chosen"),
    [
        ("b, a", 101, "a"),
        ("b", 101, "b"),
        ("c", 400, None),
        (None, 400, None),
    ],
)
async def test_subprotocol_is_the_first_of_the_server_that_is_offered(
    offer: str | None, status: int, chosen: str | None
) -> None:
    async with serving(subprotocols=["a", "b"]) as place:
        client = await place.connect()
        more = [] if offer is None else [f"Sec-WebSocket-Protocol: {offer}"]
        answer = await client.ask(request("GET / HTTP/1.1", *more))

        assert answer.status == status
        assert answer.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.variants("plain")
async def test_window_of_8_bits_is_answered_without_compression() -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"
    async with serving(compression="deflate") as place:
        client = await place.connect()
        answer = await client.ask(request("GET / HTTP/1.1", offer))

        assert answer.status == 101
        assert answer.header("Sec-WebSocket-Extensions") is None


@pytest.mark.variants("plain")
async def test_server_header_can_be_left_out() -> None:
    async with serving(server_header=None) as place:
        assert (await (await place.connect()).upgrade()).header("Server") is None
        refusal = await (await place.connect()).ask(request(without="Upgrade"))
        assert refusal.header("Server") is None


@pytest.mark.variants("plain")
async def test_extra_headers_are_in_the_101_only() -> None:
    async with serving(
        extra_headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Server", "X")]
    ) as place:
        answer = await (await place.connect()).upgrade()
        cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
        assert cookies == ["a=1", "b=2"]
        assert answer.header("Server") == "X"

        refusal = await (await place.connect()).ask(request(without="Upgrade"))
        assert refusal.header("Set-Cookie") is None


@pytest.mark.variants("plain")
async def test_extra_headers_may_be_a_function_of_the_request() -> None:
    async with serving(
        extra_headers=lambda path, headers: {"X-Path": path, "X-Host": headers["Host"]}
    ) as place:
        answer = await (await place.connect()).upgrade(path="/a?b")
        assert answer.header("X-Path") == "/a?b"
        assert answer.header("X-Host") == "example.com"


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    "bad", [{"Upgrade": "h2c"}, {"X": "a\r\nb"}, None, 3], ids=repr
)
async def test_extra_headers_that_cannot_be_sent_fail_the_handshake_with_500(
    bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(never, extra_headers=lambda path, headers: bad) as place:
        answer = await (await place.connect()).ask(request())

        if bad is None:
            assert answer.status == 101
            return
        assert answer.status == 500
        assert b"h2c" not in answer.body
        assert "extra_headers failed" in records(caplog, logging.ERROR)


async def test_request_is_known_to_the_handler_as_it_travelled() -> None:
    seen: list[Any] = []

    async def handler(ws: ServerConnection) -> None:
        assert ws.request is not None
        assert ws.response is not None
        seen.append((ws.path, ws.request_headers["Host"], ws.request.path))
        seen.append(ws.response_headers["Upgrade"])
        seen.append(ws.response.status_code)
        assert ws.ws_server is ws.server
        assert ws.open

    async with serving(handler) as place:
        client = await place.open(path="/%41?q=%C3%A9")
        await client.say_goodbye()

        assert seen == [
            ("/%41?q=%C3%A9", "example.com", "/%41?q=%C3%A9"),
            "websocket",
            101,
        ]


async def test_both_ends_over_tls(server_tls: object, client_tls: object) -> None:
    async with (
        serving(ssl=server_tls) as place,
        connect(place.uri, ssl=client_tls) as ws,
    ):
        await ws.send("hello")
        assert await ws.recv() == "hello"


@pytest.mark.variants("plain")
async def test_client_that_closes_gets_its_code_back() -> None:
    async with serving() as place:
        client = await place.open()
        client.send(CLOSE, b"\x0b\xb8bye")

        assert (await client.closed_with()).code == 3000
        assert await client.ended() == b""
