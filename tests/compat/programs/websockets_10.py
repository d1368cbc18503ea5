"""A program for websockets 10.4: its documented API, one line printed for each part."""

import asyncio
import functools
import http
import logging
import os
import tempfile

import websockets
from websockets.client import WebSocketClientProtocol, connect, unix_connect
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatusCode,
    InvalidURI,
)
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Opcode
from websockets.server import WebSocketServerProtocol, serve, unix_serve
from websockets.uri import parse_uri

logging.getLogger("websockets").setLevel(logging.CRITICAL)


async def talk(ws, path):
    """The handler, in the form with two parameters."""
    await ws.send(f"{path} {ws.path == path} {ws.subprotocol} {ws.origin}")
    async for message in ws:
        if message == "headers":
            await ws.send(ws.request_headers["X-Client"])
        elif message == "fragments":
            await ws.send(["a", "b", "c"])
        elif message == "crash":
            raise RuntimeError("on purpose")
        elif message == "close":
            await ws.close(4001, "as asked")
        else:
            await ws.send(message)


async def answer(path, headers):
    """Plain HTTP on the same port."""
    if path == "/health":
        return http.HTTPStatus.OK, [("X-Health", "good")], b"OK\n"
    if path == "/moved":
        return http.HTTPStatus.FOUND, {"Location": "/new?x=1"}, b""
    return None


class Counting(WebSocketClientProtocol):
    """A subclass with an argument of its own."""

    def __init__(self, *args, name, **kwargs):
        super().__init__(*args, **kwargs)
        self.name = name
        self.count = 0

    async def send(self, message):
        self.count += 1
        await super().send(message)


async def messages(uri):
    async with connect(
        uri + "/chat?room=1",
        subprotocols=["x", "chat"],
        origin="https://example.com",
        extra_headers={"X-Client": "tests"},
        max_size=2**16,
    ) as ws:
        print(await ws.recv())
        for message in ("text", "", b"bytes", b"", "é" * 1000, bytes(2000)):
            await ws.send(message)
            print("echo", await ws.recv() == message)
        await ws.send("headers")
        print(await ws.recv())
        await ws.send("fragments")
        print(await ws.recv())
        await ws.send(bytearray(b"array"))
        print(await ws.recv())
        await ws.send(item for item in (b"1", b"2"))
        print(await ws.recv())
        pong = await ws.ping(b"here?")
        print("latency", await pong >= 0, ws.latency >= 0)
        await ws.pong()
        print(ws.open, ws.closed, ws.path, ws.subprotocol, ws.close_code)
        print(ws.response_headers["Sec-WebSocket-Protocol"], ws.id.version)
        print([extension.name for extension in ws.extensions])
        print(ws.remote_address[0], ws.local_address[0])
        for wrong in ({"a": 1}, 1, ["a", b"b"]):
            try:
                await ws.send(wrong)
            except TypeError:
                print("TypeError", ws.open)
            if not ws.open:
                break
    print(ws.open, ws.closed, ws.close_code, repr(ws.close_reason))


async def endings(uri):
    for request in ("close", "crash"):
        ws = await connect(uri + "/")
        await ws.recv()
        await ws.send(request)
        try:
            await ws.recv()
        except ConnectionClosed as exc:
            print(type(exc).__name__, exc.rcvd.code, exc.rcvd.reason, exc.sent.code)
            print(exc.code, exc.reason, exc.rcvd_then_sent)
        print(ws.close_code, ws.close_reason)
    async with connect(uri + "/") as ws:
        await ws.close(1001, "bye")
        await ws.close()
        await ws.wait_closed()
        for call in (ws.recv, functools.partial(ws.send, "late"), ws.ping):
            try:
                await call()
            except ConnectionClosedOK as exc:
                print(exc.sent, exc.rcvd, exc.rcvd_then_sent, str(exc))
    async with connect(uri + "/", max_size=100) as ws:
        await ws.recv()
        await ws.send("x" * 101)
        try:
            await ws.recv()
        except ConnectionClosedError as exc:
            print("too big", exc.rcvd, exc.sent.code)
    async with connect(uri + "/", close_timeout=1, ping_interval=None) as ws:
        await ws.recv()
        try:
            await asyncio.wait_for(ws.recv(), 0.05)
        except TimeoutError:
            print("still open", ws.open)


