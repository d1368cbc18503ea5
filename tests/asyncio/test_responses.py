"""What servers answer to the opening handshake."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fullduplex import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    InvalidStatusCode,
    InvalidUpgrade,
    NegotiationError,
    SecurityError,
    connect,
)

from ..kit.asyncio_peer import Peer, Stopwatch, listening, turns
from ..kit.bytes import BINARY, TEXT, close_frame, frame, response
from ..kit.clock import PATIENCE
from .kit import attempt, finish, opened

pytestmark = pytest.mark.variants("two")


async def test_frames_glued_to_the_response_are_received() -> None:
    glued = frame(TEXT, "one") + frame(BINARY, b"\xff" * 70_000) + close_frame(1001)
    async with opened(glued=glued) as (ws, peer):
        assert await ws.recv() == "one"
        assert await ws.recv() == b"\xff" * 70_000
        peer.close()
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_fault_glued_to_the_response_fails_the_open_connection() -> None:
    async with opened(glued=frame(TEXT, "ok") + frame(3)) as (ws, peer):
        assert await ws.recv() == "ok"
        assert (await peer.answer_close()).code == 1002
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


async def test_response_byte_by_byte_is_accepted() -> None:
    async with listening() as listener:

        async def trickle(peer: Peer) -> None:
            await peer.read_request()
            for byte in peer.switching() + frame(TEXT, "x"):
                peer.write(bytes([byte]))
                await turns(2)

        ws, peer = await attempt(listener, trickle)
        assert await ws.recv() == "x"
        await finish(ws, peer)


async def test_interim_responses_are_skipped() -> None:
    async with listening() as listener:

        async def hesitate(peer: Peer) -> None:
            await peer.read_request()
            peer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            peer.write(peer.switching())

        ws, peer = await attempt(listener, hesitate)
        await finish(ws, peer)


@pytest.mark.variants("plain")
async def test_response_may_spell_its_headers_in_any_case_and_as_lists() -> None:
    async with listening() as listener:

        async def respond(peer: Peer) -> None:
            await peer.read_request()
            peer.write(
                (
                    "HTTP/1.1 101 \r\nUPGRADE: WebSocket\r\n"
                    "connection: keep-alive, UPGRADE\r\n"
                    f"SEC-WEBSOCKET-ACCEPT: {peer.accept}\r\n\r\n"
                ).encode()
            )

        ws, peer = await attempt(listener, respond)
        await finish(ws, peer)


GOOD = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: {accept}",
]


def without(start: str) -> list[str]:
    return [line for line in GOOD if not line.startswith(start)]


# What ends a body that would last until the end of TCP, if anything has to.
CUT: Any = (EOFError, TimeoutError, type(None))

BAD_RESPONSES: dict[str, tuple[bytes, type[Exception], Any]] = {
    "nothing": (b"", InvalidMessage, EOFError),
    "half a status line": (b"HTTP/1.", InvalidMessage, EOFError),
    "half a header": (b"HTTP/1.1 101 OK\r\nUpgr", InvalidMessage, EOFError),
    "rubbish": (b"\x00\x03\x01 rubbish\r\n\r\n", InvalidMessage, ValueError),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", InvalidMessage, ValueError),
    "HTTP/1.0": (response("HTTP/1.0 101 OK", *GOOD[1:]), InvalidMessage, ValueError),
    "HTTP/2": (response("HTTP/2 101 OK", *GOOD[1:]), InvalidMessage, ValueError),
    "no reason part": (response("HTTP/1.1 101", *GOOD[1:]), InvalidMessage, ValueError),
    "status abc": (response("HTTP/1.1 abc OK"), InvalidMessage, ValueError),
    "status 99": (response("HTTP/1.1 99 OK"), InvalidMessage, ValueError),
    "status 600": (response("HTTP/1.1 600 OK"), InvalidStatus, CUT),
    "status 000": (
        response("HTTP/1.1 000 OK", "Content-Length: 0"),
        InvalidStatus,
        None,
    ),
    "HTTP/1.0 refusal": (response("HTTP/1.0 403 No"), InvalidStatus, CUT),
    "LF only": (b"HTTP/1.1 101 OK\nUpgrade: websocket\n\n", InvalidMessage, ValueError),
    "folded status line": (
        response(GOOD[0], " b", *GOOD[1:]),
        InvalidMessage,
        ValueError,
    ),
    "space before colon": (response(*GOOD, "X : a"), InvalidMessage, ValueError),
    "no colon": (response(*GOOD, "nonsense"), InvalidMessage, ValueError),
    "long header": (
        response(*GOOD, "X: " + "a" * 10_000),
        InvalidMessage,
        SecurityError,
    ),
    "many headers": (response(*GOOD, *["X: a"] * 200), InvalidMessage, SecurityError),
    "long status line": (response("HTTP/1.1 101 " + "a" * 10_000), SecurityError, None),
    "endless status line": (b"HTTP/1.1 101 " + b"a" * 100_000, SecurityError, None),
    "endless header": (
        b"HTTP/1.1 101 OK\r\nX: " + b"a" * 100_000,
        InvalidMessage,
        SecurityError,
    ),
    "200": (response("HTTP/1.1 200 OK", "Content-Length: 0"), InvalidStatus, None),
    "large body": (
        response("HTTP/1.1 404 No", "Content-Length: 999999999"),
        InvalidStatus,
        CUT,
    ),
    "endless body": (
        response("HTTP/1.1 404 No") + bytes(2_000_000),
        InvalidStatus,
        SecurityError,
    ),
    "no Connection": (response(*without("Connection")), InvalidUpgrade, None),
    "wrong Connection": (
        response(*without("Connection"), "Connection: close"),
        InvalidUpgrade,
        None,
    ),
    "no Upgrade": (response(*without("Upgrade")), InvalidUpgrade, None),
    "wrong Upgrade": (
        response(*without("Upgrade"), "Upgrade: h2c"),
        InvalidUpgrade,
        None,
    ),
    "two Upgrades": (response(*GOOD, "Upgrade: websocket"), InvalidUpgrade, None),
    "no Accept": (response(*without("Sec")), InvalidHeader, None),
    "two Accepts": (response(*GOOD, GOOD[-1]), InvalidHeader, None),
    "wrong Accept": (
        response(*without("Sec"), "Sec-WebSocket-Accept: AAAA"),
        InvalidHeaderValue,
        None,
    ),
    "extension": (
        response(*GOOD, "Sec-WebSocket-Extensions: permessage-deflate"),
        NegotiationError,
        None,
    ),
    "subprotocol": (
        response(*GOOD, "Sec-WebSocket-Protocol: chat"),
        NegotiationError,
        None,
    ),
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "stays"])
async def test_bad_response_raises_and_closes_the_socket(name: str, ends: bool) -> None:
    data, error, cause = BAD_RESPONSES[name]
    if cause is EOFError and not ends:
        error, cause = TimeoutError, None
    async with listening() as listener:
        # Whatever is not waited for up to the timeout is told long before it.
        seconds = 0.2 if error is TimeoutError else PATIENCE
        opening = asyncio.ensure_future(
            connect(listener.uri, compression=None, open_timeout=seconds).connect()
        )
        peer = await (await listener.accept()).read_request()
        peer.write(data.replace(b"{accept}", peer.accept.encode()))
        if ends:
            peer.close()
        watch = Stopwatch()

        with pytest.raises(error) as caught:
            await opening

        if cause is not None:
            assert isinstance(caught.value.__cause__, cause)
        if error is not TimeoutError:
            assert isinstance(caught.value, InvalidHandshake)
            assert watch.elapsed < PATIENCE / 2
        if not ends:
            await peer.gone()


NEGOTIATIONS = {
    "unknown extension": (["Sec-WebSocket-Extensions: x-a"], NegotiationError),
    "repeated extension": (
        ["Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"],
        NegotiationError,
    ),
    "unknown parameter": (
        ["Sec-WebSocket-Extensions: permessage-deflate; x=1"],
        NegotiationError,
    ),
    "malformed extension": (["Sec-WebSocket-Extensions: a;;b="], InvalidHeaderFormat),
    "unknown subprotocol": (["Sec-WebSocket-Protocol: three"], NegotiationError),
    "two subprotocols": (["Sec-WebSocket-Protocol: one, two"], InvalidHandshake),
    "malformed subprotocol": (["Sec-WebSocket-Protocol: a b"], InvalidHeaderFormat),
}


@pytest.mark.parametrize("name", NEGOTIATIONS)
@pytest.mark.variants("plain")
async def test_bad_negotiation_raises(name: str) -> None:
    headers, error = NEGOTIATIONS[name]
    async with listening() as listener:

        async def respond(peer: Peer) -> None:
            await peer.handshake(*headers)

        with pytest.raises(error):
            await attempt(
                listener, respond, compression="deflate", subprotocols=["one", "two"]
            )
        await listener.peers[0].gone()


@pytest.mark.variants("plain")
async def test_no_subprotocol_though_some_were_offered_is_fine() -> None:
    async with opened(subprotocols=["one"]) as (ws, _):
        assert ws.subprotocol is None


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 9\r\n\r\nForbidden",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nForb\r\n5\r\nidden\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_refusal_has_status_headers_and_body(framing: bytes) -> None:
    async with listening() as listener:
        opening = asyncio.ensure_future(
            connect(listener.uri, close_timeout=5).connect()
        )
        peer = await (await listener.accept()).read_request()
        watch = Stopwatch()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n" + framing)
        with pytest.raises(InvalidStatusCode) as caught:
            await opening

        # The server keeps TCP open, which is none of our business.
        assert watch.elapsed < 1
        assert caught.value.status_code == 403
        assert caught.value.headers["X-Why"] == "because"
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == b"Forbidden"
        assert str(caught.value).endswith("HTTP 403")
        await peer.gone()
