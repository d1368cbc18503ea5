"""Closing, by either side, well or not."""

from __future__ import annotations

import asyncio

import pytest

from fullduplex import (
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
)

from ..kit.asyncio_peer import turns
from ..kit.bytes import (
    BINARY,
    CLOSE,
    CONT,
    DEFLATE,
    PING,
    RSV1,
    TEXT,
    close_frame,
    frame,
)
from .kit import opened

# close


@pytest.mark.parametrize(
    "code",
    [
        1000,
        1001,
        1002,
        1003,
        1007,
        1008,
        1009,
        1010,
        1011,
        1012,
        1013,
        1014,
        3000,
        4999,
    ],
)
@pytest.mark.variants("plain")
async def test_close_sends_any_code_that_may_be_sent(code: int) -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        await ws.close(code, "é" * 61)
        received = await answer

        assert (received.code, received.reason) == (code, "é" * 61)
        assert (ws.close_code, ws.close_reason) == (code, "é" * 61)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *[(code, "") for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)],
        (1000, "x" * 124),
        (1000, "é" * 62),
        (None, "reason"),
        (-1, ""),
        (70_000, ""),
    ],
)
@pytest.mark.variants("plain")
async def test_close_with_what_may_not_be_sent_leaves_the_connection_open(
    code: int | None, reason: str
) -> None:
    async with opened() as (ws, peer):
        with pytest.raises(ProtocolError):
            await ws.close(code, reason)

        assert ws.open
        await ws.send("still")
        assert (await peer.read()).text == "still"


async def test_close_without_code_sends_an_empty_frame() -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        await ws.close(None)

        assert (await answer).payload == b""
        assert (ws.close_code, ws.close_reason) == (1005, "")
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_close_many_times_closes_once_with_the_first_code() -> None:
    async with opened() as (ws, peer):
        closings = [ws.close(code, f"{code}") for code in (4001, 4002, 4003)]
        tasks = asyncio.gather(*closings)
        answer = asyncio.ensure_future(peer.answer_close())
        await tasks
        assert (await answer).code == 4001

        await ws.close(4004)

        assert ws.close_code == 4001
        assert await peer.rest() == []


async def test_close_after_the_peer_has_closed_returns_and_never_raises() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(1011, "broken"))
        peer.close()
        await ws.wait_closed()
        await ws.close()
        assert ws.close_code == 1011


async def test_close_when_the_peer_resets_returns_and_never_raises() -> None:
    async with opened() as (ws, peer):
        task = asyncio.ensure_future(ws.close())
        await peer.read()
        peer.reset()
        await task
        assert ws.close_code == 1006


async def test_close_when_both_close_at_once_ends_well() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(1001))
        task = asyncio.ensure_future(ws.close(1000))
        await peer.read_until(CLOSE)
        peer.close()
        await task
        assert ws.close_code == 1001


async def test_wait_closed_returns_for_any_end_and_cutting_it_is_harmless() -> None:
    async with opened() as (ws, peer):
        cut = asyncio.ensure_future(ws.wait_closed())
        waiters = [asyncio.ensure_future(ws.wait_closed()) for _ in range(3)]
        await turns(2)
        cut.cancel()
        await asyncio.wait([cut])
        assert ws.open
        peer.reset()
        await asyncio.gather(*waiters)
        await ws.wait_closed()
        assert ws.closed


async def test_client_lets_the_server_close_tcp_first() -> None:
    async with opened(close_timeout=5) as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        received = await peer.read()
        peer.write(frame(CLOSE, received.payload))
        # Neither our end nor half of it: the server's is first (RFC 6455, 7.1.1).
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await peer.reader.read(1)
        peer.close()
        await closing


# The closing matrix


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, ConnectionClosedOK),
        (1001, ConnectionClosedOK),
        (None, ConnectionClosedOK),
        (1002, ConnectionClosedError),
        (1011, ConnectionClosedError),
        (1014, ConnectionClosedError),
        (3456, ConnectionClosedError),
        (4000, ConnectionClosedError),
    ],
)
@pytest.mark.variants("plain")
async def test_close_frame_of_the_peer_is_echoed_as_it_is(
    code: int | None, kind: type[Exception]
) -> None:
    reason = "" if code is None else "why"
    async with opened() as (ws, peer):
        data = close_frame(code, reason)
        peer.write(data)
        received = await peer.read()
        assert frame(CLOSE, received.payload) == data
        peer.close()

        with pytest.raises(kind):
            await ws.recv()
        assert ws.close_code == (1005 if code is None else code)
        assert ws.close_reason == reason


