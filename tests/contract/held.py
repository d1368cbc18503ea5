"""Input behind the marks: it is held as bytes and parsed in its turn."""

from __future__ import annotations

import zlib

import pytest

from fullduplex import ConnectionClosed

from ..kit.bytes import BINARY, CLOSE, DEFLATE, PING, PONG, RSV1, TEXT
from ..kit.peer import Peer
from .faces import End, Kit
from .registry import behaviour

COUNT = 300


def numbered(peer: Peer, count: int = COUNT) -> bytes:
    """Frames of numbered messages."""
    return b"".join(peer.frame(TEXT, str(number)) for number in range(count))


async def held(kit: Kit, ws: End) -> None:
    """Wait until bytes are held, and see that no more messages are than may be."""
    await kit.until(lambda: ws._session.holder.holding and ws._session.reading_paused)
    assert len(ws._session.messages) <= 5


@behaviour()
async def burst_above_the_mark_comes_out_though_the_peer_sends_nothing_more(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):
        peer.write(numbered(peer))
        await held(kit, ws)
        for number in range(COUNT):
            assert await ws.recv() == str(number)
            assert len(ws._session.messages) <= 5
        peer.send(TEXT, "after")
        assert await ws.recv() == "after"


@behaviour()
async def receiver_that_waits_gets_all_of_a_burst_above_the_mark(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):

        async def receive() -> list[str]:
            return [await ws.recv() for _ in range(COUNT)]

        receiving = kit.spawn(receive)
        await kit.receiving(ws, receiving)
        peer.write(numbered(peer))
        assert await receiving.result() == [str(number) for number in range(COUNT)]


@behaviour()
async def ping_behind_the_mark_is_answered_once_messages_were_taken(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):
        peer.write(numbered(peer, 8) + peer.frame(PING, "p") + numbered(peer, 2))
        await held(kit, ws)
        for _ in range(8):
            await ws.recv()
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PONG, "p")


@behaviour()
async def ping_behind_the_mark_is_answered_though_nothing_is_taken(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):
        pings = peer.frame(PING, "first") + peer.frame(PING, "last")
        peer.write(numbered(peer, 8) + pings + numbered(peer, 2))
        await held(kit, ws)
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PONG, "last")
        for number in (*range(8), *range(2)):
            assert await ws.recv() == str(number)


@behaviour()
async def close_frame_behind_the_mark_is_found_when_we_close(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_queue=4, close_timeout=60) as (ws, peer):
        peer.write(numbered(peer) + peer.frame(CLOSE, b"\x03\xe9"))
        await held(kit, ws)
        closing = kit.spawn(ws.close)
        assert (await kit.do(peer.read)).opcode == CLOSE
        peer.close()
        await closing.result()
        assert ws.close_code == 1001
        # What was read is there, as bytes that cost no more than they did.
        for number in range(COUNT):
            assert await ws.recv() == str(number)
        with pytest.raises(ConnectionClosed):
            await ws.recv()


@behaviour()
async def close_frame_behind_the_last_message_is_answered(kit: Kit, side: str) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):
        peer.write(numbered(peer) + peer.frame(CLOSE, b"\x03\xe8"))
        await held(kit, ws)
        for number in range(COUNT):
            assert await ws.recv() == str(number)
        receiving = kit.spawn(ws.all)
        assert (await kit.do(peer.read)).opcode == CLOSE
        peer.close()
        assert await receiving.result() == []
        assert ws.close_code == 1000


@behaviour()
async def messages_behind_the_mark_survive_the_peer(kit: Kit, side: str) -> None:
    async with kit.ends(side, max_queue=4) as (ws, peer):
        peer.write(numbered(peer) + peer.frame(CLOSE, b"\x03\xe8"))
        await held(kit, ws)
        peer.close()
        for number in range(COUNT):
            assert await ws.recv() == str(number)
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        await ws.wait_closed()
        assert ws.close_code == 1000


@behaviour(sides=())
async def compressed_read_holds_the_marks_and_one_message(kit: Kit) -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    async with kit.opened(DEFLATE, compression="deflate") as (ws, peer):
        size = 2**20
        data = b""
        for _ in range(40):
            piece = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH)
            data += peer.frame(BINARY, piece[:-4], rsv=RSV1)
        peer.write(data)
        await kit.until(lambda: ws._session.holder.holding)
        await kit.until(lambda: ws._session.reading_paused)
        # A mark of 1 MiB, and one message.
        assert ws._session.unread_size() == 2 * size
        for _ in range(40):
            assert await ws.recv() == bytes(size)
            assert ws._session.unread_size() <= 2 * size
