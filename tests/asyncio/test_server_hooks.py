"""Hooks: both generations' forms, what they may return, and how they may fail."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import pytest

from fullduplex import (
    Headers,
    NegotiationError,
    Request,
    Response,
    ServerConnection,
    WebSocketServerProtocol,
    basic_auth,
    basic_auth_protocol_factory,
    serve,
)
from fullduplex.asyncio.server import BasicAuthWebSocketServerProtocol
from fullduplex.core.handshake.errors import AbortHandshake

from ..kit.asyncio_peer import until
from ..kit.bytes import TEXT, request
from ..kit.names import label
from .server_kit import basic, echo, records, serving

OK = (HTTPStatus.OK, [("X-Probe", "1")], b"OK\n")


async def never(ws: ServerConnection) -> None:
    raise AssertionError("the handler was called")


# process_request


def old_function(path: str, headers: Headers) -> Any:
    return OK if path == "/health" and headers["Host"] else None


async def old_coroutine(path: str, request_headers: Headers) -> Any:
    return OK if path == "/health" and request_headers["Host"] else None


def old_renamed(p: str, h: Any) -> Any:
    return OK if p == "/health" and h["Host"] else None


def old_unused(path: str, _: Any) -> Any:
    return OK if path == "/health" else None


def new_function(connection: ServerConnection, request: Request) -> Any:
    if request.path != "/health":
        return None
    response = connection.respond(200, "OK\n")
    response.headers["X-Probe"] = "1"
    return response


async def new_coroutine(ws: ServerConnection, req: Request) -> Any:
    return new_function(ws, req)


def new_unused(_: Any, request: Request) -> Any:
    if request.path != "/health":
        return None
    return Response(200, "OK", Headers({"X-Probe": "1"}), b"OK\n")


def new_unnamed(a: Any, b: Any) -> Any:
    return new_function(a, b)


class Callable_:
    def __call__(self, path: str, headers: Headers) -> Any:
        return old_function(path, headers)


HOOKS: list[Any] = [
    old_function,
    old_coroutine,
    old_renamed,
    old_unused,
    new_function,
    new_coroutine,
    new_unused,
    new_unnamed,
    Callable_(),
    functools.partial(lambda extra, path, headers: old_function(path, headers), 1),
]


@pytest.mark.variants("plain")
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: str(hook)[:24])
async def test_process_request_of_either_form_answers_a_health_check(hook: Any) -> None:
    async with serving(process_request=hook) as place:
        answer = await (await place.connect()).ask(request("GET /health HTTP/1.1"))
        assert (answer.status, answer.reason, answer.body) == (200, "OK", b"OK\n")
        assert answer.header("X-Probe") == "1"
        assert answer.header("Content-Length") == "3"
        assert answer.header("Connection") == "close"
        assert answer.header("Date") is not None
        assert answer.header("Server") is not None

        client = await place.open(path="/ws")
        client.send(TEXT, "hello")
        assert (await client.read()).text == "hello"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_health_check_may_be_head_and_http_1_0(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(process_request=new_function) as place:
        caplog.clear()
        for method in ("GET", "HEAD"):
            client = await place.connect()
            client.write(f"{method} /health HTTP/{version}\r\nHost: a\r\n\r\n".encode())
            head, _, body = (await client.ended()).partition(b"\r\n\r\n")

            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Length: 3" in head
            assert body == (b"OK\n" if method == "GET" else b"")
        assert records(caplog) == ["HTTP response sent (200 OK)"] * 2


@pytest.mark.variants("plain")
async def test_process_request_sees_any_request() -> None:
    seen = []

    def process_request(connection: ServerConnection, request: Request) -> Response:
        seen.append((request.method, request.protocol, connection.path))
        return connection.respond(HTTPStatus.NO_CONTENT, "")

    async with serving(process_request=process_request) as place:
        client = await place.connect()
        client.write(b"DELETE /x HTTP/1.0\r\n\r\n")
        await client.ended()

        assert seen == [("DELETE", "HTTP/1.0", "/x")]


@pytest.mark.variants("plain")
async def test_large_page_is_sent_whole_to_a_slow_reader() -> None:
    page = b"x" * 2**21

    def process_request(connection: object, request: object) -> Any:
        return 200, {"Content-Type": "text/html"}, page

    async with serving(process_request=process_request) as place:
        client = await place.connect(small=True)
        client.write(request(without="Upgrade"))
        data = await client.ended()

        assert data.endswith(page)
        assert b"Content-Type: text/html\r\n" in data


@pytest.mark.variants("plain")
async def test_data_stored_by_a_hook_is_on_the_connection_of_the_handler() -> None:
    async def process_request(connection: ServerConnection, request: Request) -> None:
        connection.token = "secret"  # type: ignore[attr-defined]

    async def handler(ws: ServerConnection) -> None:
        await ws.send(ws.token)  # type: ignore[attr-defined]

    async with serving(handler, process_request=process_request) as place:
        client = await place.open()
        assert (await client.read()).text == "secret"


@pytest.mark.variants("plain")
async def test_status_101_of_a_hook_opens_without_checks() -> None:
    def process_request(connection: object, request: object) -> Response:
        return Response(101, "Switching Protocols", Headers({"Upgrade": "websocket"}))

    async with serving(process_request=process_request) as place:
        client = await place.connect()
        answer = await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.status == 101
        client.send(TEXT, "hello")
        assert (await client.read()).text == "hello"


# Failures


def raises(*args: Any) -> Any:
    raise RuntimeError("secret detail")


async def raises_later(connection: Any, request: Any) -> Any:
    raise RuntimeError("secret detail")


GARBAGE: list[Any] = [
    b"OK",
    404,
    True,
    (200, [], "text"),
    (200, []),
    (99, [], b""),
    (200, [("a b", "c")], b""),
    (200, [("A", "c\r\nd")], b""),
    ("200", None, b""),
    Response(200, "a\nb", Headers()),
    Response(200, "OK", Headers(), "text"),  # type: ignore[arg-type]
    Response(1000, "OK", Headers()),
    object(),
]


@pytest.mark.parametrize("hook", [raises, raises_later], ids=["function", "coroutine"])
async def test_process_request_that_raises_is_500_and_an_error_that_names_it(
    hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(never, process_request=hook) as place:
        client = await place.connect()
        answer = await client.ask(request())

        assert answer.status == 500
        assert b"secret" not in answer.body
        assert await client.ended() == b""
        assert records(caplog, logging.ERROR) == ["process_request failed"]
        assert "secret detail" in caplog.text


@pytest.mark.variants("plain")
@pytest.mark.parametrize("garbage", GARBAGE, ids=label)
@pytest.mark.parametrize("name", ["process_request", "process_response"])
async def test_hook_that_returns_garbage_is_500_and_an_error_that_names_it(
    name: str, garbage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hook: Callable[..., Any] = (
        (lambda connection, request: garbage)
        if name == "process_request"
        else (lambda connection, request, response: garbage)
    )
    async with serving(never, **{name: hook}) as place:
        answer = await (await place.connect()).ask(request())

        assert answer.status == 500
        assert records(caplog, logging.ERROR) == [f"{name} failed"]


async def test_hook_that_hangs_is_cut_by_open_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cancelled = asyncio.Event()

    async def process_request(connection: object, request: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(
        never, process_request=process_request, open_timeout=0.1
    ) as place:
        client = await place.connect()
        client.write(request())

        assert await client.ended() == b""
        assert cancelled.is_set()
        assert len(records(caplog, logging.ERROR)) == 1
        assert "process_request" in records(caplog, logging.ERROR)[0]
        assert "open_timeout" in records(caplog, logging.ERROR)[0]


@pytest.mark.variants("plain")
async def test_hook_that_ignores_being_cut_opens_nothing() -> None:
    done = asyncio.Event()

    async def process_request(connection: object, request: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.set()

    async with serving(
        never, process_request=process_request, open_timeout=0.1
    ) as place:
        client = await place.connect()
        client.write(request())

        assert await client.ended() == b""
        await done.wait()


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_client_that_leaves_during_a_hook_is_not_an_error(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    entered, left = asyncio.Event(), asyncio.Event()

    async def process_request(connection: ServerConnection, request: Request) -> None:
        entered.set()
        await connection.wait_closed()
        assert connection.closed
        left.set()

    async with serving(never, process_request=process_request) as place:
        caplog.clear()
        client = await place.connect()
        client.write(request())
        await entered.wait()
        if way == "close":
            client.close()
        else:
            client.reset()
        await left.wait()
        await until(lambda: not place.server._connections)

        assert records(caplog) == []


@pytest.mark.variants("plain")
async def test_hook_may_abort_the_handshake_with_a_response() -> None:
    def process_request(connection: object, request: object) -> None:
        raise AbortHandshake(HTTPStatus.FOUND, Headers({"Location": "/x"}), b"")

    async with serving(never, process_request=process_request) as place:
        answer = await (await place.connect()).ask(request())
        assert (answer.status, answer.header("Location")) == (302, "/x")


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("process_request", lambda only: None),
        ("process_request", 3),
        ("process_response", lambda connection, response: None),
        ("select_subprotocol", lambda: None),
        ("handler", lambda: None),
        ("handler", lambda a, b, c: None),
        ("handler", None),
        ("create_protocol", 3),
    ],
)
async def test_hook_of_another_shape_is_refused_in_the_call(
    name: str, hook: Any
) -> None:
    options = {"handler": echo, name: hook}
    with pytest.raises(TypeError, match=name):
        serve(**options)


# process_response


@pytest.mark.variants("plain")
async def test_process_response_may_change_and_replace_responses() -> None:
    async def process_response(
        connection: ServerConnection, request: Request, response: Response
    ) -> Response | None:
        if response.status_code == 101:
            response.headers["X-New"] = "1"
            response.headers["Server"] = "mine"
            return None
        return connection.respond(404, "no such thing\n")

    async with serving(process_response=process_response) as place:
        answer = await (await place.connect()).upgrade()
        assert (answer.header("X-New"), answer.header("Server")) == ("1", "mine")

        answer = await (await place.connect()).ask(request(without="Upgrade"))
        assert (answer.status, answer.body) == (404, b"no such thing\n")


@pytest.mark.variants("plain")
async def test_process_response_may_refuse_what_was_accepted() -> None:
    def process_response(
        connection: ServerConnection, request: Request, response: Response
    ) -> Response:
        return connection.respond(403, "not you\n")

    async with serving(never, process_response=process_response) as place:
        client = await place.connect()
        assert (await client.ask(request())).status == 403
        assert await client.ended() == b""


# select_subprotocol


def old_select(client: Sequence[str], server: Sequence[str]) -> str | None:
    return next((name for name in client if name in server), None)


def new_select(connection: ServerConnection, names: Sequence[str]) -> str | None:
    assert connection.request is not None
    return names[-1] if names else None


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("select", "offer", "chosen"),
    [
        (old_select, "b, a", "b"),
        (old_select, "c", None),
        (old_select, None, None),
        (new_select, "x, y", "y"),
        (new_select, None, None),
    ],
)
async def test_select_subprotocol_of_either_form_chooses(
    select: Any, offer: str | None, chosen: str | None
) -> None:
    async with serving(subprotocols=["a", "b"], select_subprotocol=select) as place:
        more = [] if offer is None else [f"Sec-WebSocket-Protocol: {offer}"]
        answer = await (await place.connect()).upgrade(*more)
        assert answer.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [(NegotiationError("no"), 400), (KeyError("x"), 500), ("unoffered", 500)],
)
async def test_select_subprotocol_that_fails_refuses(
    outcome: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def select(connection: ServerConnection, names: Sequence[str]) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    async with serving(never, select_subprotocol=select) as place:
        answer = await (await place.connect()).ask(
            request("GET / HTTP/1.1", "Sec-WebSocket-Protocol: a")
        )
        assert answer.status == status
        assert len(records(caplog, logging.ERROR)) == (status == 500)
        if status == 500:
            assert "select_subprotocol" in caplog.text


# Handlers and subclasses


@pytest.mark.variants("plain")
async def test_handler_may_take_the_path_too() -> None:
    async def handler(ws: ServerConnection, path: str, extra: str = "") -> None:
        await ws.send(path + extra)

    # One with a default is called with the connection only, as it can be.
    for form in (handler, functools.partial(handler, extra="!")):
        async with serving(form) as place:
            client = await place.open(path="/a?b")
            assert (await client.read()).text.rstrip("!") == "/a?b"


@pytest.mark.variants("plain")
async def test_both_spellings_of_a_parameter_work_and_giving_both_does_not() -> None:
    async with serve(ws_handler=echo, host="127.0.0.1", port=0) as server:
        assert server.is_serving()
    with pytest.raises(TypeError, match="ws_handler"):
        serve(echo, ws_handler=echo)
    with pytest.raises(TypeError, match="create_connection"):
        serve(
            echo,
            create_protocol=ServerConnection,
            create_connection=ServerConnection,
        )
    with pytest.raises(TypeError, match="did you mean 'ping_interval'"):
        serve(echo, ping_intervall=3)


class Subclass(WebSocketServerProtocol):
    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        self.events: list[str] = []

    async def process_request(self, path: str, request_headers: Headers) -> Any:
        if path == "/health":
            return OK
        self.events.append("request " + request_headers["Host"])
        return await super().process_request(path, request_headers)

    def select_subprotocol(self, client: Sequence[str], server: Sequence[str]) -> Any:
        self.events.append(f"select {list(client)} {list(server)}")
        return client[0]

    def process_origin(self, headers: Headers, origins: Any) -> Any:
        self.events.append("origin")
        return "overridden"

    def connection_open(self) -> None:
        self.events.append("open")


@pytest.mark.variants("plain")
async def test_subclass_overrides_what_the_documentation_names() -> None:
    seen = []

    async def handler(ws: Subclass) -> None:
        seen.append((ws.origin, ws.subprotocol, ws.events))

    for create in (Subclass, functools.partial(Subclass)):
        async with serving(
            handler, create_protocol=create, subprotocols=["a", "b"]
        ) as place:
            answer = await (await place.connect()).ask(request("GET /health HTTP/1.1"))
            assert answer.status == 200
            client = await place.open("Sec-WebSocket-Protocol: b, x")
            await client.say_goodbye()
            assert seen.pop() == (
                "overridden",
                "b",
                [
                    "request example.com",
                    "origin",
                    "select ['b', 'x'] ['a', 'b']",
                    "open",
                ],
            )


@pytest.mark.variants("plain")
async def test_subclass_calls_the_function_through_super() -> None:
    calls = []

    def function(path: str, headers: Headers) -> None:
        calls.append(path)

    async with serving(create_protocol=Subclass, process_request=function) as place:
        await place.open(path="/x")
        assert calls == ["/x"]


@pytest.mark.variants("plain")
async def test_subclass_may_change_a_limit() -> None:
    class Small(ServerConnection):
        def __init__(self, *args: Any, **kwds: Any) -> None:
            kwds["max_size"] = 3
            super().__init__(*args, **kwds)

    async with serving(create_protocol=Small) as place:
        client = await place.open()
        client.send(TEXT, "1234")
        assert (await client.closed_with()).code == 1009


async def test_create_protocol_that_raises_cuts_the_client_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(ServerConnection):
        def __init__(self, *args: Any, **kwds: Any) -> None:
            raise RuntimeError("broken")

    async with serving(create_protocol=Broken) as place:
        client = await place.connect()
        assert await client.ended() == b""
        await until(lambda: "create_protocol failed" in records(caplog, logging.ERROR))


# Basic authentication


CREDENTIALS = [("alice", "wonder"), ("bob", "pässword:")]


async def named(ws: ServerConnection) -> None:
    await ws.send(str(ws.username))


async def check(username: str, password: str) -> bool:
    return (username, password) in CREDENTIALS


AUTHENTICATING: list[dict[str, Any]] = [
    {"process_request": basic_auth('a "realm"', CREDENTIALS)},
    {"process_request": basic_auth('a "realm"', check_credentials=check)},
    {
        "process_request": basic_auth(
            'a "realm"',
            check_credentials=lambda user, password: (user, password) in CREDENTIALS,
        )
    },
    {"create_protocol": basic_auth_protocol_factory('a "realm"', CREDENTIALS)},
    {
        "create_protocol": basic_auth_protocol_factory(
            'a "realm"', check_credentials=check
        )
    },
]


@pytest.mark.variants("plain")
@pytest.mark.parametrize("options", AUTHENTICATING, ids=range(len(AUTHENTICATING)))
async def test_basic_auth_admits_the_right_credentials_only(
    options: dict[str, Any],
) -> None:
    async with serving(named, **options) as place:
        for username, password in CREDENTIALS:
            client = await place.open(basic(username, password))
            assert (await client.read()).text == username
        for headers, body in [
            ([], b"Missing credentials\n"),
            (["Authorization: Bearer abc"], b"Unsupported credentials\n"),
            (["Authorization: Basic %%"], b"Unsupported credentials\n"),
            ([basic("alice", "wonder")] * 2, b"Unsupported credentials\n"),
            ([basic("alice", "wrong")], b"Invalid credentials\n"),
            ([basic("carol", "wonder")], b"Invalid credentials\n"),
            ([basic("carol", "")], b"Invalid credentials\n"),
            (["Authorization: Basic /////zr/"], b"Invalid credentials\n"),
        ]:
            answer = await (await place.connect()).ask(
                request("GET / HTTP/1.1", *headers)
            )
            assert (answer.status, answer.body) == (401, body)
            assert (
                answer.header("WWW-Authenticate")
                == 'Basic realm="a \\"realm\\"", charset="UTF-8"'
            )


@pytest.mark.variants("plain")
async def test_basic_auth_can_be_subclassed() -> None:
    class Mine(BasicAuthWebSocketServerProtocol):
        realm = "mine"

        async def check_credentials(self, username: str, password: str) -> bool:
            return username == password

    async with serving(named, create_protocol=Mine) as place:
        client = await place.open(basic("x", "x"))
        assert (await client.read()).text == "x"
        answer = await (await place.connect()).ask(
            request("GET / HTTP/1.1", basic("x", "y"))
        )
        assert answer.status == 401
        assert 'realm="mine"' in (answer.header("WWW-Authenticate") or "")


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    "credentials", [3, "ab", ("a",), ("a", 3), [("a", "b"), ("c",)], {"a": "b"}, b"ab"]
)
async def test_basic_auth_refuses_credentials_of_another_shape(
    credentials: Any,
) -> None:
    with pytest.raises(TypeError, match="credentials must be"):
        basic_auth("", credentials)
    with pytest.raises(TypeError, match="credentials must be"):
        basic_auth_protocol_factory("", credentials)


@pytest.mark.variants("plain")
async def test_basic_auth_wants_one_way_to_check() -> None:
    for options in ({}, {"credentials": ("a", "b"), "check_credentials": check}):
        with pytest.raises(ValueError, match="either"):
            basic_auth(**options)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="either"):
            basic_auth_protocol_factory(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="realm"):
        basic_auth("a\r\nb", ("a", "b"))


@pytest.mark.variants("plain")
async def test_closing_in_a_hook_ends_tcp() -> None:
    async def process_request(connection: ServerConnection, request: Request) -> None:
        await connection.close()

    async with serving(never, process_request=process_request) as place:
        client = await place.connect()
        client.write(request())
        assert await client.ended() == b""
