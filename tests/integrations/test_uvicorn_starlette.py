"""What applications written with Starlette see of our protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from fullduplex import ConnectionClosed, ConnectionClosedError, InvalidStatus

from .kit import quiet, site

seen: list[Any] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    seen.clear()


async def kinds(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text(await ws.receive_text() + "!")
    await ws.send_bytes(await ws.receive_bytes() + b"!")
    await ws.send_json({"got": await ws.receive_json()})
    await ws.send_json([1], mode="binary")
    await ws.close(4001, "enough")


async def iterate(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)
    seen.append("end")


async def subprotocol(ws: WebSocket) -> None:
    await ws.accept(subprotocol=ws.scope["subprotocols"][-1])
    await ws.send_json(dict(ws.query_params) | ws.path_params | ws.cookies)
    await ws.close()


async def reject(ws: WebSocket) -> None:
    await ws.close()


async def deny(ws: WebSocket) -> None:
    response = JSONResponse({"why": "full"}, 503, headers={"retry-after": "7"})
    await ws.send_denial_response(response)


async def stream(ws: WebSocket) -> None:
    async def parts() -> Any:
        for part in ("a", "b", "c"):
            yield part

    await ws.send_denial_response(StreamingResponse(parts(), 418))


async def refuse(ws: WebSocket) -> None:
    raise HTTPException(401, "who are you?")


async def wait(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            seen.append(await ws.receive_text())
    except WebSocketDisconnect as exc:
        seen.append((exc.code, exc.reason))
        try:
            await ws.send_text("late")
        except WebSocketDisconnect as late:
            seen.append(late.code)


async def finally_close(ws: WebSocket) -> None:
    await ws.accept()
    try:
        await ws.receive_text()
    finally:
        await ws.close()


async def fail(ws: WebSocket) -> None:
    await ws.accept()
    raise ValueError("a bug")


async def both(ws: WebSocket) -> None:
    """Receive in one task and send in another, as chats do."""
    await ws.accept()

    async def reader() -> None:
        async for text in ws.iter_text():
            seen.append(text)

    async def writer() -> None:
        for number in range(10):
            await ws.send_text(str(number))
            await asyncio.sleep(0)

    await asyncio.gather(reader(), writer())


class Endpoint(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json(data)

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        seen.append(close_code)


async def passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


app = Starlette(
    routes=[
        *(
            WebSocketRoute("/" + view.__name__, view)
            for view in (
                kinds,
                iterate,
                reject,
                deny,
                stream,
                refuse,
                wait,
                finally_close,
                fail,
                both,
            )
        ),
        WebSocketRoute("/room/{name}", subprotocol),
        WebSocketRoute("/endpoint", Endpoint),
    ],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=passing)],
)


async def test_each_kind_of_message_passes() -> None:
    async with site(app) as here, here.connected("/kinds") as ws:
        for sent, answer in (("a", "a!"), (b"b", b"b!"), ('["c"]', '{"got":["c"]}')):
            await ws.send(sent)
            assert await ws.recv() == answer
        assert await ws.recv() == b"[1]"
        with pytest.raises(ConnectionClosedError, match="4001"):
            await ws.recv()
        assert ws.close_reason == "enough"


async def test_iteration_ends_when_the_client_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(app) as here, here.connected("/iterate") as ws:
        for text in "abc":
            await ws.send(text)
            assert await ws.recv() == text
        await ws.close()
        await here.idle()
    assert seen == ["end"]
    assert quiet(caplog.records)


async def test_scope_is_what_starlette_reads() -> None:
    async with (
        site(app) as here,
        here.connected(
            "/room/blue?a=1",
            subprotocols=["one", "two"],
            additional_headers={"Cookie": "c=3"},
        ) as ws,
    ):
        assert ws.subprotocol == "two"
        assert await ws.recv() == '{"a":"1","name":"blue","c":"3"}'


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/reject", 403, b""),
        ("/deny", 503, b'{"why":"full"}'),
        ("/stream", 418, b"abc"),
        ("/refuse", 401, b"who are you?"),
        ("/nowhere", 403, b""),
    ],
)
async def test_refusal_reaches_the_client(path: str, status: int, body: bytes) -> None:
    async with site(app) as here:
        with pytest.raises(InvalidStatus) as caught:
            async with here.connected(path):
                pass
    response = caught.value.response
    assert (response.status_code, response.body) == (status, body)
    if status == 503:
        assert response.headers["Retry-After"] == "7"


async def test_disconnect_has_code_and_reason_and_later_sends_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(app) as here, here.connected("/wait") as ws:
        await ws.send("first")
        await ws.close(3333, "so long")
        await here.idle()
    assert seen == ["first", (3333, "so long"), 1006]
    assert quiet(caplog.records)


async def test_close_in_finally_after_the_client_left_hides_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(app) as here, here.connected("/finally_close") as ws:
        await ws.close()
        await here.idle()
    (error,) = [record for record in caplog.records if record.exc_info]
    assert error.exc_info is not None
    assert error.exc_info[0] is WebSocketDisconnect


async def test_failure_closes_with_1011() -> None:
    async with site(app) as here, here.connected("/fail") as ws:
        with pytest.raises(ConnectionClosed, match="1011"):
            await ws.recv()


async def test_receiving_and_sending_tasks_do_not_meet() -> None:
    async with site(app) as here, here.connected("/both") as ws:
        for number in range(10):
            await ws.send(f"to {number}")
        assert [await ws.recv() for _ in range(10)] == [*"0123456789"]
        await ws.close()
        await here.idle()
    assert seen == [f"to {number}" for number in range(10)]


async def test_endpoint_class_works() -> None:
    async with site(app) as here, here.connected("/endpoint") as ws:
        await ws.send("[1, 2]")
        assert await ws.recv() == "[1,2]"
        await ws.close(4000)
        await here.idle()
    assert seen == [4000]


@pytest.mark.interop
async def test_client_of_websockets_is_served() -> None:
    async with site(app) as here:
        uri = here.uri("/iterate")
        async with websockets.connect(uri, proxy=None) as ws:
            for message in ("a", "b" * 100_000):
                await ws.send(message)
                assert await ws.recv() == message
            await (await ws.ping())
        await here.idle()
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with websockets.connect(here.uri("/stream"), proxy=None):
                pass
    assert seen == ["end"]
    assert caught.value.response.status_code == 418
    assert caught.value.response.body == b"abc"
