"""The opening handshake through uvicorn: what the application sees and may answer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from fullduplex import ConnectionClosedError, InvalidHeader, InvalidStatus, unix_connect

from ..kit.asyncio_peer import Peer, turns, until
from .kit import HANDSHAKE, accepted, echo, quiet, site

START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


async def answer(peer: Peer) -> tuple[str, dict[str, str], bytes]:
    """Read a response: status line, headers in lower case, what follows."""
    head = (await peer.reader.readuntil(b"\r\n\r\n")).decode("iso-8859-1")
    first, *lines = head.split("\r\n")[:-2]
    pairs = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in pairs}
    if headers.get("upgrade") == "websocket" and " 101 " in first:
        return first, headers, b""
    return first, headers, await peer.reader.read()


# The scope


async def test_scope_tells_what_the_request_was() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    async with site(app, root_path="/mount") as here:
        async with here.connected(
            "/caf%C3%A9/%2F?a=1&b=%20",
            subprotocols=["one", "two"],
            additional_headers={"X-Name": "välue"},
        ) as ws:
            client = ws.local_address
        (scope,) = scopes
        assert scope["type"] == "websocket"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert scope["http_version"] == "1.1"
        assert scope["scheme"] == "ws"
        assert scope["root_path"] == "/mount"
        assert scope["path"] == "/mount/café//"
        assert scope["raw_path"] == b"/mount/caf%C3%A9/%2F"
        assert scope["query_string"] == b"a=1&b=%20"
        assert (b"x-name", "välue".encode("iso-8859-1")) in scope["headers"]
        assert scope["subprotocols"] == ["one", "two"]
        assert scope["client"] == client
        assert scope["server"] == ("127.0.0.1", here.port)
        assert scope["extensions"] == {"websocket.http.response": {}}


@pytest.mark.variants("loops")
async def test_scope_has_a_copy_of_the_state_of_the_lifespan() -> None:
    states: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = ["object"]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(scope["state"])
        scope["state"]["own"] = 1
        await echo(scope, receive, send)

    async with site(app, lifespan="on") as here:
        for _ in range(2):
            async with here.connected():
                pass
    assert states == [{"shared": ["object"], "own": 1}] * 2
    assert states[0] is not states[1]
    assert states[0]["shared"] is states[1]["shared"]


@pytest.mark.variants("loops")
async def test_scope_over_tls_is_wss(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    schemes: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        schemes.append(scope["scheme"])
        await echo(scope, receive, send)

    async with (
        site(app, tls=server_tls) as here,
        here.connected(ssl=client_tls) as ws,
    ):
        for message in ("secret", "s" * 1_000_000):
            await ws.send(message)
            assert await ws.recv() == message
    assert schemes == ["wss"]


@pytest.mark.variants("loops")
async def test_scope_over_ipv6_and_unix_sockets_has_their_addresses(
    tmp_path: Path,
) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    async with site(app, host="::1") as here, here.connected() as ws:
        await ws.send("six")
        assert await ws.recv() == "six"
    path = str(tmp_path / "socket")
    async with site(app, unix=path), unix_connect(path) as ws:
        await ws.send("unix")
        assert await ws.recv() == "unix"
    assert scopes[0]["client"][0] == scopes[0]["server"][0] == "::1"
    assert scopes[1]["client"] is None
    assert scopes[1]["server"] == (path, None)


# Accepting


async def test_accept_sends_the_headers_and_the_subprotocol_of_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-one", b"1"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]
        await accepted(receive, send, subprotocol="two", headers=headers)
        await receive()

    async with site(app) as here, here.connected(subprotocols=["one", "two"]) as ws:
        assert ws.subprotocol == "two"
        assert ws.response_headers["X-One"] == "1"
        assert ws.response_headers.get_all("Set-Cookie") == ["a=b", "c=d"]
        assert ws.response_headers["Server"] == "uvicorn"
        assert ws.response_headers["Date"].endswith(" GMT")
    assert quiet(caplog.records)


async def test_accept_has_no_server_and_no_date_where_these_are_switched_off() -> None:
    async with (
        site(echo, server_header=False, date_header=False) as here,
        here.connected() as ws,
    ):
        assert "Server" not in ws.response_headers
        assert "Date" not in ws.response_headers


async def test_subprotocol_that_was_not_offered_is_sent_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send, subprotocol="mine")
        await receive()

    async with site(app) as here, here.peer() as peer:
        _, headers, _ = await answer(peer)
        assert headers["sec-websocket-protocol"] == "mine"
    assert "'mine', which the client did not offer" in caplog.text


async def test_header_that_would_break_the_response_is_refused_before_it_is_sent() -> (
    None
):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(InvalidHeader, match=r"'\\r'"):
            await accepted(receive, send, headers=[(b"x", b"1\r\nSet-Cookie: a")])
        await send({"type": "websocket.accept"})
        await receive()

    async with site(app) as here, here.connected() as ws:
        assert "Set-Cookie" not in ws.response_headers


async def test_each_answer_is_logged_as_uvicorn_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/close":
            await send({"type": "websocket.close"})
        elif scope["path"] == "/deny":
            await send({"type": START, "status": 404, "headers": []})
            await send({"type": BODY})
        else:
            await echo(scope, receive, send)

    async with site(app, log_level="info") as here:
        async with here.connected("/a b?c=d") as ws:
            port = ws.local_address[1]
        for path in ("/close", "/deny"):
            with pytest.raises(InvalidStatus):
                async with here.connected(path):
                    pass
        await here.idle()
    lines = [record.getMessage() for record in caplog.records]
    lines = [line for line in lines if "ocket" in line or "connection" in line]
    assert lines[:3] == [
        f'127.0.0.1:{port} - "WebSocket /a%20b?c=d" [accepted]',
        "connection open",
        "connection closed",
    ]
    assert lines[3].endswith('"WebSocket /close" 403')
    assert lines[4].endswith('"WebSocket /deny" 404')
    assert {record.name for record in caplog.records} >= {"uvicorn.error"}


# Refusing


async def test_close_before_accept_is_403() -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        await send({"type": "websocket.close", "code": 4000})
        events.append(await receive())
        with pytest.raises(RuntimeError, match=r"'websocket\.accept' after it had"):
            await send({"type": "websocket.accept"})

    async with site(app) as here:
        async with here.peer() as peer:
            first, headers, body = await answer(peer)
        await here.idle()
    assert first == "HTTP/1.1 403 Forbidden"
    assert headers["content-length"] == "0"
    assert body == b""
    assert events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_denial_is_the_response_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert "websocket.http.response" in scope["extensions"]
        await receive()
        headers = [(b"x-why", b"busy"), (b"content-type", b"text/plain")]
        await send({"type": START, "status": 429, "headers": headers})
        await send({"type": BODY, "body": b"later"})

    async with site(app) as here:
        with pytest.raises(InvalidStatus) as caught:
            async with here.connected():
                pass
    response = caught.value.response
    assert response.status_code == 429
    assert response.reason_phrase == "Too Many Requests"
    assert response.headers["X-Why"] == "busy"
    assert response.headers["Content-Length"] == "5"
    assert response.body == b"later"


async def test_denial_in_parts_travels_in_chunks() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": 404})
        await send({"type": BODY, "body": b"not ", "more_body": True})
        await send({"type": BODY, "body": b"", "more_body": True})
        await send({"type": BODY, "body": b"here", "more_body": True})
        await send({"type": BODY})

    async with site(app) as here, here.peer() as peer:
        _, headers, body = await answer(peer)
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    assert body == b"4\r\nnot \r\n4\r\nhere\r\n0\r\n\r\n"


async def test_denial_in_parts_of_known_length_travels_as_it_is() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"8")]
        await send({"type": START, "status": 404, "headers": headers})
        await send({"type": BODY, "body": b"not ", "more_body": True})
        await send({"type": BODY, "body": b"here"})

    async with site(app) as here, here.peer() as peer:
        _, headers, body = await answer(peer)
    assert headers["content-length"] == "8"
    assert body == b"not here"


@pytest.mark.variants("loops")
async def test_denial_waits_while_the_client_does_not_read() -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": START, "status": 500})
        for _ in range(500):
            await send({"type": BODY, "body": bytes(65536), "more_body": True})
            sent += 1
        await send({"type": BODY})

    async with site(app) as here, here.peer(small=True) as peer:
        # It is another protocol that reads the request.
        await until(
            lambda: any(getattr(one, "_full", False) for one in here.state.connections)
        )
        assert sent < 500
        _, _, body = await answer(peer)
    assert len(body) > 500 * 65536


async def test_denial_that_the_client_leaves_raises_and_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": 500})
        try:
            while True:
                await send({"type": BODY, "body": bytes(65536), "more_body": True})
        except OSError as exc:
            raised.append(exc)
            raise

    async with site(app) as here:
        async with here.peer(small=True):
            await until(lambda: len(here.state.connections) == 1)
        await here.idle()
    assert isinstance(raised[0], ClientDisconnected)
    assert quiet(caplog.records)


@pytest.mark.parametrize("status", [101, 199, 600, 700])
async def test_denial_with_a_status_that_is_none_is_500(status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": status})

    async with site(app) as here, here.peer() as peer:
        first, _, body = await answer(peer)
    assert first == "HTTP/1.1 500 Internal Server Error"
    assert body == b"Internal Server Error"


async def test_denial_without_body_is_sent_when_the_application_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": 404})

    async with site(app) as here, here.peer() as peer:
        first, headers, _ = await answer(peer)
    assert first == "HTTP/1.1 404 Not Found"
    assert headers["content-length"] == "0"
    assert "returned before it had answered" in caplog.text


async def test_denial_started_twice_is_an_error_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": 404})
        with pytest.raises(RuntimeError, match=r"expected .*\.body"):
            await send({"type": START, "status": 404})
        await send({"type": BODY, "body": b"once"})

    async with site(app) as here, here.peer() as peer:
        assert (await answer(peer))[2] == b"once"


async def test_denial_that_fails_half_way_is_cut_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": START, "status": 404})
        await send({"type": BODY, "body": b"half", "more_body": True})
        raise ValueError("no more")

    async with site(app) as here, here.peer() as peer:
        await peer.reader.readuntil(b"\r\n\r\n")
        try:
            rest = await peer.reader.read()
        except ConnectionError:
            rest = b""
    assert b"0\r\n\r\n" not in rest


# Applications that fail


async def test_exception_before_accept_is_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a bug")

    async with site(app) as here, here.peer() as peer:
        first, headers, body = await answer(peer)
        await here.idle()
    assert first == "HTTP/1.1 500 Internal Server Error"
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert body == b"Internal Server Error"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info[1].args for record in errors if record.exc_info] == [  # type: ignore[union-attr]
        ("a bug",)
    ]


async def test_return_before_accept_is_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async with site(app) as here, here.peer() as peer:
        assert (await answer(peer))[0] == "HTTP/1.1 500 Internal Server Error"
    assert "returned before it had answered the handshake" in caplog.text


@pytest.mark.parametrize("kind", ["websocket.send", BODY, "nonsense"])
async def test_event_that_cannot_be_the_first_is_refused(kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError, match=r"expected websocket\.accept or"):
            await send({"type": kind, "text": "too early"})
        await echo(scope, receive, send)

    async with site(app) as here, here.connected() as ws:
        await ws.send("in time")
        assert await ws.recv() == "in time"


async def test_second_accept_is_an_error_and_closes_with_1011() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.accept"})

    async with site(app) as here, here.connected() as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


# Clients that leave, or are none


async def test_client_that_leaves_before_accept_is_a_disconnect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        events.append(await receive())
        events.append(await receive())
        await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})

    async with site(app) as here:
        async with here.peer():
            await until(lambda: len(events) == 1)
        await here.idle()
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert events == [{"type": "websocket.connect"}, gone, gone]
    assert quiet(caplog.records)


async def test_frames_without_end_before_accept_stop_being_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with site(app) as here, here.peer() as peer:
        await until(lambda: len(here.state.tasks) == 1)
        (connection,) = here.state.connections
        for _ in range(200):
            peer.write(bytes(65536))
        await until(lambda: connection._early_paused)  # type: ignore[union-attr]
        before = len(connection._early)  # type: ignore[union-attr]
        await turns(5)
        assert len(connection._early) == before < 1_000_000  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [10_000, 40_000])
async def test_a_header_may_be_as_long_as_uvicorn_lets_it_be(size: int) -> None:
    cookie = "a" * size
    async with site(echo) as here, here.peer(*HANDSHAKE, f"Cookie: {cookie}") as peer:
        first, _, _ = await answer(peer)
        assert " 101 " in first


async def test_target_of_a_request_is_a_path_or_refused() -> None:
    paths: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append((scope["path"], scope["query_string"], dict(scope["headers"])))
        await echo(scope, receive, send)

    async with site(app) as here:
        for target in ("http://other:81/admin?x", "/a#b", "*", "admin"):
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            lines = [
                f"GET {target} HTTP/1.1",
                "Host: localhost",
                "Upgrade: websocket",
                "Connection: Upgrade",
                *HANDSHAKE,
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            expected = b"101" if target.startswith("http") else b"400"
            assert head.split(b" ")[1] == expected
            writer.close()
    [(path, query, headers)] = paths
    assert (path, query) == ("/admin", b"x")
    assert headers[b"host"] == b"other:81"


@pytest.mark.parametrize(
    ("status", "headers", "method"),
    [
        (400, ["Sec-WebSocket-Version: 13"], "GET"),
        (400, ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"], "GET"),
        (426, ["Sec-WebSocket-Version: 8", HANDSHAKE[0]], "GET"),
        (405, [*HANDSHAKE], "POST"),
        (400, [*HANDSHAKE, "Content-Length: 3"], "GET"),
        (400, [*HANDSHAKE, "Sec-WebSocket-Protocol: " + "a," * 200], "GET"),
        (431, [*HANDSHAKE, *["A: b"] * 200], "GET"),
    ],
)
async def test_request_that_is_none_is_answered_without_the_application(
    status: int, headers: list[str], method: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the application was asked")

    async with site(app) as here, here.peer(*headers, method=method) as peer:
        first, known, body = await answer(peer)
        await here.idle()
    assert int(first.split(" ")[1]) == status
    assert known["server"] == "uvicorn"
    assert body


async def test_http_goes_to_uvicorn_as_ever() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    async with site(app) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"plain" in await reader.read()
        writer.close()
        await writer.wait_closed()
