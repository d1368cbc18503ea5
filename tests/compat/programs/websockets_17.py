"""A program for websockets 17: its documented API, one line printed for each part."""

import asyncio
import http
import logging
import os
import re
import tempfile

import websockets
from websockets import ConnectionClosedError, ConnectionClosedOK
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.asyncio.router import route
from websockets.asyncio.server import (
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConcurrencyError,
    InvalidHeaderValue,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

logging.getLogger("websockets").setLevel(logging.CRITICAL)


def address(server):
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def talk(ws):
    await ws.send(f"{ws.request.path} {ws.subprotocol} {ws.username}")
    async for message in ws:
        if message == "fragments":
            await ws.send(["a", "", "b"])
        elif message == "crash":
            raise RuntimeError("on purpose")
        elif message == "close":
            await ws.close(4001, "as asked")
        else:
            await ws.send(message)


async def process_request(connection, request):
    connection.username = request.headers.get("X-User", "nobody")
    if request.path == "/health":
        response = connection.respond(http.HTTPStatus.OK, "good\n")
        response.headers["X-Health"] = "yes"
        return response
    if request.path == "/moved":
        response = connection.respond(302, "")
        response.headers["Location"] = "/new"
        return response
    return None


def process_response(connection, request, response):
    response.headers["X-Answer"] = str(response.status_code)


def select_subprotocol(connection, subprotocols):
    if "bad" in subprotocols:
        raise NegotiationError("not this one")
    return "chat" if "chat" in subprotocols else None


async def messages(uri):
    async with connect(
        uri + "/chat",
        subprotocols=["x", "chat"],
        origin="https://a.example.com",
        additional_headers={"X-User": "me"},
        max_size=(2**16, 2**12),
        max_queue=(8, 2),
        proxy=None,
    ) as ws:
        print(isinstance(ws, ClientConnection), ws.state is State.OPEN, await ws.recv())
        await ws.send("text")
        print(await ws.recv(decode=False))
        await ws.send(b"bytes")
        print(await ws.recv(decode=True))
        await ws.send(b"as text", text=True)
        print(await ws.recv())
        await ws.send("as binary", text=False)
        print(await ws.recv())
        await ws.send("fragments")
        print("".join([part async for part in ws.recv_streaming()]))
        waiting = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        try:
            await ws.recv()
        except ConcurrencyError as exc:
            print("ConcurrencyError", isinstance(exc, RuntimeError))
        waiting.cancel()
        pong = await ws.ping("x")
        print("latency", await pong >= 0, ws.latency >= 0)
        print(ws.response.status_code, ws.response.headers["X-Answer"], ws.subprotocol)
        print(ws.request.headers["Origin"], ws.close_code, ws.close_reason)
    print(
        ws.state.name, ws.close_code == CloseCode.NORMAL_CLOSURE, repr(ws.close_reason)
    )


async def endings(uri):
    for request in ("close", "crash"):
        ws = await connect(uri)
        await ws.recv()
        await ws.send(request)
        try:
            await ws.recv()
        except ConnectionClosedError as exc:
            print(exc, exc.rcvd_then_sent)
        print(int(ws.close_code), ws.close_reason)
    try:
        async with connect(uri) as ws:
            raise KeyError("mine")
    except KeyError:
        print("closed", ws.state.name, int(ws.protocol.close_sent.code))
    ws = await connect(uri)
    await ws.close(1001, "bye")
    try:
        await ws.send("late")
    except ConnectionClosedOK as exc:
        print(exc)
    print([message async for message in ws])
    count = 0
    async for ws in connect(uri, process_exception=lambda exc: exc):
        await ws.close()
        count += 1
        if count == 2:
            break
    print("connected", count)
    try:
        async for ws in connect("ws://127.0.0.1:1/", process_exception=lambda exc: exc):
            print("never", ws)
    except OSError:
        print("OSError")


async def refusals(uri):
    for path, protocols in (("/health", None), ("/", ["bad"])):
        try:
            await connect(uri + path, subprotocols=protocols)
        except InvalidStatus as exc:
            response = exc.response
            print(response.status_code, response.headers["X-Answer"])
            print(response.headers.get("X-Health"), len(response.body) > 4)
    try:
        await connect(uri, origin="https://evil.com")
    except InvalidStatus as exc:
        print(exc.response.status_code)
    async with connect(uri + "/moved") as ws:
        print(await ws.recv())
    try:
        await connect("http://example.com/")
    except InvalidURI as exc:
        print("InvalidURI", exc.uri)
    try:
        Headers()["A"] = "line\nfeed"
    except InvalidHeaderValue as exc:
        print("InvalidHeaderValue", exc.name)


async def servers():
    async def wait(ws):
        await ws.wait_closed()

    async with serve(wait, "127.0.0.1", 0, compression=None) as server:
        clients = [await connect(address(server)) for _ in range(3)]
        while len(server.connections) < 3:
            await asyncio.sleep(0)
        broadcast(server.connections, b"to all", text=True)
        print([await ws.recv() for ws in clients], len(server.connections))
        print(all(isinstance(ws, ServerConnection) for ws in server.connections))
        server.close(code=1012, reason="restart")
        await server.wait_closed()
        await asyncio.gather(*(ws.wait_closed() for ws in clients))
        print([int(ws.close_code) for ws in clients], clients[0].close_reason)
    auth = basic_auth("realm", credentials=[("me", "secret"), ("you", "too")])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        async with unix_serve(talk, path, process_request=auth):
            async with unix_connect(path, "ws://you:too@localhost/u") as ws:
                print(await ws.recv())
            try:
                await unix_connect(path)
            except InvalidStatus as exc:
                print(
                    exc.response.status_code, exc.response.headers["WWW-Authenticate"]
                )


async def routes():
    from werkzeug.routing import Map, Rule

    async def room(ws, number):
        await ws.send(f"room {number + 1}")

    async with route(
        Map([Rule("/room/<int:number>", endpoint=room)]), "127.0.0.1", 0
    ) as s:
        async with connect(address(s) + "/room/6") as ws:
            print(await ws.recv())
        try:
            await connect(address(s) + "/elsewhere")
        except InvalidStatus as exc:
            print(exc.response.status_code, b"Not Found" in exc.response.body)


def sansio():
    client = ClientProtocol(parse_uri("ws://example.com/sansio"))
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    [request] = server.events_received()
    server.send_response(server.accept(request))
    client.receive_data(b"".join(server.data_to_send()))
    print(request.path, client.events_received()[0].status_code, client.state.name)
    client.send_text("é".encode())
    client.send_close(1001, "bye")
    server.receive_data(b"".join(client.data_to_send()))
    events = server.events_received()
    print(events[0] == Frame(Opcode.TEXT, "é".encode()), events[1].opcode.name)
    *data, eof = server.data_to_send()
    client.receive_data(b"".join(data))
    client.receive_eof()
    server.receive_eof()
    print(eof, client.data_to_send(), client.state.name, server.close_expected())
    print(client.close_code, client.close_reason, client.close_exc)


async def main():
    async with serve(
        talk,
        "127.0.0.1",
        0,
        origins=[re.compile(r"https://.*\.example\.com"), None],
        subprotocols=["chat"],
        select_subprotocol=select_subprotocol,
        process_request=process_request,
        process_response=process_response,
        server_header=None,
    ) as server:
        for part in (messages, endings, refusals):
            print("#", part.__name__)
            await part(address(server))
    await servers()
    await routes()
    sansio()
    print(websockets.__version__.split(".")[0])


asyncio.run(main())
