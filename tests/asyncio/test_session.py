"""`Session`: subscriptions and messages that outlive connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import (
    Backoff,
    ClientConnection,
    InvalidStatus,
    OutboxFull,
    ProtocolError,
    Session,
)

from ..kit.asyncio_peer import Listener, Peer, listening, turns, until
from ..kit.bytes import TEXT, close_frame, frame
from ..kit.clock import PATIENCE

pytestmark = pytest.mark.variants("two")

SOON = Backoff(initial=0.001, min=0.001, max=0.002)


class Reports:
    """What `on_undelivered` was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[Any], str]] = []

    def __call__(self, messages: list[Any], reason: str) -> None:
        self.seen.append((messages, reason))


def session(listener: Listener, **options: Any) -> Session:
    options.setdefault("reconnect_delays", SOON)
    options.setdefault("ping_interval", None)
    options.setdefault("close_timeout", 1)
    options.setdefault("compression", None)
    return Session(listener.uri, **options)


async def met(listener: Listener) -> Peer:
    peer = await listener.accept()
    await peer.handshake()
    return peer


async def texts(peer: Peer, count: int) -> list[str]:
    """Read so many text messages, and answer no ping."""
    found: list[str] = []
    while len(found) < count:
        received = await peer.read()
        if received.opcode == TEXT:
            found.append(received.text)
    return found


async def test_messages_go_out_in_order_and_arrive_once() -> None:
    async with listening() as listener, session(listener) as client:
        for number in range(5):
            await client.send(str(number))
        peer = await met(listener)
        echoing = asyncio.ensure_future(peer.echo())
        try:
            received = [await client.recv() for _ in range(5)]
            async with asyncio.timeout(PATIENCE):
                await client.drained()
        finally:
            await client.close()
            await echoing
    assert received == ["0", "1", "2", "3", "4"]


async def test_subscriptions_come_first_on_every_connection() -> None:
    async with (
        listening() as listener,
        session(listener, subscriptions=["a", "b"]) as client,
    ):
        await client.send("x")
        peer = await met(listener)
        assert await texts(peer, 3) == ["a", "b", "x"]
        await client.subscribe("c")
        assert await texts(peer, 1) == ["c"]
        await client.unsubscribe("a", farewell="no a")
        assert await texts(peer, 1) == ["no a"]
        peer.reset()
        peer = await met(listener)
        assert await texts(peer, 2) == ["b", "c"]
        peer.reset()


async def test_messages_that_may_have_arrived_are_reported() -> None:
    reports = Reports()
    async with (
        listening() as listener,
        session(listener, on_undelivered=reports) as client,
    ):
        await client.send("perhaps")
        peer = await met(listener)
        assert await texts(peer, 1) == ["perhaps"]
        peer.reset()
        peer = await met(listener)
        await client.send("later")
        assert await texts(peer, 1) == ["later"]
        peer.reset()
        await until(lambda: len(reports.seen) == 2)
    assert reports.seen == [(["perhaps"], "unsure"), (["later"], "unsure")]


async def test_messages_that_may_have_arrived_are_sent_again_if_wanted() -> None:
    reports = Reports()
    async with (
        listening() as listener,
        session(listener, on_undelivered=reports, resend=True) as client,
    ):
        await client.send("one")
        await client.send("two")
        peer = await met(listener)
        assert await texts(peer, 2) == ["one", "two"]
        peer.reset()
        peer = await met(listener)
        assert await texts(peer, 2) == ["one", "two"]
        peer.reset()
    assert [reason for _, reason in reports.seen] == ["closed"]


async def test_messages_of_a_session_that_ends_are_reported() -> None:
    reports = Reports()
    async with (
        listening() as listener,
        session(listener, on_undelivered=reports) as client,
    ):
        await client.send("never")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.recv()
    assert reports.seen == [(["never"], "closed")]


@pytest.mark.parametrize(
    ("overflow", "sent", "dropped"),
    [("drop_oldest", ["b", "c"], ["a"]), ("drop_newest", ["a", "b"], ["c"])],
)
async def test_one_too_many_is_dropped_and_reported(
    overflow: str, sent: list[str], dropped: list[str]
) -> None:
    reports = Reports()
    async with listening() as listener:
        options = {"overflow": overflow, "on_undelivered": reports, "outbox": 2}
        async with session(listener, **options) as client:
            for message in "abc":
                await client.send(message)
            peer = await met(listener)
            assert await texts(peer, 2) == sent
            peer.reset()
    assert reports.seen[0] == (dropped, "dropped")


async def test_one_too_many_is_rejected_by_default() -> None:
    async with listening() as listener, session(listener, outbox=1) as client:
        await client.send("a")
        with pytest.raises(OutboxFull, match="outbox is 1"):
            await client.send("b")


async def test_gap_is_told_with_what_was_seen_last() -> None:
    gaps: list[Any] = []

    async def on_gap(last: Any) -> None:
        gaps.append(last)
        assert client.connection is not None
        await client.connection.send("what did I miss?")

    async with listening() as listener:
        client = session(listener, on_gap=on_gap, subscriptions=["hi"])
        async with client:
            peer = await met(listener)
            peer.write(frame(TEXT, "first"), frame(TEXT, "second"), close_frame(1001))
            await peer.end_after_close()
            peer = await met(listener)
            assert await texts(peer, 2) == ["hi", "what did I miss?"]
            peer.write(frame(TEXT, "third"))
            received = [await client.recv() for _ in range(3)]
            peer.reset()
    assert received == ["first", "second", "third"]
    assert gaps == ["second"]


