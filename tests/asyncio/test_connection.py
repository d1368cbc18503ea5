"""An open connection: attributes, the context manager, TLS."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    State,
)
from fullduplex.http import Headers

from ..kit.asyncio_peer import listening, turns
from ..kit.bytes import CLOSE, close_frame
from .kit import opened

# Attributes


async def test_id_is_a_random_uuid_of_the_connection() -> None:
    async with opened() as (one, _), opened() as (two, _):
        assert isinstance(one.id, uuid.UUID)
        assert one.id.version == 4
        assert one.id == one.id
        assert one.id != two.id


async def test_addresses_are_those_of_the_socket_also_after_the_end() -> None:
    async with opened() as (ws, peer):
        local = peer.writer.get_extra_info("peername")
        remote = peer.writer.get_extra_info("sockname")
        assert (ws.local_address, ws.remote_address) == (local, remote)

        peer.close()
        await ws.wait_closed()

        assert (ws.local_address, ws.remote_address) == (local, remote)


async def test_open_and_closed_follow_the_state() -> None:
    async with opened(close_timeout=5) as (ws, peer):
        assert (ws.open, ws.closed, ws.state) == (True, False, State.OPEN)
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        assert (ws.open, ws.closed, ws.state) == (False, False, State.CLOSING)
        peer.write(close_frame())
        peer.close()
        await closing
        assert (ws.open, ws.closed, ws.state) == (False, True, State.CLOSED)


async def test_handshake_is_kept_in_attributes() -> None:
    async with opened("X-Server: one", "X-Server: two") as (ws, peer):
        assert ws.path == "/"
        assert isinstance(ws.request_headers, Headers)
        assert isinstance(ws.response_headers, Headers)
        assert ws.request_headers["Sec-WebSocket-Key"] == peer.header(
            "sec-websocket-key"
        )
        assert ws.response_headers.get_all("x-server") == ["one", "two"]
        assert ws.request is not None
        assert ws.request.headers is ws.request_headers
        assert ws.response is not None
        assert ws.response.status_code == 101
        assert ws.subprotocol is None


async def test_subprotocol_is_what_the_server_chose() -> None:
    async with opened("Sec-WebSocket-Protocol: two", subprotocols=["one", "two"]) as (
        ws,
        peer,
    ):
        assert ws.subprotocol == "two"
        assert peer.header("Sec-WebSocket-Protocol") == "one, two"


async def test_handshake_attributes_before_the_handshake_are_errors() -> None:
    ws = ClientConnection()

    assert ws.state is State.CONNECTING
    assert not ws.open
    assert not ws.closed
    assert ws.close_code is None
    assert ws.close_reason is None
    assert ws.local_address is None
    for name in ("path", "request_headers", "response_headers"):
        with pytest.raises(AttributeError):
            getattr(ws, name)


async def test_close_code_and_reason_are_none_until_tcp_has_ended() -> None:
    async with opened(close_timeout=5) as (ws, peer):
        assert (ws.close_code, ws.close_reason) == (None, None)
        peer.write(close_frame(4321, "so be it"))
        await peer.read_until(CLOSE)
        assert (ws.close_code, ws.close_reason) == (None, None)
        peer.close()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4321, "so be it")


# The context manager


async def test_context_manager_closes_with_1000_at_its_end() -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        async with ws as same:
            assert same is ws
        assert (await answer).code == 1000
        assert ws.closed


async def test_context_manager_closes_with_1011_when_the_body_raises() -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        with pytest.raises(LookupError):
            async with ws:
                raise LookupError
        assert (await answer).code == 1011
        assert ws.closed


async def test_context_manager_closes_with_1011_when_the_body_is_cancelled() -> None:
    async with opened() as (ws, peer):

        async def body() -> None:
            async with ws:
                await ws.recv()

        task = asyncio.ensure_future(body())
        await turns(3)
        task.cancel()
        assert (await peer.answer_close()).code == 1011
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ws.closed


# Over TLS the same


@pytest.mark.variants("all")
async def test_tls_connection_exchanges_messages_of_all_sizes(
    server_tls: Any, client_tls: Any
) -> None:
    async with listening(ssl=server_tls) as listener:
        from fullduplex import connect

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            await peer.echo()

        server = asyncio.ensure_future(serve())
        async with connect(
            listener.at("/", "localhost"), ssl=client_tls, compression=None
        ) as ws:
            for size in (0, 1, 125, 126, 16_384, 16_385, 65_536, 700_000):
                await ws.send("x" * size)
                assert await ws.recv() == "x" * size
            for number in range(200):
                await ws.send(f"{number}")
            assert [await ws.recv() for _ in range(200)] == [f"{n}" for n in range(200)]
        await server
        assert ws.close_code == 1000
