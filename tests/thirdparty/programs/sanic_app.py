"""A Sanic application, as its users write them: ``sanic_app.py PORT``."""

import asyncio
import sys

import websockets
from sanic import HTTPResponse, Request, Sanic, text
from sanic.server.websockets.impl import WebsocketImplProtocol

app = Sanic("thirdparty")
app.config.WEBSOCKET_MAX_SIZE = 1_000_000
app.config.WEBSOCKET_PING_INTERVAL = 0.2
app.config.WEBSOCKET_PING_TIMEOUT = 5


@app.get("/")
async def index(request: Request) -> HTTPResponse:
    return text("hello http")


@app.websocket("/whose")
async def whose(request: Request, ws: WebsocketImplProtocol) -> None:
    await ws.send(f"{websockets.__file__} {websockets.__version__}")


@app.websocket("/echo")
async def echo(request: Request, ws: WebsocketImplProtocol) -> None:
    async for message in ws:
        await ws.send(message)


@app.websocket("/stream")
async def stream(request: Request, ws: WebsocketImplProtocol) -> None:
    async for part in ws.recv_streaming():
        await ws.send(part)


@app.websocket("/patience")
async def patience(request: Request, ws: WebsocketImplProtocol) -> None:
    await ws.send(str(await ws.recv(timeout=0.1)))
    pong = await ws.ping()
    await asyncio.wait_for(pong, 5)
    await ws.send("pong")
    await ws.close(4002, "that was all")


@app.websocket("/sub", subprotocols=["two", "three"])
async def sub(request: Request, ws: WebsocketImplProtocol) -> None:
    await ws.send(str(ws.subprotocol))


@app.after_server_start
async def started(app: Sanic) -> None:
    print("started", flush=True)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False)
