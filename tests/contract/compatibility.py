"""Members that programs written for websockets read, set and override."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosedError,
    InvalidState,
    InvalidStatus,
    ProtocolError,
    State,
)
from fullduplex.extensions import (
    ClientExtensionFactory,
    Extension,
    ServerExtensionFactory,
)
from fullduplex.frames import Frame, Opcode
from fullduplex.typing import ExtensionName

from ..kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT
from ..kit.peer import client
from .faces import Kit
from .registry import behaviour

# Limits that are settled when a connection is opened.
LATE = ["ping_interval", "ping_timeout", "max_queue", "read_limit", "write_limit"]


@behaviour(sides=())
async def attributes_are_read_before_the_connection_is_open(kit: Kit) -> None:
    seen: list[Any] = []

    def look(ws: Any, request: Any) -> Any:
        seen.append((len(ws.messages), ws.debug, ws.close_rcvd, ws.close_sent))
        seen.append((ws.close_rcvd_then_sent, ws.close_code, ws.stats.bytes_received))
        for name in ("close_exc", "protocol"):
            try:
                getattr(ws, name)
            except (InvalidState, AttributeError) as exc:
                seen.append(str(exc))
        ws.max_size = 7
        ws.ping_interval = 5
        seen.append((ws.max_size, ws.ping_interval))
        return (HTTPStatus.OK, [], b"") if request.path == "/no" else None

    async def handler(ws: Any) -> None:
        seen.append((ws.max_size, ws.ping_interval))

    async with (
        kit.server(handler, process_request=look) as (host, port),
        kit.connection(f"ws://{host}:{port}/") as ws,
    ):
        await kit.end(ws).wait_closed()
    assert seen == [
        (0, False, None, None),
        (None, None, 0),
        "connection isn't closed yet",
        "protocol is available once the connection is open",
        (7, 5),
        (7, 5),
    ]


@behaviour(sides=())
async def repr_tells_place_and_state_and_no_secret(kit: Kit) -> None:
    seen: list[str] = []

    def look(ws: Any, request: Any) -> None:
        seen.append(repr(ws))

    async def handler(ws: Any) -> None:
        seen.append(repr(ws))

    async with kit.server(handler, process_request=look) as (host, port):
        uri = f"ws://user:secret@{host}:{port}/chat?token=secret"
        async with kit.connection(uri) as ws:
            peer = f"{ws.local_address[0]}:{ws.local_address[1]}"
            opened = repr(ws)
            await kit.end(ws).wait_closed()
            closed = repr(ws)
    assert opened in [
        f"<ClientConnection ws://{host}:{port}/chat {state}>"
        for state in ("OPEN", "CLOSING", "CLOSED")
    ]
    assert closed == f"<ClientConnection ws://{host}:{port}/chat CLOSED>"
    assert seen == [
        f"<ServerConnection /chat from {peer} CONNECTING>",
        f"<ServerConnection /chat from {peer} OPEN>",
    ]


@behaviour()
async def size_limit_is_set_while_the_connection_is_open(kit: Kit, side: str) -> None:
    async with kit.ends(side, max_size=10) as (ws, peer):
        ws.ws.max_size = 20
        await kit.do(lambda: peer.send(TEXT, "a" * 20))
        assert await ws.recv() == "a" * 20
        ws.ws.max_size = 5
        assert (ws.max_size, ws.protocol.max_message_size) == (5, 5)
        await kit.do(lambda: peer.send(TEXT, "a" * 6))
        with pytest.raises(ValueError, match="max_size"):
            ws.ws.max_size = -1
        closing = kit.spawn(lambda: kit.do(peer.answer_close))
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert (await closing.result()).code == 1009


@behaviour()
async def limit_that_is_set_too_late_is_refused(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, _):
        for name in [
            "ping_interval",
            "ping_timeout",
            "max_queue",
            "read_limit",
            "write_limit",
        ]:
            with pytest.raises(AttributeError, match=f"{name} cannot be set while"):
                setattr(ws.ws, name, 3)
        ws.ws.close_timeout = 3
        assert ws.close_timeout == 3


@behaviour()
async def protocol_sends_at_once(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        protocol = ws.protocol
        assert protocol == ws.protocol
        assert (protocol.id, protocol.state) == (ws.id, State.OPEN)
        protocol.send_text(b"one")
        protocol.send_binary(b"two", fin=False)
        assert protocol.expect_continuation_frame
        blocking = kit.face.package == "sync"
        if blocking:  # refused, where others wait
            with pytest.raises(ConcurrencyError):
                await ws.send("later")
        else:
            later = kit.spawn(lambda: ws.send("later"))
        protocol.send_ping(b"ping")
        protocol.send_pong(memoryview(b"pong"))
        with pytest.raises(ProtocolError):
            protocol.send_text(b"between")
        protocol.send_continuation(b"three", fin=True)
        await (ws.send("later") if blocking else later.result())
        with pytest.raises(ProtocolError):
            protocol.send_continuation(b"four", fin=True)
        frames = [await kit.do(peer.read) for _ in range(6)]
        assert [(frame.opcode, frame.payload) for frame in frames] == [
            (TEXT, b"one"),
            (BINARY, b"two"),
            (PING, b"ping"),
            (PONG, b"pong"),
            (CONT, b"three"),
            (TEXT, b"later"),
        ]
        assert protocol.data_to_send() == protocol.events_received() == []
        with pytest.raises(InvalidState, match="receive_data"):
            protocol.receive_data(b"")


@behaviour()
async def protocol_fails_the_connection(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        ws.protocol.fail(1012, "again")
        assert ws.protocol.state is State.CLOSING
        assert ws.protocol.close_expected()
        close = await kit.do(peer.answer_close)
        assert (close.code, close.reason) == (1012, "again")
        await ws.wait_closed()
        assert ws.protocol.close_code == 1012
        assert isinstance(ws.protocol.close_exc, ConnectionClosedError)
        with pytest.raises(InvalidState, match="closed"):
            ws.protocol.send_close()


@behaviour()
async def protocol_closes_the_connection(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        ws.protocol.send_close(3000, "bye")
        close = await kit.do(peer.answer_close)
        assert (close.code, close.reason) == (3000, "bye")
        await ws.wait_closed()


@behaviour()
async def iteration_takes_from_an_overridden_recv(kit: Kit, side: str) -> None:
    for patch in ("instance", "class", "base"):
        async with kit.ends(side) as (ws, peer):
            cls = type(ws.ws)
            base = next(c for c in cls.__mro__ if "recv" in vars(c))
            place = {"instance": ws.ws, "class": cls, "base": base}[patch]
            original = cls.recv
            asks = hasattr(cls, "__anext__")

            async def waited(ws: Any, original: Any = original) -> Any:
                return f"<{await original(ws)}>"

            def taken(ws: Any, original: Any = original) -> Any:
                return f"<{original(ws)}>"

            function = waited if asks else taken
            with pytest.MonkeyPatch.context() as patching:
                if patch == "instance":
                    patching.setattr(place, "recv", partial(function, ws.ws))
                else:
                    patching.setattr(place, "recv", function)

                def say(peer: Any = peer) -> None:
                    peer.send(TEXT, "a")
                    peer.send(TEXT, "b")
                    peer.send_close(1000)
                    peer.read_until(CLOSE)
                    peer.close()

                saying = kit.spawn(partial(kit.do, say))
                assert await ws.all() == ["<a>", "<b>"], patch
                await saying.result()


@behaviour(sides=())
async def process_request_of_an_object_is_called(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        pytest.fail("it is open")

    def refuse(path: str, headers: Any) -> Any:
        return HTTPStatus.FORBIDDEN, [], b"no"

    async def refuse_later(path: str, headers: Any) -> Any:
        return refuse(path, headers)

    package = kit.face.package
    module = importlib.import_module(f"fullduplex.{package}.server")

    def make(*args: Any, **kwds: Any) -> Any:
        connection = module.ServerConnection(*args, **kwds)
        connection.process_request = refuse if package == "sync" else refuse_later
        return connection

    async with kit.server(handler, create_protocol=make) as (host, port):
        with pytest.raises(InvalidStatus) as caught:
            async with kit.connection(f"ws://{host}:{port}/"):
                pytest.fail("it is open")
        assert caught.value.response.status_code == 403


@behaviour(sides=())
async def closing_server_calls_an_overridden_close(kit: Kit) -> None:
    arrived = kit.event()
    package = kit.face.package
    module = importlib.import_module(f"fullduplex.{package}.server")
    base = module.ServerConnection
    calls: list[Any] = []

    async def later(self: Any, code: int = 1000, reason: str = "") -> None:
        calls.append(code)
        if len(calls) == 1:
            await self.send("goodbye")
            raise KeyError("mine")
        await getattr(base, name)(self, code, reason)

    def now(self: Any, code: int = 1000, reason: str = "") -> None:
        calls.append(code)
        if len(calls) == 1:
            self.send("goodbye")
            raise KeyError("mine")
        base.close(self, code, reason)

    name = "aclose" if package == "trio" else "close"
    own = type("Own", (base,), {name: now if package == "sync" else later})

    servers: list[Any] = []

    async def handler(ws: Any) -> None:
        servers.append(ws.server)
        arrived.set()
        await kit.end(ws).wait_closed()

    async def stop() -> None:
        # Cancelling, on trio, would leave no time for anything.
        how = {"sync": "shutdown", "trio": "aclose"}.get(package, "close")
        await kit.wait(getattr(servers[0], how)())

    async with kit.server(handler, create_protocol=own, compression=None) as address:
        peer = await kit.do(lambda: client(address))
        await kit.wait(arrived.wait())
        stopping = kit.spawn(stop)
        assert (await kit.do(peer.read)).text == "goodbye"
        # What it has not done is done for it.
        assert (await kit.do(peer.answer_close)).code == 1001
        await stopping.result()
    assert calls[0] == 1001


class Mark(Extension):
    """Sets a reserved bit in each frame, and inverts the payload."""

    name = ExtensionName("x-mark")

    def __init__(self) -> None:
        self.seen: list[Opcode] = []

    def encode(self, frame: Frame) -> Frame:
        return replace(frame, rsv2=True, data=invert(frame.data))

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        assert frame.rsv2
        self.seen.append(frame.opcode)
        return replace(frame, rsv2=False, data=invert(frame.data))


def invert(data: Any) -> bytes:
    return bytes(byte ^ 0xFF for byte in bytes(data))


class MarkFromClient(ClientExtensionFactory):
    name = ExtensionName("x-mark")

    def get_request_params(self) -> list[Any]:
        return []

    def process_response_params(self, params: Any, accepted_extensions: Any) -> Mark:
        return Mark()


class MarkFromServer(ServerExtensionFactory):
    name = ExtensionName("x-mark")

    def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
        return [], Mark()


@behaviour(sides=())
async def extension_sees_control_frames_too(kit: Kit) -> None:
    ends: list[Any] = []
    arrived = kit.event()

    async def handler(ws: Any) -> None:
        ends.append(ws)
        arrived.set()
        end = kit.end(ws)
        await end.send(await end.recv())
        await end.pong_of(await end.ping(b"from the server"))
        await end.wait_closed()

    options: dict[str, Any] = {"compression": None, "ping_interval": None}
    async with kit.server(handler, extensions=[MarkFromServer()], **options) as place:
        uri = f"ws://{place[0]}:{place[1]}/"
        async with kit.connection(
            uri, extensions=[MarkFromClient()], **options
        ) as client:
            end = kit.end(client)
            await end.send("text")
            assert await end.recv() == "text"
            await end.pong_of(await end.ping(b"from the client"))
            await kit.wait(arrived.wait())
            await end.close(3000, "bye")
        assert (client.close_code, client.close_reason) == (3000, "bye")
        await kit.until(lambda: ends[0].close_code is not None)
        assert (ends[0].close_code, ends[0].close_reason) == (3000, "bye")
    (mark,) = client.extensions
    assert set(mark.seen) == {Opcode.TEXT, Opcode.PING, Opcode.PONG, Opcode.CLOSE}
