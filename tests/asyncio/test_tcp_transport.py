"""`TcpTransport` alone: every byte arrives in order, and its end is told once."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import Any

import pytest

from fullduplex.asyncio import _transports as _transport

from ..kit.asyncio_peer import turns

pytestmark = [
    pytest.mark.variants("plain"),
    pytest.mark.skipif(_transport.TcpTransport is None, reason="not compiled"),
]


class Protocol:
    """Notes what a transport tells."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[BaseException | None]
        self.lost = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.paused = 0
        self.memory = bytearray(1000)
        self.ended = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, size: int) -> bytearray:
        return self.memory

    def buffer_updated(self, size: int) -> None:
        self.received += self.memory[:size]

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.paused -= 1

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


def pair() -> tuple[Protocol, Any, socket.socket]:
    """Connect a transport to a plain socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    theirs.setblocking(False)
    ours.setblocking(False)
    protocol = Protocol()
    loop = asyncio.get_running_loop()
    transport = _transport.TcpTransport(loop, ours, protocol, ours.getpeername())
    transport.start()
    return protocol, transport, theirs


async def read_all(sock: socket.socket, pause: random.Random) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while piece := await loop.sock_recv(sock, pause.choice([1, 5000, 10**6])):
        data += piece
        if pause.random() < 0.1:
            await asyncio.sleep(0)
    return data


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_everything_written_arrives_in_order(seed: int, end: str) -> None:
    rng = random.Random(seed)
    protocol, transport, peer = pair()
    reading = asyncio.ensure_future(read_all(peer, random.Random(seed)))
    written = b""
    for _ in range(60):
        data = rng.randbytes(rng.choice([0, 1, 100, 5000, 70_000]))
        transport.write(data)
        written += data
        if rng.random() < 0.2:
            await asyncio.sleep(0)
    getattr(transport, end)()
    transport.write(b"too late")
    assert await reading == written
    peer.close()
    assert await protocol.lost is None
    assert protocol.paused == 0
    assert transport.get_write_buffer_size() == 0


async def test_everything_read_arrives_in_order_and_pausing_stops_it() -> None:
    protocol, transport, peer = pair()
    loop = asyncio.get_running_loop()
    data = random.Random(1).randbytes(200_000)
    sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
    for _ in range(20):
        await asyncio.sleep(0)
    transport.pause_reading()
    count = len(protocol.received)
    await turns(5)
    assert len(protocol.received) == count
    transport.resume_reading()
    await sending
    peer.close()
    assert await protocol.lost is None
    assert bytes(protocol.received) == data
    assert protocol.ended


async def test_reset_while_output_waits_is_told_once() -> None:
    protocol, transport, peer = pair()
    while not transport.get_write_buffer_size():
        transport.write(bytes(100_000))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert isinstance(await protocol.lost, ConnectionError)
    assert transport.is_closing()
    transport.write(b"nothing happens")
    transport.close()
    transport.abort()


async def test_abort_drops_what_waits() -> None:
    protocol, transport, peer = pair()
    while not protocol.paused:
        transport.write(bytes(100_000))
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    assert await protocol.lost is None
    peer.close()


async def test_addresses_are_known_after_the_end() -> None:
    protocol, transport, peer = pair()
    peer.close()
    await protocol.lost
    assert transport.get_extra_info("peername")[0] == "127.0.0.1"
    assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
    assert transport.get_extra_info("nothing", 7) == 7


@pytest.mark.skipif(_transport.accept_ip is None, reason="not on this system")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_accepted_connection_has_a_socket_if_asked_for(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host}")
    protocols: list[Protocol] = []

    def factory() -> Any:
        protocols.append(Protocol())
        return protocols[-1]

    loop = asyncio.get_running_loop()
    server = await _transport.create_server(loop, factory, sock=listener)
    clients = [socket.create_connection(listener.getsockname()[:2]) for _ in range(2)]
    clients[0].sendall(b"here already")
    while len(protocols) < 2:
        await asyncio.sleep(0)
    asked, other = (item.transport for item in protocols)
    sock = asked.get_extra_info("socket")

    assert sock.gettimeout() == 0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.getsockname() == asked.get_extra_info("sockname")
    for transport, client in zip((asked, other), clients, strict=True):
        assert transport.get_extra_info("peername") == client.getsockname()
    while not protocols[0].received:
        await asyncio.sleep(0)
    names = [client.getpeername() for client in clients]
    for client, protocol in zip(clients, protocols, strict=True):
        client.close()
        assert await protocol.lost is None
    assert protocols[0].received == b"here already"
    assert [item.get_extra_info("sockname") for item in (asked, other)] == names
    assert sock.fileno() == -1
    assert other.get_extra_info("socket") is None
    server.close()


@pytest.mark.skipif(_transport.accept_ip is None, reason="not on this system")
async def test_connection_whose_protocol_cannot_be_made_is_closed() -> None:
    def factory() -> Any:
        raise RuntimeError("no protocol")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    server = await _transport.create_server(loop, factory, "127.0.0.1", 0)
    client = socket.create_connection(server.sockets[0].getsockname())
    client.setblocking(False)

    async with asyncio.timeout(5):
        assert await loop.sock_recv(client, 10) == b""
    client.close()
    server.close()


async def test_limits_are_checked_and_pause_writing_at_once() -> None:
    protocol, transport, peer = pair()
    while transport.get_write_buffer_size() < 10_000:
        transport.write(bytes(10_000))
    with pytest.raises(ValueError, match="low"):
        transport.set_write_buffer_limits(high=1, low=2)
    transport.set_write_buffer_limits(high=100)
    assert protocol.paused == 1
    assert transport.get_write_buffer_limits() == (25, 100)
    transport.abort()
    await protocol.lost
    peer.close()


@pytest.mark.parametrize("data", [5, 0, None, "text", ["a"]])
async def test_only_bytes_are_written(data: Any) -> None:
    protocol, transport, peer = pair()
    with pytest.raises(TypeError):
        transport.write(data)
    transport.write(memoryview(b"abc"))
    peer.settimeout(5)
    assert await asyncio.to_thread(peer.recv, 10) == b"abc"
    transport.abort()
    await protocol.lost
    peer.close()


async def test_pausing_within_a_read_keeps_the_next_one_from_happening() -> None:
    protocol, transport, peer = pair()
    update = protocol.buffer_updated

    def pause(size: int) -> None:
        update(size)
        transport.pause_reading()

    protocol.buffer_updated = pause  # type: ignore[method-assign]
    peer.setblocking(True)
    peer.sendall(bytes(5000))
    while not protocol.received:
        await asyncio.sleep(0)
    await turns(5)
    assert len(protocol.received) == 1000
    transport.abort()
    await protocol.lost
    peer.close()


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 5000])
async def test_reset_behind_bytes_is_told_after_them(size: int) -> None:
    protocol, _, theirs = pair()
    await turns(3)
    # The loop sees both at once.
    theirs.send(b"x" * size)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()

    async with asyncio.timeout(5):
        assert isinstance(await protocol.lost, ConnectionResetError)
    # What the system still gave out after the reset has been read.
    assert b"x" * size == protocol.received + b"x" * (size - len(protocol.received))
