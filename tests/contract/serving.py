"""Serving: handlers, hooks, and HTTP around them."""

from __future__ import annotations

import logging
import socket
from typing import Any

from ..kit.bytes import TEXT
from ..kit.clock import PATIENCE
from ..kit.peer import Peer, client
from .faces import Kit
from .registry import behaviour


async def talk(kit: Kit, address: tuple[str, int], *lines: str) -> bytes:
    """Send a request, and read up to the end of TCP."""

    def exchange() -> bytes:
        with socket.create_connection(address, PATIENCE) as sock:
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = b""
            while data := sock.recv(65536):
                answer += data
            return answer

    return await kit.do(exchange)


@behaviour(sides=())
async def handler_that_returns_closes_with_1000(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        pass

    async with kit.server(handler, compression=None) as address:
        peer = await kit.do(lambda: client(address))
        assert (await kit.do(peer.answer_close)).code == 1000


@behaviour(sides=())
async def handler_that_raises_closes_with_1011_and_tells_nothing(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        raise LookupError("secret")

    async with kit.server(handler, compression=None) as address:
        peer = await kit.do(lambda: client(address))
        received = await kit.do(peer.answer_close)
        assert (received.code, received.reason) == (1011, "")


@behaviour(sides=())
async def handler_sees_the_request(kit: Kit) -> None:
    seen: list[Any] = []

    async def handler(ws: Any) -> None:
        seen.append((ws.path, ws.request_headers["Host"], ws.remote_address))

    async with kit.server(handler, compression=None) as address:
        peer = await kit.do(lambda: client(address))
        await kit.do(peer.answer_close)
    (path, host, remote) = seen[0]
    assert (path, host) == ("/path?query", "localhost")
    assert remote[0] == "127.0.0.1"


@behaviour(sides=())
async def plain_http_is_answered_as_http(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        raise AssertionError

    async with kit.server(handler, compression=None) as address:
        answer = await talk(kit, address, "GET / HTTP/1.1", "Host: localhost")
        assert answer.startswith(b"HTTP/1.1 426 ")
        answer = await talk(kit, address, "POST / HTTP/1.1", "Host: localhost")
        assert answer.startswith(b"HTTP/1.1 405 ")
        answer = await talk(kit, address, "GET /" + "x" * 9000 + " HTTP/1.1")
        assert answer.startswith(b"HTTP/1.1 414 ")


@behaviour(sides=())
async def process_request_answers_health_checks(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        pass

    def process_request(connection: Any, request: Any) -> Any:
        if request.path == "/health":
            return connection.respond(200, "OK\n")
        return None

    options = {"process_request": process_request, "compression": None}
    async with kit.server(handler, **options) as address:
        answer = await talk(kit, address, "GET /health HTTP/1.1", "Host: localhost")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"OK\n")
        peer = await kit.do(lambda: client(address))
        assert (await kit.do(peer.answer_close)).code == 1000


@behaviour(sides=())
async def silent_clients_are_cut_off_after_open_timeout(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        pass

    async with kit.server(handler, open_timeout=0.2, compression=None) as address:

        def wait() -> None:
            with socket.create_connection(address, PATIENCE) as sock:
                sock.sendall(b"GET / HT")
                Peer(sock, masks=True).gone()

        await kit.do(wait)


@behaviour(sides=())
async def client_above_a_limit_is_told_when_to_come_again(kit: Kit) -> None:
    over = kit.event()

    async def handler(ws: Any) -> None:
        await kit.wait(over.wait())

    options: dict[str, Any] = {"max_connections": 1, "compression": None}
    async with kit.server(handler, **options) as address:
        peer = await kit.do(lambda: client(address))
        answer = await talk(kit, address, "GET / HTTP/1.1", "Host: localhost")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in answer
        over.set()
        assert (await kit.do(peer.answer_close)).code == 1000


@behaviour(sides=())
async def echo_server_serves_many_at_once(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        end = kit.end(ws)
        for _ in range(3):
            await end.send(await end.recv())

    async with kit.server(handler, compression=None) as address:
        peers = [await kit.do(lambda: client(address)) for _ in range(10)]
        for number in range(3):
            for peer in peers:
                peer.send(TEXT, f"{number}")
            for peer in peers:
                assert (await kit.do(peer.read)).text == f"{number}"
        for peer in peers:
            assert (await kit.do(peer.answer_close)).code == 1000


@behaviour(sides=())
async def server_that_closes_tells_its_clients_and_ends(kit: Kit) -> None:
    arrived = kit.event()

    async def handler(ws: Any) -> None:
        arrived.set()
        await kit.end(ws).wait_closed()

    async with kit.server(handler, compression=None) as address:
        peer = await kit.do(lambda: client(address))
        await kit.wait(arrived.wait())
        closing = kit.spawn(lambda: kit.do(peer.answer_close))
    assert (await closing.result()).code == 1001


@behaviour(sides=())
async def override_of_close_that_fails_or_does_nothing_cannot_keep_the_client(
    kit: Kit,
) -> None:
    records: list[logging.LogRecord] = []
    logger = logging.Logger("of this test")
    keep = logging.Handler(logging.ERROR)
    keep.emit = records.append  # type: ignore[assignment, method-assign]
    logger.addHandler(keep)
    base = kit.server_connection()

    for failing in (True, False):

        class Connection(base):  # type: ignore[misc, valid-type]
            """Closes in no way."""

        async def close(self: Any, *arguments: Any, fails: bool = failing) -> None:
            if fails:
                raise RuntimeError("cannot close")

        def blocking_close(self: Any, *arguments: Any, fails: bool = failing) -> None:
            if fails:
                raise RuntimeError("cannot close")

        if kit.face.package == "sync":
            Connection.close = blocking_close
        else:
            setattr(
                Connection, "aclose" if kit.face.package == "trio" else "close", close
            )

        async def handler(ws: Any) -> None:
            pass

        async with kit.server(
            handler, create_connection=Connection, logger=logger, close_timeout=0.3
        ) as address:
            peer = await kit.do(client, address)
            received = await kit.do(peer.answer_close)
            assert received.code == 1000
            await kit.do(peer.gone) if peer.sock.fileno() >= 0 else None
    assert [record.levelname for record in records] == ["ERROR"]
    assert "close() of the connection failed" in records[0].getMessage()
