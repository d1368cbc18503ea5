"""What programs for websockets 10 and 17 read from connections besides the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fullduplex
from fullduplex import ConnectionClosedError, ConnectionClosedOK, connect, serve
from fullduplex.core.connection.websockets_protocol import ConnectionProtocol
from fullduplex.exceptions import ConnectionClosed, InvalidState, ProtocolError
from fullduplex.frames import Close
from fullduplex.uri import parse_uri

from .record import signature_of
from .tables import HERE, names_in, recorded


def connected(
    test: Callable[[Any, Any], Awaitable[None]], **kwds: Any
) -> Callable[[], None]:
    """Make a test of what is called with a client's and a server's connection."""

    def run() -> None:
        async def main() -> None:
            seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def handler(ws: Any) -> None:
                seen.set_result(ws)
                await ws.wait_closed()

            async with serve(handler, "127.0.0.1", 0, **kwds) as server:
                port = server.sockets[0].getsockname()[1]
                uri = f"ws://127.0.0.1:{port}/"
                async with connect(uri, origin="https://here", **kwds) as ws:
                    await test(ws, await seen)

        asyncio.run(main())

    return run


async def limits(client: Any, server: Any) -> None:
    assert (client.is_client, server.is_client) == (True, False)
    for ws in (client, server):
        assert (ws.ping_interval, ws.ping_timeout, ws.close_timeout) == (11, 12, 13)
        assert ws.max_size == 14
        assert (ws.max_queue, ws.max_queue_high, ws.max_queue_low) == (16, 16, 4)
        assert (ws.write_limit, ws.write_limit_high, ws.write_limit_low) == (20, 20, 5)
        assert ws.read_limit == 18
        assert ws.debug is False
        assert len(ws.messages) == 0
        assert (ws.protocol.origin, ws.protocol.subprotocol) == ("https://here", None)
        assert ws.origin == "https://here"


test_limits_are_shown = connected(
    limits,
    ping_interval=11,
    ping_timeout=12,
    close_timeout=13,
    max_size=14,
    max_queue=16,
    read_limit=18,
    write_limit=20,
)


async def no_queue(client: Any, server: Any) -> None:
    assert (client.max_queue, client.max_queue_low, client.read_limit) == (None,) * 3


test_limits_are_none_without_a_queue_limit = connected(no_queue, max_queue=None)


async def close_frames(client: Any, server: Any) -> None:
    assert client.close_rcvd is client.close_sent is None
    with pytest.raises(InvalidState):
        _ = client.close_exc
    await client.close(1001, "bye")
    await server.wait_closed()
    assert client.close_sent == client.close_rcvd == Close(1001, "bye")
    assert (client.close_rcvd_then_sent, server.close_rcvd_then_sent) == (False, True)
    assert isinstance(client.close_exc, ConnectionClosedOK)


test_close_frames_are_shown = connected(close_frames)


async def failing(client: Any, server: Any) -> None:
    await client.ensure_open()
    with pytest.raises(ProtocolError):
        client.fail_connection(1005)
    client.fail_connection(1002, "reason")
    await server.wait_closed()
    with pytest.raises(ConnectionClosed):
        await server.ensure_open()
    assert server.close_code == 1002
    assert server.close_reason == "reason"


test_fail_connection_sends_the_code = connected(failing)


async def cutting(client: Any, server: Any) -> None:
    client.fail_connection()
    with pytest.raises(ConnectionClosedError):
        await server.recv()
    assert server.close_code == 1006


test_fail_connection_without_a_code_ends_tcp = connected(cutting)


RECORDED = json.loads((HERE / "recorded" / "protocol.json").read_text())
ABSENT = names_in("Members of `ws.protocol` that are not there")


@pytest.mark.parametrize("side", ["client", "server"])
def test_protocol_has_the_members_of_websockets_with_their_parameters(
    side: str,
) -> None:
    kind = ConnectionProtocol
    missing = {name for name in RECORDED[side] if not hasattr(kind, name)}
    assert missing == ABSENT & set(RECORDED[side])
    modules = recorded("17.4")["modules"]
    theirs = modules[f"websockets.{side}"][f"{side.title()}Protocol"]["methods"]
    for name, parameters in theirs.items():
        if name not in ABSENT:
            ours = signature_of(getattr(kind, name)) or []
            assert ours == parameters, name


OBJECTS = json.loads((HERE / "recorded" / "objects.json").read_text())
ABSENT_OF_OBJECTS = names_in("Members of servers and of `connect` that are not there")


def test_servers_and_connect_have_the_attributes_of_websockets_or_a_row() -> None:
    async def main() -> set[str]:
        async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0) as server:
            opening = connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            async with opening:
                found = {"server": server, "connect": opening}
                return {
                    f"{kind}.{name}"
                    for kind, value in found.items()
                    for name in OBJECTS[kind]
                    if not hasattr(value, name)
                }

    assert asyncio.run(main()) == ABSENT_OF_OBJECTS


def test_no_row_about_the_protocol_is_stale() -> None:
    assert {*RECORDED["client"], *RECORDED["server"]} >= ABSENT
    assert not {name for name in ABSENT if hasattr(ConnectionProtocol, name)}


async def protocol_attributes(client: Any, server: Any) -> None:
    for ws in (client, server):
        for name in dir(ws.protocol):
            if name == "close_exc" or (name == "uri" and ws is server):
                continue
            assert hasattr(ws.protocol, name)
        assert ws.protocol.eof_sent is False
        assert ws.protocol.handshake_exc is ws.protocol.parser_exc is None
        with pytest.raises(InvalidState):
            _ = ws.protocol.close_exc
    assert client.protocol.key == server.protocol.key
    assert client.protocol.uri == parse_uri(
        f"ws://127.0.0.1:{client.remote_address[1]}/"
    )


test_protocol_attributes_are_read = connected(protocol_attributes)


async def listening(client: Any, server: Any) -> None:
    listener = server.server.server
    assert listener.is_serving()
    numbers = [sock.fileno() for sock in listener.sockets]
    assert numbers == [sock.fileno() for sock in server.server.sockets] != []
    assert listener.get_loop() is asyncio.get_running_loop()


test_server_shows_what_listens = connected(listening)


def test_subclass_may_use_these_names_for_its_own() -> None:
    class Own(fullduplex.ClientConnection):
        def __init__(self, *args: Any, **kwds: Any) -> None:
            super().__init__(*args, **kwds)
            self.debug = "mine"  # type: ignore[assignment]
            self.messages = ["mine"]

    async def main() -> None:
        async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/", create_protocol=Own) as ws:
                assert (ws.debug, ws.messages) == ("mine", ["mine"])  # type: ignore[comparison-overlap]

    asyncio.run(main())
