"""The poller of a listener: all of its connections are read, and it ends with them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fullduplex import connect, serve
from fullduplex.asyncio import _transports as _transport

from ..kit.clock import PATIENCE
from .test_tcp_transport import Protocol

pytestmark = [
    pytest.mark.variants("plain"),
    pytest.mark.skipif(
        _transport.TcpTransport is None or _transport.EpollReader is None,
        reason="not compiled, or a system without epoll",
    ),
]

BATCH = 256


class Reader(Protocol):
    """Says when something has arrived, and does what it was told to do then."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()
        self.then: Any = None

    def buffer_updated(self, size: int) -> None:
        super().buffer_updated(size)
        self.arrived.set()
        if self.then is not None:
            self.then()


def watched(poller: Any) -> tuple[Reader, Any, socket.socket]:
    """Make a transport that a poller watches, and the socket of its peer."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader = Reader()
    loop = asyncio.get_running_loop()
    transport = _transport.TcpTransport(loop, ours, reader, None, poller)
    transport.start()
    return reader, transport, theirs


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def none_left() -> Iterator[None]:
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    assert descriptors() == before


async def ended(members: list[tuple[Reader, Any, socket.socket]]) -> None:
    for reader, transport, theirs in members:
        transport.abort()
        theirs.close()
        await asyncio.wait_for(reader.lost, PATIENCE)


async def test_all_are_read_where_more_are_ready_than_go_into_a_batch() -> None:
    with none_left():
        poller = _transport.EpollReader(asyncio.get_running_loop())
        members = [watched(poller) for _ in range(BATCH + 50)]
        for _, _, theirs in members:
            theirs.send(b"x")

        async with asyncio.timeout(PATIENCE):
            for reader, _, _ in members:
                await reader.arrived.wait()

        assert all(reader.received == b"x" for reader, _, _ in members)
        await ended(members)
        poller.close()


async def test_who_is_ended_by_another_of_the_same_batch_is_not_read() -> None:
    with none_left():
        poller = _transport.EpollReader(asyncio.get_running_loop())
        members = [watched(poller) for _ in range(2)]
        (one, first, _), (other, second, _) = members
        one.then, other.then = second.abort, first.abort
        for _, _, theirs in members:
            theirs.send(b"x")

        await asyncio.wait(
            (one.lost, other.lost),
            timeout=PATIENCE,
            return_when=asyncio.FIRST_COMPLETED,
        )

        assert sorted((bytes(one.received), bytes(other.received))) == [b"", b"x"]
        assert one.lost.done() is not bool(one.received)
        assert other.lost.done() is not bool(other.received)
        await ended(members)
        poller.close()


async def test_closed_poller_stays_for_the_connections_that_are_left() -> None:
    with none_left():
        poller = _transport.EpollReader(asyncio.get_running_loop())
        members = [watched(poller) for _ in range(2)]
        poller.close()
        await ended(members[:1])
        reader, _, theirs = members[1]

        theirs.send(b"x")
        await asyncio.wait_for(reader.arrived.wait(), PATIENCE)

        assert reader.received == b"x"
        await ended(members[1:])


async def test_reading_goes_on_after_a_pause_in_which_the_poller_was_closed() -> None:
    with none_left():
        poller = _transport.EpollReader(asyncio.get_running_loop())
        member = reader, transport, theirs = watched(poller)
        transport.pause_reading()
        poller.close()
        theirs.send(b"x")

        transport.resume_reading()
        await asyncio.wait_for(reader.arrived.wait(), PATIENCE)

        assert reader.received == b"x"
        await ended([member])


def test_others_are_read_after_one_has_ended_the_program() -> None:
    def leave() -> None:
        raise SystemExit(3)

    async def begin() -> list[tuple[Reader, Any, socket.socket]]:
        members = [watched(poller) for _ in range(3)]
        for reader, _, _ in members:
            reader.then = leave
        return members

    async def finish() -> None:
        await ended(members)

    with none_left(), asyncio.Runner() as runner:
        poller = _transport.EpollReader(runner.get_loop())
        members = runner.run(begin())
        for _, _, theirs in members:
            theirs.send(b"x")
        for _ in members:
            with pytest.raises(SystemExit):
                runner.get_loop().run_forever()

        assert [bytes(reader.received) for reader, _, _ in members] == [b"x"] * 3
        runner.run(finish())
        poller.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_loop_that_is_closed_first_leaves_no_descriptors() -> None:
    async def begin() -> None:
        poller = _transport.EpollReader(asyncio.get_running_loop())
        for _ in range(3):
            _, _, theirs = watched(poller)
            theirs.close()

    with none_left():
        asyncio.run(begin())


async def test_server_leaves_no_descriptors_and_lets_connections_go_on() -> None:
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    with none_left():
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            host, port = server.sockets[0].getsockname()
            async with connect(f"ws://{host}:{port}") as ws:
                server.close(close_connections=False)
                await ws.send("still here")

                assert await asyncio.wait_for(ws.recv(), PATIENCE) == "still here"


async def test_connection_that_cannot_be_watched_ends_alone(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    with none_left():
        poller = _transport.EpollReader(loop)
        first = watched(poller)
        # The system refuses to watch a regular file, as all that it has no room for.
        fd = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
        refused = Reader()
        transport = _transport.TcpTransport(loop, fd, refused, None, poller)
        transport.start()
        assert isinstance(await asyncio.wait_for(refused.lost, PATIENCE), OSError)
        assert len(complaints) == 1
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        # The count is right: the poller is there for the first one, and ends with it.
        poller.close()
        first[2].sendall(b"x")
        await asyncio.wait_for(first[0].arrived.wait(), PATIENCE)
        await ended([first])


async def test_descriptors_that_were_never_watched_are_not_removed() -> None:
    with none_left():
        poller = _transport.EpollReader(asyncio.get_running_loop())
        first, second = watched(poller), watched(poller)
        for number in (-1, 0, 100_000, second[1].fileno()):
            poller.remove_reader(number, first[1])
        second[2].sendall(b"x")
        await asyncio.wait_for(second[0].arrived.wait(), PATIENCE)
        await ended([first, second])
        poller.close()
