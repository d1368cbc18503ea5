"""TLS: what is told of it, what is logged of it, and that it holds nothing back."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

import pytest

from fullduplex import InvalidMessage

from ..kit.bytes import BINARY, TEXT, frame
from ..kit.clock import PATIENCE
from ..kit.peer import Listener
from ..kit.tls import contexts, make_client_tls, make_server_tls
from .faces import Kit
from .registry import behaviour


def names(tls: Any) -> list[str]:
    """The names in the peer's certificate."""
    return [name for _, name in tls.getpeercert()["subjectAltName"]]


@behaviour(sides=())
async def certificate_cipher_and_alpn_are_told(kit: Kit) -> None:
    server, client = contexts()
    seen: list[Any] = []

    async def handler(ws: Any) -> None:
        seen.append(ws)

    async with kit.server(handler, ssl=server) as (_, port):
        uri = f"wss://localhost:{port}/"
        async with kit.connection(uri, host="127.0.0.1", ssl=client) as ws:
            tls = ws.ssl_object
            assert names(tls) == ["localhost", "127.0.0.1"]
            assert tls.cipher()[1] == tls.version() == "TLSv1.3"
            assert tls.selected_alpn_protocol() == "http/1.1"
            await kit.until(lambda: seen)
            assert names(seen[0].ssl_object) == ["client.example"]
            assert seen[0].ssl_object.cipher() == tls.cipher()


@behaviour()
async def without_tls_nothing_is_told_of_it(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (end, _):
        assert (end.ws.ssl_object is None) is not kit.face.tls


@behaviour(sides=())
async def burst_behind_the_response_arrives_through_tls(kit: Kit) -> None:
    server, client = contexts()
    burst = frame(TEXT, "x" * 200) * 190
    async with kit.opened(glued=burst, server_tls=server, ssl=client, max_queue=4) as (
        end,
        _,
    ):
        for _ in range(190):
            assert await end.recv() == "x" * 200


@behaviour(sides=())
async def messages_for_a_paused_reader_arrive_whole_through_tls(kit: Kit) -> None:
    server, client = contexts()
    sent = [bytes([number]) * 100_000 for number in range(30)]
    async with kit.opened(server_tls=server, ssl=client, max_queue=2) as (
        end,
        peer,
    ):
        data = b"".join(frame(BINARY, item) for item in sent)
        sending = kit.spawn(lambda: kit.do(peer.write, data))
        # The queue is full, and the rest waits in every buffer on the way.
        await kit.until(lambda: end._session.reading_paused)
        for item in sent:
            assert await end.recv() == item
        await sending.result()


@behaviour(sides=())
async def session_is_resumed_at_the_same_host(kit: Kit) -> None:
    async def handler(ws: Any) -> None:
        await kit.wait(ws.send("tickets have been sent"))
        await kit.wait(ws.wait_closed())

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        server, client = make_server_tls(), make_client_tls()
        server.maximum_version = version
        resumed = []
        async with kit.server(handler, ssl=server) as (_, port):
            for name in ("localhost", "localhost", "127.0.0.1"):
                uri = f"wss://{name}:{port}/"
                async with kit.connection(uri, host="127.0.0.1", ssl=client) as ws:
                    await kit.wait(ws.recv())
                    resumed.append(bool(ws.ssl_object.session_reused))
        assert resumed == [False, True, False]


class Replaced(ssl.SSLContext):
    """A class that a program may put in the place of `ssl.SSLContext`."""


@behaviour(sides=())
async def contexts_of_a_replaced_class_are_contexts(kit: Kit) -> None:
    server, client = contexts()

    async def handler(ws: Any) -> None:
        await kit.wait(ws.wait_closed())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "SSLContext", Replaced)
        async with kit.server(handler, ssl=server) as (_, port):
            uri = f"wss://localhost:{port}/"
            async with kit.connection(uri, host="127.0.0.1", ssl=client) as ws:
                assert ws.ssl_object is not None


# What goes wrong


async def connect_fails(kit: Kit, uri: str, error: type[Exception]) -> str:
    """Connect in vain; returns what is said."""
    given = {"ssl": contexts()[1]} if uri.startswith("wss:") else {}
    with pytest.raises(error) as caught:
        async with kit.connection(uri, **given):
            pass
    return str(caught.value)


async def told(kit: Kit, scheme: str, answer: bytes, error: type[Exception]) -> str:
    """Connect to what answers with some bytes and the end of TCP."""
    listener = Listener()

    def reply() -> None:
        peer = listener.accept()
        peer.sock.recv(65536)
        peer.write(answer)
        peer.half_close()
        peer.gone()

    replying = kit.spawn(lambda: kit.do(reply))
    try:
        text = await connect_fails(kit, f"{scheme}://localhost:{listener.port}/", error)
        await replying.result()
    finally:
        listener.close()
    return text.replace(str(listener.port), "PORT")


@behaviour(sides=())
async def plain_server_that_hangs_up_in_tls_is_explained(kit: Kit) -> None:
    text = await told(kit, "wss", b"", OSError)
    assert text.endswith(
        "TLS handshake with localhost:PORT: the server hung up; "
        "does it speak TLS? (ws://)"
    )


@behaviour(sides=())
async def plain_server_that_answers_in_tls_is_explained(kit: Kit) -> None:
    text = await told(kit, "wss", b"HTTP/1.1 400 Bad Request\r\n\r\n", ssl.SSLError)
    assert text.endswith(
        "TLS handshake with localhost:PORT: "
        "the server answered, but not in TLS; use ws://"
    )


@behaviour(sides=())
async def tls_server_that_hangs_up_is_explained(kit: Kit) -> None:
    text = await told(kit, "ws", b"", InvalidMessage)
    assert text.endswith("does the server expect TLS? (wss://)")


@behaviour(sides=())
async def tls_server_that_sends_an_alert_is_explained(kit: Kit) -> None:
    alert = b"\x15\x03\x03\x00\x02\x02\x0a"
    text = await told(kit, "ws", alert, InvalidMessage)
    assert text.endswith("the server answered in TLS; use wss://")


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.seen.append(record)


@behaviour(sides=())
async def tls_handshake_that_fails_is_one_record(kit: Kit) -> None:
    server, _ = contexts()
    records = Records()
    logger = logging.Logger("test")
    logger.addHandler(records)

    def leave(address: Any) -> str:
        """Refuse the server's certificate; returns our address."""
        with socket.create_connection(address[:2], PATIENCE) as sock:
            name: tuple[str, int] = sock.getsockname()
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(
                    sock, server_hostname="localhost"
                )
        return f"{name[0]}:{name[1]}"

    async def handler(ws: Any) -> None:
        raise AssertionError("nobody gets this far")

    async with kit.server(handler, ssl=server, logger=logger) as address:
        name = await kit.do(leave, address)
        await kit.until(
            lambda: [item for item in records.seen if "TLS" in item.getMessage()]
        )
    found = [item for item in records.seen if "TLS" in item.getMessage()]
    assert [item.levelno for item in found] == [logging.INFO]
    assert found[0].getMessage().startswith(f"TLS handshake with {name} failed: ")
