"""Our client against the servers of other projects."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fullduplex import connect
from fullduplex.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    NegotiationError,
)
from fullduplex.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from .peers import MISSING, SERVERS, TLS, Closed, Deflate, Server
from .peers.base import FRAGMENTS, PING, PONG

pytestmark = pytest.mark.interop

CLOSES = [
    Closed(1000, ""),
    Closed(1001, "going away"),
    Closed(3000, "z\u00e1v\u011br"),
    Closed(4999, "\u7d42\u308f\u308a \U0001f44b"),
]

PARAMETERS: dict[str, bool | int] = {
    "server_no_context_takeover": True,
    "client_no_context_takeover": True,
    "server_max_window_bits": 10,
    "client_max_window_bits": 10,
}

# One page of noise, repeated at a distance that a window of 2**10 does not reach: a
# side that uses a larger window than agreed is found out.
PAGE = "".join(random.Random(1).choices("0123456789abcdef", k=1500))
COMPRESSIBLE: list[str | bytes] = [
    "a short text",
    "the same again " * 40,
    "the same again " * 40,
    PAGE * 3,
    b"\0\1\2\3" * 10_000,
    "",
    PAGE.encode() * 2,
]


def servers(*features: str) -> pytest.MarkDecorator:
    """Run a test with every server that has these features."""
    chosen = [server for server in SERVERS if server.features.issuperset(features)]
    return pytest.mark.parametrize("server", chosen, ids=lambda server: server.name)


def servers_and_parameters(feature: str) -> pytest.MarkDecorator:
    """Run a test with each pair of a server and a parameter that it knows."""
    return pytest.mark.parametrize(
        ("server", "parameter"),
        [
            pytest.param(server, parameter, id=f"{server.name}-{parameter}")
            for server in SERVERS
            for parameter in PARAMETERS
            if f"{feature}:{parameter}" in server.features
        ],
    )


@asynccontextmanager
async def connected(
    server: Server,
    *,
    tls: TLS | None = None,
    deflate: Deflate = None,
    offer: Mapping[str, bool | int] | None = None,
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield our connection and the peer; offer no compression unless told to."""
    settings: Any = offer
    async with (
        server.serve(tls=tls, deflate=deflate) as running,
        connect(
            running.url,
            ssl=tls.client if tls else None,
            compression=None,
            extensions=(
                None if offer is None else [ClientPerMessageDeflateFactory(**settings)]
            ),
            max_size=None,
            proxy=None,
        ) as connection,
    ):
        yield connection, running


def negotiated(connection: Any) -> str:
    return str(connection.response.headers.get("Sec-WebSocket-Extensions", ""))


def in_answer(parameter: str, value: bool | int) -> str:
    return parameter if value is True else f"{parameter}={value}"


def test_every_peer_is_installed() -> None:
    if MISSING:
        pytest.skip("; ".join(MISSING))
    assert len(SERVERS) == 6


@servers()
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
async def test_text_comes_back(server: Server, size: int) -> None:
    async with connected(server) as (connection, _):
        message = "x" * size
        await connection.send(message)
        assert await connection.recv() == message


@servers()
async def test_text_beyond_ascii_comes_back(server: Server) -> None:
    async with connected(server) as (connection, _):
        message = "\u00e9\u20ac\U0001f600\0" * 1000
        await connection.send(message)
        assert await connection.recv() == message


@servers()
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
async def test_binary_comes_back(server: Server, size: int) -> None:
    async with connected(server) as (connection, _):
        message = os.urandom(size)
        await connection.send(message)
        assert await connection.recv() == message


@servers()
async def test_many_messages_come_back_in_order(server: Server) -> None:
    async with connected(server) as (connection, _):
        messages: list[str | bytes] = [
            str(number) * (number % 50) if number % 2 else os.urandom(number)
            for number in range(500)
        ]
        # Half at a time: nobody reads meanwhile, and buffers have an end.
        for half in (messages[:250], messages[250:]):
            for message in half:
                await connection.send(message)
            assert [await connection.recv() for _ in half] == half


@servers()
async def test_fragments_that_we_send_are_one_message(server: Server) -> None:
    async with connected(server) as (connection, _):
        await connection.send(["frag", "", "m\u00e9nt", "s"])
        assert await connection.recv() == "fragm\u00e9nts"

        async def pieces() -> AsyncIterator[bytes]:
            yield b"\0" * 200
            yield b"\1" * 70_000

        await connection.send(pieces())
        assert await connection.recv() == b"\0" * 200 + b"\1" * 70_000


@servers("fragments")
async def test_fragments_that_the_peer_sends_are_one_message(server: Server) -> None:
    async with connected(server) as (connection, _):
        await connection.send("!fragments")
        assert await connection.recv() == "".join(FRAGMENTS)


@servers("fragments", "deflate")
async def test_compressed_fragments_are_one_message(server: Server) -> None:
    async with connected(server, deflate={}, offer={}) as (connection, _):
        assert "permessage-deflate" in negotiated(connection)
        await connection.send("!fragments")
        assert await connection.recv() == "".join(FRAGMENTS)
        await connection.send([PAGE, PAGE, ""])
        assert await connection.recv() == PAGE * 2


@servers()
async def test_our_ping_is_answered(server: Server) -> None:
    async with connected(server) as (connection, _):
        first = await connection.ping()
        second = await connection.ping(PING)
        assert 0 < await first < 30
        assert 0 < await second < 30
        assert connection.latency > 0