async def refusals(uri):
    try:
        await connect(uri + "/health")
    except InvalidStatusCode as exc:
        print(
            exc.status_code, exc.headers["X-Health"], isinstance(exc, InvalidHandshake)
        )
    async with connect(uri + "/moved") as ws:
        print(await ws.recv())
    for wrong in ("http://h/", "ws://h/#fragment", "ws:///path"):
        try:
            connect(wrong)
        except InvalidURI as exc:
            print("InvalidURI", exc.uri)
    try:
        await connect(uri, compression="zip")
    except ValueError:
        print("ValueError")
    try:
        await connect("ws://127.0.0.1:1/")
    except OSError:
        print("OSError")


async def subclasses(uri):
    make = functools.partial(Counting, name="mine")
    async with connect(uri, create_protocol=make, compression=None) as ws:
        await ws.send("one")
        await ws.send("two")
        print(ws.name, ws.count, ws.extensions, isinstance(ws, WebSocketClientProtocol))
    factory = ClientPerMessageDeflateFactory(client_no_context_takeover=True)
    async with connect(uri, extensions=[factory], user_agent_header=None) as ws:
        print(
            "client_no_context_takeover"
            in ws.response_headers["Sec-WebSocket-Extensions"]
        )
        print("User-Agent" in ws.request_headers)


async def reconnect(uri):
    count = 0
    async for ws in connect(uri + "/again"):
        await ws.recv()
        await ws.send("close")
        try:
            await ws.recv()
        except ConnectionClosed:
            count += 1
            if count < 3:
                continue
        break
    print("connected", count)


async def servers():
    connected = set()

    async def register(ws):
        connected.add(ws)
        try:
            await ws.wait_closed()
        finally:
            connected.remove(ws)

    async with serve(register, "localhost", 0) as server:
        port = server.sockets[0].getsockname()[1]
        clients = [await connect(f"ws://localhost:{port}/") for _ in range(3)]
        websockets.broadcast(connected, "to all")
        print([await ws.recv() for ws in clients], server.is_serving(), len(connected))
        server.close()
        await server.wait_closed()
        print([ws.close_code for ws in clients], connected)
    secret = websockets.basic_auth_protocol_factory(
        "realm", credentials=("me", "secret")
    )

    async def whoami(ws):
        await ws.send(ws.username)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        async with unix_serve(whoami, path, create_protocol=secret):
            async with unix_connect(path, uri="ws://me:secret@localhost/") as ws:
                print(await ws.recv())
            try:
                await unix_connect(path)
            except InvalidStatusCode as exc:
                print(exc.status_code, exc.headers["WWW-Authenticate"])


def data():
    headers = Headers([("A", "1"), ("a", "2")], B="3")
    headers["b2"] = "4"
    print(
        headers.get_all("a"),
        headers["B"],
        sorted(headers),
        len(headers),
        "a" in headers,
    )
    try:
        headers["A"]
    except MultipleValuesError as exc:
        print("MultipleValuesError", exc)
    uri = parse_uri("wss://user:pass@example.com/p?q=1")
    print(uri.secure, uri.host, uri.port, uri.resource_name, uri.user_info)
    print(Close(1000, "x"), Opcode.TEXT.value, Close.parse(b"\x03\xe9a").reason)
    error = ConnectionClosedError(None, Close(1001, "gone"))
    print(error, error.code, isinstance(error, websockets.WebSocketException))


async def main():
    settings = {
        "process_request": answer,
        "origins": ["https://example.com", None],
        "server_header": "test",
    }
    async with serve(talk, "localhost", 0, subprotocols=["chat"], **settings) as server:
        assert isinstance(server, websockets.WebSocketServer)
        assert issubclass(WebSocketServerProtocol, websockets.WebSocketCommonProtocol)
        await messages(f"ws://localhost:{server.sockets[0].getsockname()[1]}")
    async with serve(talk, "localhost", 0, **settings) as server:
        uri = f"ws://localhost:{server.sockets[0].getsockname()[1]}"
        for part in (endings, refusals, subclasses, reconnect):
            print("#", part.__name__)
            await part(uri)
    await servers()
    data()


asyncio.run(main())
