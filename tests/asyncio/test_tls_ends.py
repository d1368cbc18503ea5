"""Peers that leave at any step of TLS: nothing is reported, nothing is left behind.

The harness fails a test when anything reached the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from typing import Any

import pytest

from fullduplex import ServerConnection, connect

from ..kit.asyncio_peer import Peer, listening, until
from ..kit.bytes import CLOSE, MASK, TEXT, frame, request
from ..kit.tls import TLSByHand
from .server_kit import echo, serving

HELLO, _ = TLSByHand().shake()
# What a peer sends before TLS is there.
BELOW = {
    "nothing": b"",
    "one-byte": HELLO[:1],
    "record-head": HELLO[:5],
    "part-of-hello": HELLO[:100],
    "hello": HELLO,
    "hello-and-garbage": HELLO + b"garbage that is no record" * 9,
    "garbage": b"garbage that is no record" * 9,
    "http": request(),
}
# What it sends over TLS.
ABOVE = {
    "nothing": b"",
    "part-of-request": request()[:-1],
    "request": request(),
    "part-of-message": request() + frame(TEXT, "x" * 1000, mask=MASK)[:500],
    "messages": request() + frame(TEXT, "x" * 1000, mask=MASK) * 1000,
    "close": request() + frame(CLOSE, b"\x03\xe8", mask=MASK),
}
# goodbye: as it should be; end: TCP ends without a word of TLS; reset.
WAYS = ["goodbye", "end", "reset"]


def leave(peer: Peer, way: str) -> None:
    if peer.writer.transport.is_closing():
        return  # it was shown the door
    if way == "reset":
        peer.reset()
    else:
        peer.writer.write_eof()


@pytest.mark.parametrize("way", WAYS)
async def test_client_that_leaves_at_any_step_of_tls_is_no_news(
    way: str, server_tls: Any, client_tls: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[weakref.ref[ServerConnection]] = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(weakref.ref(ws))
        await echo(ws)

    async with serving(handler, ssl=server_tls) as place:

        async def leave_below(step: bytes, wait: float) -> None:
            client = await place.connect()
            client.write(step)
            await asyncio.sleep(wait)
            leave(client, way)
            await client.gone()
            client.close()

        async def leave_above(step: bytes, wait: float) -> None:
            tls = TLSByHand(client_tls)
            client = await place.connect()
            say, done = tls.shake()
            client.write(say)
            while not done:
                say, done = tls.shake(await client.reader.read(65536))
                client.write(say)
            client.write(tls.encrypted(step))
            await asyncio.sleep(wait)
            if way == "goodbye":
                client.write(tls.goodbye())
            leave(client, way)
            await client.gone()
            client.close()

        for wait in (0, 0.005):
            for step in BELOW.values():
                await leave_below(step, wait)
            for step in ABOVE.values():
                await leave_above(step, wait)
        await until(lambda: not place.server._connections)
        assert place.server.connections == set()
    assert caplog.records == []  # at WARNING and above
    gc.collect()
    assert [ref for ref in seen if ref() is not None] == []


@pytest.mark.parametrize("way", ["end", "reset"])
@pytest.mark.parametrize("hello", [False, True], ids=["at-once", "after-hello"])
async def test_server_that_leaves_during_the_tls_handshake_is_one_os_error(
    hello: bool, way: str, client_tls: ssl.SSLContext
) -> None:
    async with listening() as listener:
        uri = listener.at("/", "localhost").replace("ws:", "wss:")
        opening = asyncio.ensure_future(connect(uri, ssl=client_tls).connect())
        peer = await listener.accept()
        if hello:
            await peer.reader.readexactly(100)
        leave(peer, way)
        with pytest.raises(OSError):
            await opening