@servers()
async def test_we_answer_a_ping(server: Server) -> None:
    async with connected(server) as (connection, _):
        await connection.send("!ping")
        assert await connection.recv() == PONG


@servers("deflate")
async def test_plain_offer_is_accepted(server: Server) -> None:
    async with connected(server, deflate={}, offer={}) as (connection, _):
        assert "permessage-deflate" in negotiated(connection)
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message


@servers("deflate")
@pytest.mark.parametrize("takeover", [True, False])
async def test_messages_sent_without_compression_leave_the_window_alone(
    server: Server, takeover: bool
) -> None:
    offer = {} if takeover else {"client_no_context_takeover": True}
    async with connected(server, deflate={}, offer=offer) as (connection, _):
        for message in COMPRESSIBLE:
            for compress in (None, False, True, False):
                await connection.send(message, compress=compress)
                assert await connection.recv() == message
        await connection.send([PAGE, PAGE, ""], compress=False)
        assert await connection.recv() == PAGE * 2
        await connection.send(PAGE)
        assert await connection.recv() == PAGE


@servers("deflate")
@pytest.mark.parametrize("takeover", [True, False])
async def test_pauses_of_compression_leave_the_window_alone(
    server: Server, takeover: bool
) -> None:
    offer = {} if takeover else {"client_no_context_takeover": True}
    async with connected(server, deflate={}, offer=offer) as (connection, _):
        for number in range(160):
            message = random.Random(number).randbytes(100)
            await connection.send(message)
            assert await connection.recv() == message
            if number % 70 < 5:
                await connection.send(PAGE)
                assert await connection.recv() == PAGE


@servers()
async def test_nothing_is_compressed_when_the_server_declines(server: Server) -> None:
    async with connected(server, offer={}) as (connection, _):
        assert negotiated(connection) == ""
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message


@servers_and_parameters("offer")
async def test_parameter_that_we_offer_holds(server: Server, parameter: str) -> None:
    value = PARAMETERS[parameter]
    offer = {parameter: value}
    async with connected(server, deflate={}, offer=offer) as (connection, _):
        # A server may keep to a client_... parameter without repeating it.
        if parameter.startswith("server_"):
            assert in_answer(parameter, value) in negotiated(connection)
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message


@servers_and_parameters("ask")
async def test_parameter_that_the_peer_asks_holds(
    server: Server, parameter: str
) -> None:
    value = PARAMETERS[parameter]
    async with connected(server, deflate={parameter: value}, offer={}) as (
        connection,
        _,
    ):
        assert in_answer(parameter, value) in negotiated(connection)
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message


@pytest.mark.parametrize(
    "parameter", ["server_no_context_takeover", "server_max_window_bits"]
)
async def test_answer_that_ignores_what_we_require_is_refused(parameter: str) -> None:
    chosen = [server for server in SERVERS if server.name == "picows.websockets"]
    if not chosen:
        pytest.skip("picows is not installed")
    offer = {parameter: PARAMETERS[parameter]}
    with pytest.raises(NegotiationError):
        async with connected(chosen[0], deflate={}, offer=offer):
            pass


@servers()
@pytest.mark.parametrize("closed", CLOSES, ids=lambda closed: closed.code)
async def test_our_close_arrives(server: Server, closed: Closed) -> None:
    async with connected(server) as (connection, running):
        await connection.close(closed.code, closed.reason)
        answer = closed.code if "same_code" in server.features else 1000
        assert connection.close_code == answer
        assert await running.closed() == closed
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        end = caught.value
        assert end.sent is not None
        assert end.sent.code == closed.code
        assert end.rcvd is not None
        assert end.rcvd.code == answer
        assert end.rcvd_then_sent is False


@servers()
@pytest.mark.parametrize("closed", CLOSES, ids=lambda closed: closed.code)
async def test_close_of_the_peer_arrives(server: Server, closed: Closed) -> None:
    kind = ConnectionClosedOK if closed.code < 3000 else ConnectionClosedError
    async with connected(server) as (connection, running):
        await connection.send(f"!close {closed.code} {closed.reason}")
        with pytest.raises(kind) as caught:
            await connection.recv()
        assert caught.value.rcvd_then_sent is True
        assert connection.close_code == closed.code
        assert connection.close_reason == closed.reason
        assert (await running.closed()).code == closed.code


@servers()
async def test_message_of_64_mib_comes_back(server: Server) -> None:
    message = os.urandom(2**20) * 64
    async with connected(server) as (connection, _):
        await connection.send(message)
        answer = await connection.recv()
    # Compared this way because a difference of that size must not be printed.
    same = answer == message
    assert same


@servers()
async def test_messages_come_back_over_tls(server: Server, tls: TLS) -> None:
    async with connected(server, tls=tls) as (connection, running):
        for message in ("secr\u00e9t", b"\0" * 1_000_000):
            await connection.send(message)
            assert await connection.recv() == message
        await connection.close(1000, "done")
        assert await running.closed() == Closed(1000, "done")


@servers("deflate")
async def test_compressed_messages_come_back_over_tls(server: Server, tls: TLS) -> None:
    async with connected(server, tls=tls, deflate={}, offer={}) as (connection, _):
        for message in COMPRESSIBLE:
            await connection.send(message)
            assert await connection.recv() == message
