"""A FastAPI application, as its users write them."""

from typing import Annotated

import websockets
from fastapi import (
    FastAPI,
    Header,
    HTTPException,
    Query,
    WebSocket,
    WebSocketDisconnect,
    status,
)
from fastapi.responses import JSONResponse

app = FastAPI()


@app.get("/")
async def index() -> dict[str, str]:
    return {"hello": "http"}


@app.websocket("/whose")
async def whose(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"{websockets.__file__} {websockets.__version__}")
    await websocket.close()


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept(headers=[(b"x-served-by", b"fastapi")])
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect as exc:
        print("disconnected", exc.code, flush=True)


@app.websocket("/items/{name}")
async def items(
    websocket: WebSocket,
    name: str,
    token: Annotated[str | None, Query()] = None,
    x_count: Annotated[int, Header()] = 1,
) -> None:
    if token is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "no token")
    chosen = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=chosen[0] if chosen else None)
    for number in range(x_count):
        await websocket.send_json({"name": name, "token": token, "number": number})
    await websocket.close(4001, "that was all")


@app.websocket("/reject")
async def reject(websocket: WebSocket) -> None:
    await websocket.close()


@app.websocket("/deny")
async def deny(websocket: WebSocket) -> None:
    response = JSONResponse({"retry": True}, 429, {"retry-after": "3"})
    await websocket.send_denial_response(response)


@app.websocket("/bug")
async def bug(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("a bug")
