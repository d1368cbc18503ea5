"""The failure contracts that TLS could break: its buffers, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from fullduplex import ClientConnection, ConnectionClosedError, ConnectionClosedOK

from ..kit.asyncio_peer import Stopwatch, turns
from ..kit.bytes import BINARY, CLOSE, PING, TEXT, close_frame, frame
from .kit import opened

SLACK = 2.0


@pytest.fixture
def tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Any:
    """The keywords of both ends."""
    return {"ssl": server_tls, "client_ssl": client_tls}


async def send_two(ws: ClientConnection) -> None:
    """Send more than the systems take; asyncio's own TLS takes the first at once."""
    for _ in range(2):
        await ws.send(bytes(16 * 2**20))


async def test_close_when_the_peer_is_silent_takes_one_close_timeout(tls: Any) -> None:
    async with opened(**tls, close_timeout=0.4) as (ws, _peer):
        watch = Stopwatch()
        await ws.close()
        assert 0.35 < watch.elapsed < 0.75
        assert ws.close_code == 1006


async def test_close_when_the_peer_does_not_read_takes_one_timeout(tls: Any) -> None:
    async with opened(**tls, close_timeout=0.4, small=True) as (ws, _peer):
        sending = asyncio.ensure_future(send_two(ws))
        await turns(9)
        assert not sending.done()
        watch = Stopwatch()
        await ws.close()
        assert 0.35 < watch.elapsed < 0.75
        with pytest.raises(ConnectionClosedError):
            await sending


async def test_send_when_the_peer_stops_reading_is_released(tls: Any) -> None:
    options: dict[str, Any] = {
        "ping_interval": 0.1,
        "ping_timeout": 0.2,
        "close_timeout": 0.2,
    }
    async with opened(**tls, **options, small=True) as (ws, _peer):
        watch = Stopwatch()
        with pytest.raises(ConnectionClosedError):
            await send_two(ws)
        await ws.close()
        assert watch.elapsed < 0.5 + SLACK


async def test_send_when_the_peer_reads_slowly_is_never_cut(tls: Any) -> None:
    size = 16_000_000
    # What the peer's own buffers hold, up to 0.4 MB with TLS, moves unseen: it must
    # be read within the timeout, as it is with any timeout of everyday use.
    options: dict[str, Any] = {
        "ping_interval": 0.05,
        "ping_timeout": 0.3,
        "close_timeout": 0.1,
    }
    async with opened(**tls, **options, small=True) as (ws, peer):
        # The system holds little of it, the transport below TLS the rest.
        sock = ws.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sending = asyncio.ensure_future(ws.send(bytes(size)))
        watch = Stopwatch()
        left = size
        while left > 0:
            data = await peer.reader.read(min(left, 60_000))
            assert data, "the connection was cut"
            left -= len(data)
            if watch.elapsed < 1.0:
                await asyncio.sleep(0.03)
        await sending
        assert ws.open


async def test_tcp_stays_open_after_the_closing_handshake(tls: Any) -> None:
    async with opened(**tls, close_timeout=0.4) as (ws, peer):
        watch = Stopwatch()
        peer.write(close_frame(1001))
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        assert 0.35 < watch.elapsed < 0.75
        assert ws.close_code == 1001


async def test_both_ends_close_in_order(tls: Any) -> None:
    async with opened(**tls) as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        watch = Stopwatch()
        await ws.close()
        await answer
        assert watch.elapsed < 1.5  # close_timeout is 2
        assert ws.close_code == 1000


async def test_tcp_ends_without_a_word_of_tls(tls: Any) -> None:
    async with opened(**tls) as (ws, peer):
        peer.write(frame(TEXT, "last"))
        await peer.heard()
        peer.reset()
        assert await ws.recv() == "last"
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1006


async def test_messages_unread_are_bounded_and_none_is_lost(tls: Any) -> None:
    async with opened(**tls, max_queue=4) as (ws, peer):
        written = 0
        try:
            while written < 50_000:
                peer.write(*[frame(BINARY, b"%05d" % written * 200)] * 10)
                written += 10
                async with asyncio.timeout(0.2):
                    await peer.drain()
        except TimeoutError:
            pass
        assert written < 50_000
        draining = asyncio.ensure_future(peer.drain())
        for number in range(written):
            assert await ws.recv() == b"%05d" % (number // 10 * 10) * 200
        await draining


async def test_fault_behind_messages_comes_after_them_and_the_replies(
    tls: Any,
) -> None:
    async with opened(**tls, close_timeout=0.5) as (ws, peer):

        async def reply() -> None:
            async for message in ws:
                await ws.send(f"got {message!r}")

        replying = asyncio.ensure_future(reply())
        await turns(3)
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"), frame(3))
        assert (await peer.read()).text == "got 'a'"
        assert (await peer.read()).text == "got 'b'"
        assert (await peer.answer_close()).code == 1002
        with pytest.raises(ConnectionClosedError):
            await replying


async def test_large_messages_both_ways_at_once(tls: Any) -> None:
    async with opened(**tls, max_size=None) as (ws, peer):
        data = bytes(range(256)) * 20_000
        sending = asyncio.ensure_future(ws.send(data))
        peer.write(frame(BINARY, data), frame(PING, b"p"))
        receiving = asyncio.ensure_future(ws.recv())
        assert (await peer.read()).payload == data
        await sending
        assert await receiving == data
        assert (await peer.read()).payload == b"p"
        answer = asyncio.ensure_future(peer.read_until(CLOSE))
        closing = asyncio.ensure_future(ws.close())
        await answer
        peer.write(close_frame())
        peer.close()
        await closing