async def test_last_seen_may_be_taken_from_the_message() -> None:
    gaps: list[Any] = []

    def number(message: Any) -> int:
        return int(message.rpartition(" ")[2])

    async with listening() as listener:
        client = session(listener, on_gap=gaps.append, last_seen=number)
        async with client:
            peer = await met(listener)
            peer.write(frame(TEXT, "tick 41"))
            assert await client.recv() == "tick 41"
            peer.reset()
            peer = await met(listener)
            await until(lambda: bool(gaps))
            peer.reset()
    assert gaps == [41]


async def test_iteration_goes_on_over_connections_and_ends_with_the_session() -> None:
    received = []

    async def read(client: Session) -> None:
        async for message in client:
            received.append(message)

    async with listening() as listener:
        async with session(listener) as client:
            task = asyncio.ensure_future(read(client))
            for text in ("one", "two"):
                peer = await met(listener)
                peer.write(frame(TEXT, text), close_frame(1001))
                await peer.end_after_close()
            await until(lambda: len(received) == 2)
        async with asyncio.timeout(PATIENCE):
            await task
    assert received == ["one", "two"]


async def test_refusal_for_good_ends_the_session_with_its_exception() -> None:
    async with listening() as listener, session(listener) as client:
        peer = await listener.accept()
        await peer.read_request()
        peer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(InvalidStatus):
            await client.recv()
        with pytest.raises(RuntimeError, match="not running"):
            await client.send("x")


async def test_recv_cancelled_loses_nothing() -> None:
    async with listening() as listener, session(listener) as client:
        peer = await met(listener)
        for number in range(20):
            task = asyncio.ensure_future(client.recv())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            peer.write(frame(TEXT, str(number)))
            assert await client.recv() == str(number)
        peer.reset()


async def test_closing_with_what_must_not_be_sent_is_refused_and_changes_nothing() -> (
    None
):
    async with listening() as listener, session(listener) as client:
        # Before there is a connection, and with one that is lost afterwards.
        with pytest.raises(ProtocolError):
            await client.close(1005)
        peer = await met(listener)
        await until(lambda: client.connection is not None)
        with pytest.raises(ProtocolError):
            await client.close(1000, "x" * 124)
        peer.reset()
        peer = await met(listener)
        peer.write(frame(TEXT, "again"))
        assert await client.recv() == "again"
        peer.reset()


async def test_closing_that_is_cancelled_while_messages_arrive_changes_nothing() -> (
    None
):
    async with listening() as listener, session(listener) as client:
        await client.send("never confirmed")
        peer = await met(listener)
        assert await texts(peer, 1) == ["never confirmed"]
        closing = asyncio.ensure_future(client.close(drain=PATIENCE))
        await turns(3)
        closing.cancel()
        await asyncio.wait([closing])
        await client.send("after")
        assert await texts(peer, 1) == ["after"]
        peer.reset()


async def test_closing_waits_for_messages_to_arrive_if_asked() -> None:
    reports = Reports()
    async with (
        listening() as listener,
        session(listener, on_undelivered=reports) as client,
    ):
        await client.send("last words")
        peer = await met(listener)
        echoing = asyncio.ensure_future(peer.echo())
        async with asyncio.timeout(PATIENCE):
            await client.close(drain=PATIENCE)
        await echoing
    assert reports.seen == []


@pytest.mark.parametrize("message", [1, None, ["a"], {"a": 1}])
async def test_what_is_no_message_is_refused_at_once(message: Any) -> None:
    async with listening() as listener, session(listener) as client:
        with pytest.raises(TypeError):
            await client.send(message)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"outbox": 0}, ValueError),
        ({"overflow": "explode"}, ValueError),
        ({"subscriptions": [1]}, TypeError),
        ({"ping_intervall": 1}, TypeError),
    ],
)
async def test_bad_argument_is_refused_at_once(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Session("ws://127.0.0.1:1/", **options)


async def test_on_open_runs_before_the_subscriptions() -> None:
    async def log_in(ws: ClientConnection) -> None:
        await ws.send("login")

    async with (
        listening() as listener,
        session(listener, on_open=log_in, subscriptions=["s"]),
    ):
        peer = await met(listener)
        assert await texts(peer, 2) == ["login", "s"]
        peer.reset()


@pytest.mark.parametrize("seed", range(5))
async def test_every_message_has_one_fate_when_connections_are_cut(seed: int) -> None:
    reports = Reports()
    arrived: list[str] = []
    count = 300

    async def serve(listener: Listener, cut: Callable[[], bool]) -> None:
        while True:
            peer = await met(listener)
            try:
                while not cut():
                    received = await peer.read()
                    if received.opcode == TEXT:
                        arrived.append(received.text)
                    elif received.opcode == 9:
                        peer.write(frame(10, received.payload))
            except (EOFError, ConnectionError):
                continue
            peer.reset()

    state = seed * 7919 + 1

    def cut() -> bool:
        nonlocal state
        state = (state * 1103515245 + 12345) % 2**31
        return state % 37 == 0

    async with listening() as listener:
        serving = asyncio.ensure_future(serve(listener, cut))
        async with session(listener, on_undelivered=reports) as client:
            for number in range(count):
                await client.send(str(number))
                if number % 10 == 0:
                    await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await client.drained()
        serving.cancel()
        await asyncio.wait([serving])
    numbers = [int(text) for text in arrived]
    assert numbers == sorted(set(numbers))
    unsure = {int(text) for messages, _ in reports.seen for text in messages}
    assert set(numbers) | unsure == set(range(count))


async def test_loop_that_sends_to_a_full_outbox_lets_others_run() -> None:
    async with (
        listening() as listener,
        session(listener, outbox=1, overflow="drop_oldest") as one,
    ):
        meeting = asyncio.create_task(met(listener))
        for number in range(1_000_000):
            await one.send(f"{number}")
            if meeting.done():
                break
        peer = await meeting
        assert (await peer.read()).opcode == TEXT
        peer.abort()
