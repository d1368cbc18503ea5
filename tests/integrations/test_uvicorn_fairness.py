"""Applications below uvicorn that never wait: nothing hangs, nothing is held back."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from ..kit.bytes import MASK, PING, PONG, TEXT, frame
from ..kit.clock import PATIENCE
from ..kit.peer import Peer, client
from .kit import accepted, site

# Calls by which the end is known, and others were served.
BOUND = 500_000


def blocked_until(peer: Peer, opcode: int) -> None:
    """Compute, as far as the loop can tell, until a frame has arrived."""
    thread = threading.Thread(target=peer.read_until, args=(opcode,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it did not arrive during the computation"


@pytest.mark.parametrize("how", ["reset", "close", "half_close"])
async def test_application_that_sends_in_a_loop_learns_of_the_end(how: str) -> None:
    calls = 0
    raised = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        await accepted(receive, send)
        try:
            while calls < BOUND:
                await send({"type": "websocket.send", "bytes": b"x" * 10})
                calls += 1
        except ClientDisconnected:
            raised.set()

    async with site(app, log_level="info") as here:

        def leave() -> None:
            peer = client(here.address)
            peer.read_some(1000)
            getattr(peer, how)()
            if how == "half_close":
                peer.gone()
            peer.close()

        leaving = asyncio.create_task(asyncio.to_thread(leave))
        async with asyncio.timeout(3 * PATIENCE):
            await raised.wait()
        await leaving


async def test_application_that_ignores_the_end_lets_others_run() -> None:
    others = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal others
        await accepted(receive, send)
        if scope["path"] == "/other":
            others += 1
            return
        while (await receive())["type"] != "websocket.disconnect":
            pass
        for _ in range(BOUND):
            await receive()
            try:
                await send({"type": "websocket.send", "text": "x"})
            except ClientDisconnected:
                pass
            if others:
                return
        raise AssertionError("nobody else was served")

    async with site(app, log_level="info") as here:
        async with here.connected():
            pass
        async with here.connected("/other") as ws:
            await ws.wait_closed()
    assert others == 1


async def test_first_message_and_pong_leave_before_a_computation() -> None:
    peers: list[Peer] = []
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await receive()
        # It came behind a ping.
        blocked_until(peers[0], PONG)
        await send({"type": "websocket.send", "text": "started"})
        blocked_until(peers[0], TEXT)
        await send({"type": "websocket.send", "text": "done"})
        done.set()

    async with site(app, log_level="info") as here:
        peers.append(await asyncio.to_thread(client, here.address))
        await asyncio.sleep(0.01)
        peers[0].write(frame(PING, b"?", mask=MASK) + frame(TEXT, "go", mask=MASK))
        async with asyncio.timeout(3 * PATIENCE):
            await done.wait()
        assert (await asyncio.to_thread(peers[0].read)).text == "done"
        peers[0].close()