FAILURES: dict[str, tuple[bytes, int, type[BaseException]]] = {
    "opcode 3": (frame(3), 1002, ProtocolError),
    "opcode 11": (frame(11), 1002, ProtocolError),
    "masked": (frame(TEXT, "x", mask=b"abcd"), 1002, ProtocolError),
    "rsv1": (frame(TEXT, "x", rsv=4), 1002, ProtocolError),
    "rsv2": (frame(TEXT, "x", rsv=2), 1002, ProtocolError),
    "rsv3": (frame(TEXT, "x", rsv=1), 1002, ProtocolError),
    "rsv1 in a ping": (frame(PING, "x", rsv=4), 1002, ProtocolError),
    "fragmented ping": (frame(PING, fin=False), 1002, ProtocolError),
    "fragmented close": (frame(CLOSE, fin=False), 1002, ProtocolError),
    "long ping": (frame(PING, b"x" * 126), 1002, ProtocolError),
    "continuation first": (frame(CONT, "x"), 1002, ProtocolError),
    "new message inside": (
        frame(TEXT, "x", fin=False) + frame(TEXT, "y"),
        1002,
        ProtocolError,
    ),
    "close of one byte": (frame(CLOSE, b"x"), 1002, ProtocolError),
    "close code 999": (close_frame(999), 1002, ProtocolError),
    "close code 1004": (close_frame(1004), 1002, ProtocolError),
    "close code 1006": (close_frame(1006), 1002, ProtocolError),
    "close code 5000": (close_frame(5000), 1002, ProtocolError),
    "close reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007, UnicodeDecodeError),
    "utf-8": (frame(TEXT, b"a\xffb"), 1007, UnicodeDecodeError),
    "utf-8 surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007, UnicodeDecodeError),
    "utf-8 cut at the end": (frame(TEXT, b"\xe2\x82"), 1007, UnicodeDecodeError),
    "utf-8 in a fragment": (frame(TEXT, b"\xff", fin=False), 1007, UnicodeDecodeError),
    "too big": (frame(TEXT, bytes(1001)), 1009, PayloadTooBig),
    "too big in all": (
        frame(TEXT, bytes(999), fin=False) + frame(CONT, b"xx"),
        1009,
        PayloadTooBig,
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_failure_closes_with_its_code_and_names_its_cause(failure: str) -> None:
    data, code, cause = FAILURES[failure]
    async with opened(max_size=1000, close_timeout=0.5) as (ws, peer):
        peer.write(data)
        assert (await peer.answer_close()).code == code

        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, cause)
        assert caught.value.sent is not None
        assert caught.value.sent.code == code
        assert ws.close_code == 1006


@pytest.mark.parametrize("limit", [(None, 100), (1000, 100), (50, None), (50, 100)])
@pytest.mark.variants("plain")
async def test_max_size_pair_limits_message_and_frame(
    limit: tuple[int | None, int | None],
) -> None:
    message, fragment = limit
    least = min(n for n in limit if n is not None)
    async with opened(max_size=limit, close_timeout=0.5) as (ws, peer):
        peer.write(frame(BINARY, bytes(least)))
        assert await ws.recv() == bytes(least)
        if fragment is not None and (message is None or message > fragment):
            peer.write(frame(BINARY, bytes(100), fin=False), frame(CONT, bytes(100)))
            assert await ws.recv() == bytes(200)
        peer.write(frame(BINARY, bytes(least + 1)))
        assert (await peer.answer_close()).code == 1009


async def test_compressed_rubbish_fails_with_1002() -> None:
    async with opened(DEFLATE, compression="deflate", close_timeout=0.5) as (_ws, peer):
        peer.write(frame(TEXT, b"\xff\xff\xff", rsv=RSV1))
        assert (await peer.answer_close()).code == 1002


async def test_close_inside_a_message_is_echoed_and_is_no_good_end() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "x", fin=False), close_frame(1000))
        await peer.read()
        peer.close()

        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1000


async def test_end_of_tcp_without_close_frame_is_1006() -> None:
    async with opened() as (ws, peer):
        peer.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, EOFError)
        assert (ws.close_code, ws.close_reason) == (1006, "")
        assert str(caught.value) == "no close frame received or sent"


async def test_reset_of_tcp_is_1006_and_names_the_error() -> None:
    async with opened() as (ws, peer):
        reader = asyncio.ensure_future(ws.recv())
        await turns(2)
        peer.reset()
        with pytest.raises(ConnectionClosedError) as caught:
            await reader
        assert isinstance(caught.value.__cause__, (EOFError, OSError))
        assert ws.close_code == 1006
