"""Receiving: messages come out whole, in order, once, whatever is cut short."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)

from ..kit.bytes import BINARY, CLOSE, CONT, MASK, PING, PONG, RSV1, TEXT, frame
from ..kit.peer import Peer
from .faces import Kit
from .registry import behaviour


@behaviour()
async def messages_come_out_by_kind_and_in_order(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, "é𝄞")
        peer.send(BINARY, b"\x00\xff")
        peer.send(TEXT)
        peer.send(BINARY)
        assert [await ws.recv() for _ in range(4)] == ["é𝄞", b"\x00\xff", "", b""]


@behaviour()
async def many_messages_in_one_read_all_come_out(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        frames = b"".join(peer.frame(TEXT, f"{n}") for n in range(1000))
        sending = kit.spawn(lambda: kit.do(peer.write, frames))
        assert [await ws.recv() for _ in range(1000)] == [f"{n}" for n in range(1000)]
        await sending.result()


@behaviour()
async def large_message_comes_out_whole(kit: Kit, side: str) -> None:
    data = random.Random(1).randbytes(700_000)
    async with kit.ends(side) as (ws, peer):
        sending = kit.spawn(lambda: kit.do(peer.send, BINARY, data))
        assert await ws.recv() == data
        await sending.result()


@behaviour()
async def bytes_that_come_one_at_a_time_make_messages(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        frames = peer.frame(TEXT, "slow") + peer.frame(BINARY, b"x" * 200)

        def drip() -> None:
            for byte in frames:
                peer.write(bytes([byte]))

        sending = kit.spawn(lambda: kit.do(drip))
        assert await ws.recv() == "slow"
        assert await ws.recv() == b"x" * 200
        await sending.result()


@behaviour()
async def fragments_make_one_message_also_with_pings_between(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        data = "né".encode()
        peer.send(TEXT, data[:2], fin=False)
        peer.send(PING, "between")
        peer.send(CONT, data[2:])
        assert await ws.recv() == "né"
        received = await kit.do(peer.read)
        assert (received.opcode, received.text) == (PONG, "between")


@behaviour()
async def fragments_can_be_received_one_by_one(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, "a", fin=False)
        peer.send(CONT, "b", fin=False)
        peer.send(CONT, "")
        peer.send(BINARY, b"whole")
        assert await ws.fragments() == ["a", "b", ""]
        assert await ws.recv() == b"whole"


@behaviour()
async def decode_chooses_the_type(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, "é")
        peer.send(BINARY, "é".encode())
        assert await ws.recv(decode=False) == "é".encode()
        assert await ws.recv(decode=True) == "é"


@behaviour()
async def second_receiver_is_refused_and_the_first_goes_on(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        first = kit.spawn(ws.recv)
        await kit.receiving(ws, first)
        with pytest.raises(ConcurrencyError, match="already waiting elsewhere"):
            await ws.recv()
        peer.send(TEXT, "for the first")
        assert await first.result() == "for the first"


@behaviour()
async def messages_that_came_before_the_end_are_received_after_it(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.write(peer.frame(TEXT, "a"), peer.frame(TEXT, "b"))
        peer.send_close(1001, "bye")
        await kit.do(peer.read_until, CLOSE)
        peer.close()
        await ws.wait_closed()
        assert [await ws.recv(), await ws.recv()] == ["a", "b"]
        with pytest.raises(ConnectionClosedOK) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "bye")


@behaviour()
async def iteration_ends_when_the_peer_closes_normally(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.write(peer.frame(TEXT, "a"), peer.frame(BINARY, b"b"))
        peer.send_close(1000)
        ending = kit.spawn(lambda: kit.do(peer.read_and_close))
        assert await ws.all() == ["a", b"b"]
        await ending.result()


@behaviour()
async def iteration_raises_when_the_peer_closes_in_another_way(
    kit: Kit, side: str
) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send_close(1008, "no")
        ending = kit.spawn(lambda: kit.do(peer.read_and_close))
        with pytest.raises(ConnectionClosedError, match="1008"):
            await ws.all()
        await ending.result()


@behaviour()
async def reset_releases_the_receiver(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        receiving = kit.spawn(ws.recv)
        await kit.receiving(ws, receiving)
        peer.reset()
        with pytest.raises(ConnectionClosedError):
            await receiving.result()
        assert ws.close_code == 1006


@behaviour()
async def end_of_tcp_without_a_close_frame_is_an_error(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, "last")
        peer.half_close()
        assert await ws.recv() == "last"
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd is None
        assert ws.close_code == 1006


@behaviour()
async def invalid_utf8_fails_with_1007(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, b"\xed\xa0\x80")
        receiving = kit.spawn(ws.recv)
        assert (await kit.do(peer.read)).code == 1007
        peer.close()
        with pytest.raises(ConnectionClosedError):
            await receiving.result()


@behaviour(cancels=True)
async def receiving_that_is_cancelled_at_random_loses_nothing(
    kit: Kit, side: str
) -> None:
    rng = random.Random(5)
    got: list[int] = []
    async with kit.ends(side) as (ws, peer):
        cuts = count = 0
        while cuts < 200:
            receiving = kit.spawn(ws.recv)
            if rng.random() < 0.5:
                peer.send(TEXT, f"{count}")
                count += 1
            for _ in range(rng.randrange(4)):
                await kit.sleep(0)
            receiving.cancel()
            try:
                got.append(int(await receiving.result()))
            except asyncio.CancelledError:
                cuts += 1
        while len(got) < count:
            got.append(int(await ws.recv()))
    assert got == list(range(count))


@behaviour(cancels=True)
async def fragments_survive_a_cancelled_receiver(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.send(TEXT, "half ", fin=False)
        receiving = kit.spawn(ws.recv)
        await kit.until(lambda: ws._session.receive_queue._assembler)
        await kit.receiving(ws, receiving)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving.result()
        peer.send(CONT, "and half")
        assert await ws.recv() == "half and half"


def huge(peer: Peer) -> bytes:
    """The head of a frame of 2^63 - 1 bytes."""
    return bytes([0x82, 0xFF if peer.masks else 0x7F]) + (2**63 - 1).to_bytes(8, "big")


# Input that breaks a rule or ends a connection, and the code of the answer.
FAULTS: list[tuple[Callable[[Peer], bytes], int]] = [
    (lambda peer: peer.frame(3), 1002),
    (lambda peer: frame(TEXT, "x", mask=None if peer.masks else MASK), 1002),
    (lambda peer: peer.frame(TEXT, "x", rsv=RSV1), 1002),
    (lambda peer: peer.frame(PING, fin=False), 1002),
    (lambda peer: peer.frame(CONT, "x"), 1002),
    (lambda peer: peer.frame(TEXT, b"\xff"), 1007),
    (lambda peer: peer.frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
    (lambda peer: peer.frame(CLOSE, b"\x03"), 1002),
    (lambda peer: peer.frame(CLOSE, b"\x03\xe8\xff"), 1007),
    (lambda peer: peer.frame(TEXT, bytes(2000)), 1009),
    (huge, 1009),
    (
        lambda peer: peer.frame(TEXT, fin=False) + peer.frame(CONT, fin=False) * 5000,
        1009,
    ),
    (lambda peer: peer.frame(CLOSE, (1001).to_bytes(2, "big")), 1001),
]


@behaviour()
async def replies_to_messages_before_a_fault_go_out_first(kit: Kit, side: str) -> None:
    for make, code in FAULTS:
        async with kit.ends(side, max_size=1000, close_timeout=0.5) as (ws, peer):
            received: list[Any] = []

            async def reply(ws: Any = ws, received: Any = received) -> None:
                try:
                    while True:
                        received.append(await ws.recv())
                        await ws.send(f"got {received[-1]}")
                except ConnectionClosed:
                    received.append("the end")

            replying = kit.spawn(reply)
            await kit.receiving(ws, replying)
            peer.write(
                *(peer.frame(TEXT, text) for text in ("a", "b")),
                make(peer),
                peer.frame(TEXT, "late"),
            )
            assert (await kit.do(peer.read)).text == "got a"
            assert (await kit.do(peer.read)).text == "got b"
            assert (await kit.do(peer.answer_close)).code == code
            await replying.result()
            assert received == ["a", "b", "the end"]


@behaviour()
async def replies_to_messages_in_fragments_go_out_before_a_fault(
    kit: Kit, side: str
) -> None:
    for _ in range(8):  # who comes first may depend on luck
        async with kit.ends(side) as (ws, peer):

            async def reply(ws: Any = ws) -> None:
                try:
                    await ws.send(f"got {await ws.recv()}")
                    await ws.recv()
                except ConnectionClosed:
                    pass

            replying = kit.spawn(reply)
            await kit.receiving(ws, replying)
            first = peer.frame(TEXT, "in ", fin=False)
            peer.write(first, peer.frame(CONT, "two"), peer.frame(3))
            assert (await kit.do(peer.read)).text == "got in two"
            assert (await kit.do(peer.read)).code == 1002
            peer.close()
            await replying.result()


@behaviour()
async def closing_the_iterator_leaves_the_connection_open(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        peer.write(*[peer.frame(TEXT, text) for text in ("first", "second", "third")])
        if kit.face.package == "sync":
            with contextlib.closing(iter(ws.ws)) as messages:
                assert next(messages) == "first"
            assert next(messages, "over") == "over"
        else:
            async with contextlib.aclosing(aiter(ws.ws)) as messages:
                assert await anext(messages) == "first"
            assert await anext(messages, "over") == "over"
            with pytest.raises(StopAsyncIteration):
                await anext(messages)
        assert ws.open
        assert await ws.recv() == "second"
        if kit.face.package == "sync":
            assert next(iter(ws.ws)) == "third"
        else:
            assert await anext(aiter(ws.ws)) == "third"
