"""A Starlette application, as its users write them."""

from typing import Any

import websockets
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


async def index(request: Request) -> JSONResponse:
    return JSONResponse({"hello": "http"})


async def whose(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"{websockets.__file__} {websockets.__version__}")
    await websocket.close()


class Echo(WebSocketEndpoint):
    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x-served-by", b"starlette")])

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        if isinstance(data, str):
            await websocket.send_text(data)
        else:
            await websocket.send_bytes(data)

    async def decode(self, websocket: WebSocket, message: Any) -> Any:
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        print("disconnected", close_code, flush=True)


async def items(websocket: WebSocket) -> None:
    token = websocket.query_params.get("token")
    if token is None:
        raise HTTPException(401, '{"detail":"no token"}')
    chosen = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=chosen[0] if chosen else None)
    for number in range(int(websocket.headers.get("x-count", "1"))):
        name = websocket.path_params["name"]
        await websocket.send_json({"name": name, "token": token, "number": number})
    await websocket.close(4001, "that was all")


async def reject(websocket: WebSocket) -> None:
    await websocket.close()


async def deny(websocket: WebSocket) -> None:
    response = JSONResponse({"retry": True}, 429, {"retry-after": "3"})
    await websocket.send_denial_response(response)


async def bug(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("a bug")


app = Starlette(
    routes=[
        Route("/", index),
        WebSocketRoute("/whose", whose),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/items/{name}", items),
        WebSocketRoute("/reject", reject),
        WebSocketRoute("/deny", deny),
        WebSocketRoute("/bug", bug),
    ]
)
