"""What exceptions tell about the end of real connections, and of attempts."""

from __future__ import annotations

import asyncio
import copy
import pickle
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosed, InvalidHandshake, InvalidStatus, connect
from fullduplex.core.diagnostics.diagnosis import Diagnosis

from ..kit.asyncio_peer import Listener, Peer, listening
from ..kit.bytes import CLOSE, MASK, TEXT, close_frame, frame
from .kit import opened, served

Ending = Callable[[Any, Peer], Awaitable[Any]]


async def we_close(ws: Any, peer: Peer) -> None:
    answer = asyncio.ensure_future(peer.answer_close())
    await ws.close(1000, "done")
    await answer


async def peer_closes(ws: Any, peer: Peer) -> None:
    peer.write(close_frame(1001, "bye"))
    await peer.read_until(CLOSE)
    peer.close()
    await ws.wait_closed()


async def peer_breaks_the_protocol(ws: Any, peer: Peer) -> None:
    peer.write(frame(3, b""))
    await peer.read_until(CLOSE)
    peer.close()


async def peer_closes_tcp(ws: Any, peer: Peer) -> None:
    peer.close()


async def peer_half_closes(ws: Any, peer: Peer) -> None:
    peer.writer.write_eof()
    await peer.gone()


async def peer_resets(ws: Any, peer: Peer) -> None:
    peer.reset()


async def peer_does_not_answer(ws: Any, peer: Peer) -> None:
    await ws.close()


async def peer_closes_tcp_instead_of_answering(ws: Any, peer: Peer) -> None:
    closing = asyncio.ensure_future(ws.close())
    await peer.read_until(CLOSE)
    peer.close()
    await closing


async def we_abort(ws: Any, peer: Peer) -> None:
    ws.transport.abort()


ENDINGS: list[tuple[Ending, str, str, str]] = [
    (we_close, "we", "close frame", "we closed with 1000 (OK) done"),
    (peer_closes, "peer", "close frame", "the peer closed with 1001 (going away) bye"),
    (
        peer_breaks_the_protocol,
        "we",
        "close frame",
        "we closed with 1002 (protocol error) invalid opcode: 0x3: invalid opcode: "
        "0x3; TCP ended before the peer's answer",
    ),
    (peer_closes_tcp, "peer", "FIN", "the peer closed TCP without a close frame"),
    (peer_half_closes, "peer", "FIN", "the peer closed TCP without a close frame"),
    (peer_resets, "peer", "RST", "TCP was reset, there or on the way: "),
    (
        peer_does_not_answer,
        "we",
        "timeout",
        "we closed with 1000 (OK); the peer did not answer within 0.1 s (close_timeout",
    ),
    (
        peer_closes_tcp_instead_of_answering,
        "we",
        "close frame",
        "we closed with 1000 (OK); TCP ended before the peer's answer",
    ),
    (we_abort, "we", "TCP", "this side ended TCP without a close frame"),
]


# These peers write frames of a server.
SERVER_ENDINGS = [
    case
    for case in ENDINGS
    if case[0] not in (peer_half_closes, peer_breaks_the_protocol)
]


async def diagnosed(ws: Any) -> Diagnosis:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await ws.recv()
    diagnosis = caught.value.diagnosis
    assert caught.value.diagnosis is diagnosis
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis


@pytest.mark.parametrize(
    ("ending", "ended_by", "layer", "reason"),
    ENDINGS,
    ids=[ending[0].__name__ for ending in ENDINGS],
)
async def test_end_of_a_connection_is_told(
    ending: Ending, ended_by: str, layer: str, reason: str
) -> None:
    async with opened(close_timeout=0.1) as (ws, peer):
        peer.write(frame(TEXT, "hello"))
        assert await ws.recv() == "hello"
        await ws.send("12345")
        await peer.read_until(TEXT)

        await ending(ws, peer)
        diagnosis = await diagnosed(ws)

    assert (diagnosis.ended_by, diagnosis.layer) == (ended_by, layer)
    assert diagnosis.reason.startswith(reason)
    stats = diagnosis.stats
    assert stats is not None
    assert (stats.messages_received, stats.messages_sent) == (1, 1)
    assert stats.queue_messages == 0
    assert stats.received_age is not None
    assert stats.sent_age is not None
    assert diagnosis.lasted is not None
    assert diagnosis.lasted >= stats.received_age
    assert stats == ws.stats


