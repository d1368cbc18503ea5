"""One message to many connections, fast, slow, closing and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    ConcurrencyError,
    ConnectionClosed,
    ServerConnection,
    connect,
    serve,
)
from fullduplex.asyncio.broadcast import broadcast
from fullduplex.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from fullduplex.frames import Frame
from fullduplex.typing import ExtensionName

from ..kit.asyncio_peer import until

pytestmark = pytest.mark.usefixtures("no_proxies")

LARGE = bytes(2**20)


@asynccontextmanager
async def pairs(
    count: int, *, client: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[list[tuple[ServerConnection, ClientConnection]]]:
    """Connect clients to a server; both ends, in order."""
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handler(ws: ServerConnection) -> None:
        accepted.put_nowait(ws)
        await ws.wait_closed()

    options.setdefault("compression", None)
    options.setdefault("close_timeout", 0.2)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serve(handler, "127.0.0.1", 0, **options)
        )
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        made = []
        for _ in range(count):
            ws = await stack.enter_async_context(
                connect(uri, close_timeout=0.2, max_size=None, **(client or {}))
            )
            made.append((await accepted.get(), ws))
        yield made


def ends(
    made: list[tuple[ServerConnection, ClientConnection]],
) -> list[ServerConnection]:
    return [server for server, _ in made]


def stall(ws: ClientConnection) -> None:
    """Let the client read nothing more from its socket."""
    ws.transport.pause_reading()


def resume(ws: ClientConnection) -> None:
    ws.transport.resume_reading()


async def fill(ws: ServerConnection, peer: ClientConnection) -> None:
    """Write until more waits than one mark allows."""
    stall(peer)
    while not ws.transport.get_write_buffer_size() > 2**16:
        broadcast([ws], bytes(2**16))
        await asyncio.sleep(0)


@pytest.mark.parametrize("message", ["héllo", b"\x00\xff", "", b""])
async def test_everybody_gets_the_message(message: str | bytes) -> None:
    async with pairs(3) as made:
        result = broadcast(ends(made), message)

        assert (result.sent, result.dropped, result.closed, result.skipped) == (
            3,
            [],
            [],
            [],
        )
        assert [await ws.recv() for _, ws in made] == [message] * 3


async def test_messages_of_one_turn_arrive_in_order_with_those_of_send() -> None:
    async with pairs(2) as made:
        connections = set(ends(made))
        for number in range(5):
            broadcast(connections, f"b{number}")
            for ws in connections:
                await ws.send(f"s{number}")

        for _, peer in made:
            got = [await peer.recv() for _ in range(10)]
            assert got == [f"{kind}{n}" for n in range(5) for kind in "bs"]


async def test_large_messages_of_one_turn_arrive_whole() -> None:
    async with pairs(2) as made:
        messages = [bytes([number]) * 50_000 for number in range(8)]
        for message in messages:
            assert broadcast(ends(made), message).sent == 2

        for _, peer in made:
            assert [await peer.recv() for _ in messages] == messages


async def test_broadcast_to_nobody_sends_nothing() -> None:
    assert broadcast([], "a").sent == 0


@pytest.mark.parametrize("fresh", [False, True], ids=["takeover", "no-takeover"])
async def test_compressed_connections_get_the_message(fresh: bool) -> None:
    factory = ServerPerMessageDeflateFactory(server_no_context_takeover=fresh)
    async with pairs(3, extensions=[factory]) as made:
        for number in range(3):
            message = f"{number} again and again " * 50
            assert broadcast(ends(made), message).sent == 3
            assert [await ws.recv() for _, ws in made] == [message] * 3


async def test_clients_can_broadcast() -> None:
    async with pairs(2) as made:
        result = broadcast([ws for _, ws in made], "up")

        assert result.sent == 2
        assert [await ws.recv() for ws in ends(made)] == ["up", "up"]


async def test_text_overrides_the_type() -> None:
    async with pairs(1) as made:
        broadcast(ends(made), b"a", text=True)
        broadcast(ends(made), "b", text=False)

        assert [await made[0][1].recv() for _ in range(2)] == ["a", b"b"]


async def test_closing_and_closed_members_are_skipped() -> None:
    async with pairs(3) as made:
        (closed, gone), (closing, mute), (_, peer) = made
        await gone.close()
        await closed.wait_closed()
        stall(mute)
        task = asyncio.ensure_future(closing.close())
        await until(lambda: not closing.open)

        result = broadcast(ends(made), "a")

        assert (result.sent, result.skipped) == (1, [closed, closing])
        assert await peer.recv() == "a"
        await task


async def test_member_in_a_fragmented_message_is_skipped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    more = asyncio.Event()

    async def parts() -> AsyncIterator[str]:
        yield "a"
        await more.wait()
        yield "b"

    async with pairs(2) as made:
        (busy, first), (_, second) = made
        sending = asyncio.ensure_future(busy.send(parts()))
        await until(lambda: busy._session.fragmenting)

        result = broadcast(ends(made), "x")
        with pytest.raises(ExceptionGroup, match="skipped broadcast") as caught:
            broadcast(ends(made), "y", raise_exceptions=True)

        assert (result.sent, result.skipped) == (1, [busy])
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "fragmented" in caplog.text
        assert [type(exc) for exc in caught.value.exceptions] == [ConcurrencyError]
        more.set()
        await sending
        assert await first.recv() == "ab"
        assert [await second.recv() for _ in range(2)] == ["x", "y"]


class Broken:
    """An extension that cannot send."""

    name = ExtensionName("broken")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return frame

    def encode(self, frame: Frame) -> Frame:
        raise OSError("no more bits")


async def test_extension_that_fails_is_skipped_with_its_cause() -> None:
    async with pairs(2) as made:
        broken = made[0][0]
        broken.protocol.extensions.append(Broken())  # type: ignore[arg-type]
        broken._session.clear_to_send = False

        with pytest.raises(ExceptionGroup) as caught:
            broadcast(ends(made), "a", raise_exceptions=True)

        [error] = caught.value.exceptions
        assert isinstance(error, RuntimeError)
        assert isinstance(error.__cause__, OSError)
        assert await made[1][1].recv() == "a"
        broken.protocol.extensions.clear()


async def test_slow_member_is_buffered_up_to_the_cap_then_closed_with_1013() -> None:
    async with pairs(2, write_limit=2**14) as made:
        (slow, stalled), (quick, reader) = made
        stall(stalled)
        sizes = []
        received = 0
        while not (result := broadcast(ends(made), bytes(2**13))).closed:
            sizes.append(slow.transport.get_write_buffer_size())
            await reader.recv()
            received += 1

        assert result.closed == [slow]
        assert result.sent == 1
        assert quick.open
        assert not slow.open
        assert 15 * 2**14 < max(sizes) <= 16 * 2**14 + 2**13 + 2**12
        resume(stalled)
        got: list[str | bytes] = []
        with pytest.raises(ConnectionClosed) as caught:
            await collect(stalled, got)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
        assert len(got) == received


async def test_slow_member_is_dropped_and_served_again_when_it_reads() -> None:
    async with pairs(2) as made:
        (slow, stalled), (_, reader) = made
        await fill(slow, stalled)
        result = broadcast(ends(made), "lost", on_slow="drop")

        assert (result.sent, result.dropped, result.closed) == (1, [slow], [])
        assert await reader.recv() == "lost"
        assert slow.open
        resume(stalled)
        reading = asyncio.ensure_future(collect(stalled))
        await until(lambda: slow.transport.get_write_buffer_size() == 0)
        assert broadcast([slow], "end", on_slow="drop").sent == 1
        assert "lost" not in await reading


async def collect(
    ws: ClientConnection, got: list[str | bytes] | None = None
) -> list[str | bytes]:
    """Receive up to the end, or up to the message "end"."""
    got = [] if got is None else got
    async for message in ws:
        got.append(message)
        if message == "end":
            break
    return got


async def test_slow_member_is_closed_above_the_mark() -> None:
    async with pairs(1) as made:
        [(slow, stalled)] = made
        await fill(slow, stalled)
        result = broadcast([slow], "a", on_slow="close")

        assert (result.sent, result.closed) == (0, [slow])
        # A peer that never reads again is gone within close_timeout.
        await asyncio.wait_for(slow.wait_closed(), 2)


async def test_max_buffer_counts_bytes_that_wait() -> None:
    async with pairs(1) as made:
        [(slow, stalled)] = made
        assert broadcast([slow], LARGE, on_slow="drop", max_buffer=0).sent == 1
        await fill(slow, stalled)
        waiting = slow.transport.get_write_buffer_size()

        keep = broadcast([slow], "a", on_slow="drop", max_buffer=waiting)
        drop = broadcast([slow], "b", on_slow="drop", max_buffer=waiting)

        assert (keep.sent, drop.dropped) == (1, [slow])
        resume(stalled)


async def test_keepalive_counts_what_was_broadcast() -> None:
    async with pairs(1) as made:
        [(ws, peer)] = made
        broadcast([ws], LARGE)
        await peer.recv()

        assert ws._session.writer.total == len(LARGE) + 10


async def test_bad_arguments_send_nothing() -> None:
    async with pairs(1) as made:
        with pytest.raises(TypeError):
            broadcast(ends(made), ["a"])  # type: ignore[arg-type]
        with pytest.raises(UnicodeEncodeError):
            broadcast(ends(made), "\ud800")
        with pytest.raises(ValueError, match="on_slow"):
            broadcast(ends(made), "a", on_slow="wait")  # type: ignore[arg-type]
        broadcast(ends(made), "fine")

        assert await made[0][1].recv() == "fine"


async def test_members_killed_while_broadcasting_harm_nobody() -> None:
    async with pairs(12) as made:
        connections = set(ends(made))
        for number in range(40):
            if number % 4 == 0:
                made[number // 4][1].transport.abort()
            broadcast(connections, str(number))
            await asyncio.sleep(0)

        for _, ws in made[10:]:
            assert [await ws.recv() for _ in range(40)] == [str(n) for n in range(40)]
