"""Costs of a peer: limits hold before memory is taken."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from fullduplex import ConnectionClosedError, PayloadTooBig, TooManyFragments

from ..kit.bytes import BINARY, CONT, DEFLATE, PING, PONG, RSV1, TEXT
from ..kit.peer import Peer
from .faces import End, Kit
from .registry import behaviour


async def too_big(kit: Kit, ws: End, peer: Peer) -> None:
    """The connection must have failed with 1009."""
    assert (await kit.do(peer.read)).code == 1009
    peer.close()
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert isinstance(caught.value.__cause__, PayloadTooBig)


@behaviour()
async def message_of_exactly_max_size_passes_and_one_byte_more_fails(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side, max_size=1000) as (ws, peer):
        peer.send(BINARY, bytes(1000))
        assert await ws.recv() == bytes(1000)
        peer.send(BINARY, bytes(1001))
        await too_big(kit, ws, peer)


@behaviour()
async def fragment_beyond_the_budget_is_refused(kit: Kit, side: str) -> None:
    async with kit.ends(side, max_size=10) as (ws, peer):
        peer.send(BINARY, bytes(10), fin=False)
        peer.send(CONT, b"x")
        await too_big(kit, ws, peer)


@behaviour()
async def huge_length_is_refused_before_its_payload(kit: Kit, side: str) -> None:
    async with kit.ends(side, max_size=1000) as (ws, peer):
        length = (2**62).to_bytes(8, "big")
        peer.write(bytes([0x82, 0xFF if peer.masks else 0x7F]) + length)
        await too_big(kit, ws, peer)


@behaviour()
async def fragments_without_end_are_refused(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        receiving = kit.spawn(ws.recv)
        flood = peer.frame(TEXT, "x", fin=False) + peer.frame(CONT, fin=False) * 10_000
        sending = kit.spawn(lambda: kit.do(peer.write, flood))
        assert (await kit.do(peer.read)).code == 1009
        try:
            await sending.result()
        except OSError:
            pass  # it was not let finish
        peer.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await receiving.result()
        assert isinstance(caught.value.__cause__, TooManyFragments)


@behaviour()
async def fault_behind_messages_is_told_whatever_the_reader_does_next(
    kit: Kit, side: str
) -> None:
    over = kit.event()
    async with kit.ends(side, max_size=8) as (ws, peer):

        async def read() -> None:
            # The second one takes the slow way, and a third one is not asked for.
            assert await ws.recv() == b"whole"
            assert await ws.recv() == b"in parts"
            await kit.wait(over.wait())

        reading = kit.spawn(read)
        await kit.receiving(ws, reading)
        peer.write(
            peer.frame(BINARY, b"whole"),
            peer.frame(BINARY, b"in ", fin=False),
            peer.frame(CONT, b"parts"),
            peer.frame(BINARY, bytes(9)),
        )
        assert (await kit.do(peer.read)).code == 1009
        over.set()
        await reading.result()


@behaviour(sides=())
async def inflation_bomb_is_refused(kit: Kit) -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(50 * 2**20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    options: dict[str, Any] = {"compression": "deflate", "max_size": 2**20}
    async with kit.opened(DEFLATE, **options) as (ws, peer):
        peer.send(BINARY, bomb[:-4], rsv=RSV1)
        await too_big(kit, ws, peer)


@behaviour(sides=())
async def compressed_messages_go_both_ways(kit: Kit) -> None:
    deflate = zlib.compressobj(wbits=-15)
    async with kit.opened(DEFLATE, compression="deflate") as (ws, peer):
        for text in ("hello hello hello", "hello again"):
            data = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
            peer.send(TEXT, data[:-4], rsv=RSV1)
            assert await ws.recv() == text
            await ws.send(text)
            assert (await kit.do(peer.read)).rsv1


@behaviour()
async def unread_messages_are_bounded_and_none_is_lost(kit: Kit, side: str) -> None:
    size, count = 50_000, 400
    async with kit.ends(side, max_queue=4, read_limit=4096) as (ws, peer):
        sent = 0

        def flood() -> None:
            nonlocal sent
            for number in range(count):
                peer.send(BINARY, number.to_bytes(4, "big") * (size // 4))
                sent += 1

        flooding = kit.spawn(lambda: kit.do(flood))
        # 20 MB do not fit into our queue and the buffers of the system.
        await kit.until(lambda: ws._session.reading_paused and not peer.writable)
        assert sent < count
        assert len(ws._session.messages) < 50
        for number in range(count):
            assert (await ws.recv())[:4] == number.to_bytes(4, "big")
        await flooding.result()


@behaviour()
async def flood_of_pings_is_answered_with_what_matters(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.write(*[peer.frame(PING, f"{number}") for number in range(3000)])
        peer.send(TEXT, "after")
        assert await ws.recv() == "after"

        def last() -> str:
            while (received := peer.read()).text != "2999":
                assert received.opcode == PONG
            return received.text

        assert await kit.do(last) == "2999"