@pytest.mark.variants("two")
@pytest.mark.parametrize(
    ("ending", "ended_by", "layer", "reason"),
    SERVER_ENDINGS,
    ids=[ending[0].__name__ for ending in SERVER_ENDINGS],
)
async def test_end_of_a_server_connection_is_told(
    ending: Ending, ended_by: str, layer: str, reason: str
) -> None:
    async with served(close_timeout=0.1) as (ws, peer):
        if ending is peer_closes:
            peer.write(frame(CLOSE, b"\x03\xe9bye", mask=MASK))
        elif ending is we_close:
            closing = asyncio.ensure_future(ws.close(1000, "done"))
            received = await peer.read_until(CLOSE)
            peer.write(frame(CLOSE, received.payload, mask=MASK))
            peer.close()
            await closing
        else:
            await ending(ws, peer)
        diagnosis = await diagnosed(ws)

    assert (diagnosis.ended_by, diagnosis.layer) == (ended_by, layer)
    assert diagnosis.reason.startswith(reason)


@pytest.mark.parametrize("ending", [peer_closes_tcp, peer_resets, we_abort])
async def test_end_below_tls_is_told(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, ending: Ending
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls) as (ws, peer):
        await ending(ws, peer)
        diagnosis = await diagnosed(ws)

    if ending is we_abort:
        assert (diagnosis.ended_by, diagnosis.layer) == ("we", "TCP")
    else:
        assert diagnosis.ended_by == "peer"
        assert diagnosis.layer in ("FIN", "RST", "TLS")


@pytest.mark.variants("plain")
async def test_exception_that_was_copied_or_pickled_keeps_its_diagnosis() -> None:
    async with opened() as (ws, peer):
        peer.reset()
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()

    for other in (
        copy.copy(caught.value),
        pickle.loads(pickle.dumps(caught.value)),
    ):
        assert other.diagnosis == caught.value.diagnosis
        assert str(other) == str(caught.value)


@pytest.mark.variants("plain")
async def test_exception_of_nobodys_connection_has_no_diagnosis() -> None:
    assert ConnectionClosed(None, None).diagnosis is None


# Opening


async def refused(listener: Listener, answer: bytes) -> BaseException:
    async def step(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer)
        peer.close()

    serving = asyncio.ensure_future(listener.serve(step))
    with pytest.raises(InvalidHandshake) as caught:
        await connect(listener.uri)
    await serving
    return caught.value


@pytest.mark.variants("two")
async def test_refused_handshake_shows_the_answer() -> None:
    async with listening() as listener:
        body = b"x" * 70_000
        answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: quota\r\nContent-Length: 70000"
        exc = await refused(listener, answer + b"\r\n\r\n" + body)

    assert isinstance(exc, InvalidStatus)
    assert str(exc) == "server rejected WebSocket connection: HTTP 403"
    diagnosis = exc.diagnosis
    assert (diagnosis.ended_by, diagnosis.layer) == ("peer", "handshake")
    assert diagnosis.reason == "the server answered HTTP 403 Forbidden"
    assert diagnosis.response is not None
    assert diagnosis.response.status_code == 403
    assert diagnosis.response.headers["X-Why"] == "quota"
    assert diagnosis.response.body == body[:65536]
    assert exc.response.body == body
    assert diagnosis.stats is None


@pytest.mark.variants("two")
async def test_answer_that_is_no_answer_is_told() -> None:
    async with listening() as listener:
        gone = await refused(listener, b"")
        nonsense = await refused(listener, b"SSH-2.0-OpenSSH\r\n")
        wrong = await refused(
            listener,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        )

    for exc, ended_by, layer in (
        (gone, "peer", "FIN"),
        (nonsense, "we", "handshake"),
        (wrong, "we", "handshake"),
    ):
        assert isinstance(exc, InvalidHandshake)
        assert (exc.diagnosis.ended_by, exc.diagnosis.layer) == (ended_by, layer)
