"""An open connection: every attribute and method, on a real socket."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    State,
)
from fullduplex.http import Headers

from .kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    TEXT,
    Peer,
    Received,
    close_frame,
    frame,
    listening,
    opened,
    turns,
    until,
)

Data = tuple[int, bool, bytes]


def seen(received: Received) -> Data:
    assert received.masked
    return received.opcode, received.fin, received.payload


async def heard(ws: ClientConnection, peer: Peer) -> None:
    """Wait until the library has read everything that the peer has sent."""
    peer.write(frame(PING, b"heard"))
    while (await peer.read_until(PONG)).payload != b"heard":
        pass


# Attributes


async def test_id_is_a_random_uuid_of_the_connection() -> None:
    async with opened() as (one, _), opened() as (two, _):
        assert isinstance(one.id, uuid.UUID)
        assert one.id.version == 4
        assert one.id == one.id
        assert one.id != two.id


async def test_addresses_are_those_of_the_socket_also_after_the_end() -> None:
    async with opened() as (ws, peer):
        local = peer.writer.get_extra_info("peername")
        remote = peer.writer.get_extra_info("sockname")
        assert (ws.local_address, ws.remote_address) == (local, remote)

        peer.close()
        await ws.wait_closed()

        assert (ws.local_address, ws.remote_address) == (local, remote)


async def test_open_and_closed_follow_the_state() -> None:
    async with opened(close_timeout=5) as (ws, peer):
        assert (ws.open, ws.closed, ws.state) == (True, False, State.OPEN)
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        assert (ws.open, ws.closed, ws.state) == (False, False, State.CLOSING)
        peer.write(close_frame())
        peer.close()
        await closing
        assert (ws.open, ws.closed, ws.state) == (False, True, State.CLOSED)


async def test_handshake_is_kept_in_attributes() -> None:
    async with opened("X-Server: one", "X-Server: two") as (ws, peer):
        assert ws.path == "/"
        assert isinstance(ws.request_headers, Headers)
        assert isinstance(ws.response_headers, Headers)
        assert ws.request_headers["Sec-WebSocket-Key"] == peer.header(
            "sec-websocket-key"
        )
        assert ws.response_headers.get_all("x-server") == ["one", "two"]
        assert ws.request is not None
        assert ws.request.headers is ws.request_headers
        assert ws.response is not None
        assert ws.response.status_code == 101
        assert ws.subprotocol is None


async def test_subprotocol_is_what_the_server_chose() -> None:
    async with opened(
        "Sec-WebSocket-Protocol: two", subprotocols=["one", "two"]
    ) as (ws, peer):
        assert ws.subprotocol == "two"
        assert peer.header("Sec-WebSocket-Protocol") == "one, two"


async def test_handshake_attributes_before_the_handshake_are_errors() -> None:
    ws = ClientConnection()

    assert ws.state is State.CONNECTING
    assert not ws.open
    assert not ws.closed
    assert ws.close_code is None
    assert ws.close_reason is None
    assert ws.local_address is None
    for name in ("path", "request_headers", "response_headers"):
        with pytest.raises(AttributeError):
            getattr(ws, name)


async def test_close_code_and_reason_are_none_until_tcp_has_ended() -> None:
    async with opened(close_timeout=5) as (ws, peer):
        assert (ws.close_code, ws.close_reason) == (None, None)
        peer.write(close_frame(4321, "so be it"))
        await peer.read_until(CLOSE)
        assert (ws.close_code, ws.close_reason) == (None, None)
        peer.close()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4321, "so be it")


# recv


async def test_recv_returns_text_as_str_and_binary_as_bytes() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "é"), frame(BINARY, b"\xff"), frame(TEXT), frame(BINARY))

        assert [await ws.recv() for _ in range(4)] == ["é", b"\xff", "", b""]


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 300_000, 1_000_000])
async def test_recv_of_any_size_returns_what_was_sent(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, data[:size]), frame(TEXT, "x" * size))

        assert await ws.recv() == data[:size]
        assert await ws.recv() == "x" * size


async def test_recv_of_fragments_joins_them_around_control_frames() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, b"\xe2\x82", fin=False),
            frame(PING, b"between"),
            frame(CONT, b"\xac", fin=False),
            frame(CONT, fin=False),
            frame(PONG, b"unsolicited"),
            frame(CONT, b"!"),
            frame(BINARY, b"a", fin=False),
            frame(CONT, b"b"),
        )

        assert await ws.recv() == "€!"
        assert await ws.recv() == b"ab"
        assert (await peer.read()).payload == b"between"


async def test_recv_byte_by_byte_returns_what_was_sent() -> None:
    async with opened() as (ws, peer):
        task = asyncio.ensure_future(ws.recv())
        for byte in frame(TEXT, "a" * 200):
            peer.write(bytes([byte]))
            await turns(2)

        assert await task == "a" * 200


async def test_recv_with_decode_returns_the_type_that_was_asked_for() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "é") * 3, frame(BINARY, "é".encode()) * 3)

        assert await ws.recv(decode=False) == "é".encode()
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=None) == "é"
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(False) == "é".encode()
        assert await ws.recv() == "é".encode()


async def test_recv_with_decode_of_fragments_joins_them() -> None:
    async with opened() as (ws, peer):
        text = frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9")
        binary = frame(BINARY, b"\xc3", fin=False) + frame(CONT, b"\xa9")
        peer.write(text, text, binary, binary)

        assert await ws.recv(decode=False) == "é".encode()
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=True) == "é"
        assert await ws.recv(decode=False) == "é".encode()


async def test_recv_with_decode_of_bytes_that_are_no_text_fails_with_1007() -> None:
    async with opened(close_timeout=0.5) as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        peer.write(frame(BINARY, b"\xff"))

        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv(decode=True)

        assert (await answer).code == 1007
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)


async def test_recv_by_two_tasks_refuses_the_second_and_serves_the_first() -> None:
    async with opened() as (ws, peer):
        first = asyncio.ensure_future(ws.recv())
        await turns(1)

        with pytest.raises(ConcurrencyError):
            await ws.recv()
        with pytest.raises(RuntimeError):
            await anext(ws)
        with pytest.raises(ConcurrencyError):
            await anext(ws.recv_streaming())

        peer.write(frame(TEXT, "x"))
        assert await first == "x"


async def test_recv_when_our_own_close_is_under_way_raises_once_it_is_done() -> None:
    async with opened() as (ws, peer):
        pending = asyncio.ensure_future(ws.recv())
        await turns(1)
        closing = asyncio.ensure_future(ws.close(1000, "done"))
        received = await peer.read()
        assert not pending.done()
        peer.write(frame(CLOSE, received.payload))
        await heard_nothing(pending)
        peer.close()
        await closing

        with pytest.raises(ConnectionClosedOK) as caught:
            await pending
        assert str(caught.value) == "sent 1000 (OK) done; then received 1000 (OK) done"


async def heard_nothing(task: asyncio.Future[Any]) -> None:
    """Let the peer's bytes arrive; the task must not notice."""
    await asyncio.sleep(0.02)
    assert not task.done()


async def test_recv_of_what_arrives_behind_our_close_frame_still_returns_it() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        peer.write(frame(TEXT, "one"), frame(TEXT, "two"), close_frame())
        peer.close()

        assert await ws.recv() == "one"
        await closing
        assert await ws.recv() == "two"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_recv_of_what_arrives_behind_the_peers_close_frame_is_discarded() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "one"), close_frame(), frame(TEXT, "two"))
        peer.close()

        assert await ws.recv() == "one"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_recv_after_the_end_raises_each_time() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(4000, "why"))
        peer.close()
        for _ in range(3):
            with pytest.raises(ConnectionClosedError) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "why")
            assert caught.value.rcvd_then_sent is True
            assert (caught.value.code, caught.value.reason) == (4000, "why")


@pytest.mark.parametrize("max_queue", [0, 1, 2, None, (4, 1), (None, 2), (3, None)])
async def test_recv_with_any_max_queue_returns_everything(max_queue: Any) -> None:
    async with opened(max_queue=max_queue) as (ws, peer):
        for number in range(200):
            peer.write(frame(TEXT, f"{number}"))

        assert [await ws.recv() for _ in range(200)] == [f"{n}" for n in range(200)]


# recv_streaming


async def test_recv_streaming_gives_a_part_for_each_frame() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, b"a\xe2\x82", fin=False),
            frame(CONT, fin=False),
            frame(CONT, b"\xacb", fin=False),
            frame(CONT),
            frame(TEXT, "next"),
        )

        assert [part async for part in ws.recv_streaming()] == ["a", "", "€b", ""]
        assert [part async for part in ws.recv_streaming()] == ["next"]


async def test_recv_streaming_gives_parts_before_the_message_is_complete() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(BINARY, b"first", fin=False))
        assert await anext(stream) == b"first"
        peer.write(frame(CONT, b"last"))
        assert await anext(stream) == b"last"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_recv_streaming_with_decode_converts_each_part() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False), frame(CONT, "b"))
        peer.write(frame(BINARY, b"a", fin=False), frame(CONT, b"b"))

        assert [part async for part in ws.recv_streaming(decode=False)] == [b"a", b"b"]
        assert [part async for part in ws.recv_streaming(decode=True)] == ["a", "b"]


async def test_recv_streaming_with_decode_of_a_split_character_waits_for_it() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(BINARY, b"\xc3", fin=False), frame(CONT, b"\xa9"))

        parts = [part async for part in ws.recv_streaming(decode=True)]

        assert parts == ["", "é"]


async def test_recv_streaming_when_cut_goes_on_where_it_was() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(TEXT, "a", fin=False))
        assert await anext(stream) == "a"
        task = asyncio.ensure_future(anext(stream))
        await turns(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.write(frame(CONT, "b", fin=False), frame(CONT, "c"))

        assert [part async for part in stream] == ["b", "c"]


async def test_recv_streaming_when_open_keeps_recv_out() -> None:
    async with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(TEXT, "a", fin=False), frame(CONT, "b"), frame(TEXT, "c"))
        assert await anext(stream) == "a"

        with pytest.raises(ConcurrencyError):
            await ws.recv()

        assert [part async for part in stream] == ["b"]
        assert await ws.recv() == "c"


async def test_recv_streaming_when_abandoned_discards_the_rest() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False))
        async for part in ws.recv_streaming():
            assert part == "a"
            break
        peer.write(frame(CONT, "b", fin=False), frame(CONT, "c"), frame(TEXT, "next"))

        assert await ws.recv() == "next"


async def test_recv_streaming_when_the_connection_ends_inside_raises() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(TEXT, "a", fin=False))
        peer.close()
        stream = ws.recv_streaming()
        assert await anext(stream) == "a"

        with pytest.raises(ConnectionClosedError):
            await anext(stream)


# Iteration


async def test_iteration_ends_when_the_connection_is_closed_well() -> None:
    for code in (1000, 1001, None):
        async with opened() as (ws, peer):
            peer.write(frame(TEXT, "a"), frame(BINARY, b"b"), close_frame(code))
            peer.close()

            assert [message async for message in ws] == ["a", b"b"]


async def test_iteration_raises_when_the_connection_ends_otherwise() -> None:
    for code in (1002, 1011, 3000, 4999):
        async with opened() as (ws, peer):
            peer.write(frame(TEXT, "a"), close_frame(code))
            peer.close()
            messages = []

            with pytest.raises(ConnectionClosedError):
                async for message in ws:
                    messages.append(message)
            assert messages == ["a"]


async def test_iteration_joins_fragments() -> None:
    async with opened() as (ws, peer):
        peer.write(
            frame(TEXT, "a", fin=False), frame(CONT, "b"), frame(TEXT, "c"),
            frame(BINARY, b"d", fin=False), frame(CONT, b"e"), close_frame(),
        )
        peer.close()

        assert [message async for message in ws] == ["ab", "c", b"de"]


# send


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("é", (TEXT, True, "é".encode())),
        ("", (TEXT, True, b"")),
        (b"\xff", (BINARY, True, b"\xff")),
        (b"", (BINARY, True, b"")),
        (bytearray(b"ab"), (BINARY, True, b"ab")),
        (memoryview(b"abcd"), (BINARY, True, b"abcd")),
        (memoryview(b"abcd")[::2], (BINARY, True, b"ac")),
        (memoryview(b"abcdefgh").cast("I"), (BINARY, True, b"abcdefgh")),
        ("x" * 126, (TEXT, True, b"x" * 126)),
        (bytes(65536), (BINARY, True, bytes(65536))),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.variants("plain")
async def test_send_sends_one_frame(message: Any, expected: Data) -> None:
    async with opened() as (ws, peer):
        await ws.send(message)

        assert seen(await peer.read()) == expected


@pytest.mark.parametrize(
    ("message", "text", "opcode"),
    [
        ("a", True, TEXT),
        ("a", False, BINARY),
        (b"a", True, TEXT),
        (b"a", False, BINARY),
        (b"a", None, BINARY),
    ],
)
@pytest.mark.variants("plain")
async def test_send_with_text_chooses_the_opcode(
    message: Any, text: bool | None, opcode: int
) -> None:
    async with opened() as (ws, peer):
        await ws.send(message, text=text)
        assert seen(await peer.read()) == (opcode, True, b"a")

        await ws.send([message, message], text=text)
        frames = [seen(await peer.read()) for _ in range(3)]
        assert frames == [
            (opcode, False, b"a"), (CONT, False, b"a"), (CONT, True, b"")
        ]


async def pieces(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize("source", [list, iter, pieces], ids=lambda f: f.__name__)
async def test_send_of_an_iterable_sends_a_fragment_for_each_item(
    source: Callable[..., Any],
) -> None:
    def make(*items: Any) -> Any:
        return pieces(*items) if source is pieces else source(items)

    async with opened() as (ws, peer):
        await ws.send(make("a", "", "b"))
        await ws.send(make(b"a", bytearray(b"b"), memoryview(b"c")))
        await ws.send(make())
        await ws.send("next")

        assert [seen(await peer.read()) for _ in range(9)] == [
            (TEXT, False, b"a"),
            (CONT, False, b""),
            (CONT, False, b"b"),
            (CONT, True, b""),
            (BINARY, False, b"a"),
            (CONT, False, b"b"),
            (CONT, False, b"c"),
            (CONT, True, b""),
            (TEXT, True, b"next"),
        ]


@pytest.mark.parametrize(
    "message",
    [{"a": 1}, {}, 3, None, 1.5, object(), [3], [None], [["nested"]], [{}]],
    ids=repr,
)
@pytest.mark.variants("plain")
async def test_send_of_another_type_is_a_type_error_and_sends_nothing(
    message: Any,
) -> None:
    async with opened() as (ws, peer):
        with pytest.raises(TypeError):
            await ws.send(message)
        with pytest.raises(TypeError):
            await ws.send(pieces(*message) if isinstance(message, list) else message)

        assert ws.open
        await ws.send({"key": 1}.keys())
        assert seen(await peer.read()) == (TEXT, False, b"key")


@pytest.mark.variants("plain")
async def test_send_of_a_lone_surrogate_is_an_error_and_sends_nothing() -> None:
    async with opened() as (ws, peer):
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        with pytest.raises(UnicodeEncodeError):
            await ws.send(["\ud800"])

        await ws.send("next")
        assert seen(await peer.read()) == (TEXT, True, b"next")


@pytest.mark.parametrize(
    "items", [("a", b"b"), (b"a", "b"), ("a", 3), ("a", None)], ids=repr
)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.variants("plain")
async def test_send_of_mixed_items_is_a_type_error_and_fails_with_1011(
    items: tuple[Any, ...], asynchronous: bool
) -> None:
    async with opened(close_timeout=0.5) as (ws, peer):
        with pytest.raises(TypeError):
            await ws.send(pieces(*items) if asynchronous else items)

        assert (await peer.answer_close()).code == 1011
        await ws.wait_closed()


@pytest.mark.variants("plain")
async def test_send_of_a_source_that_raises_fails_only_inside_a_message() -> None:
    def broken(*items: str) -> Iterator[str]:
        yield from items
        raise LookupError("no more")

    async def abroken(*items: str) -> AsyncIterator[str]:
        for item in items:
            yield item
        raise LookupError("no more")

    for source in (broken, abroken):
        async with opened(close_timeout=0.5) as (ws, peer):
            with pytest.raises(LookupError):
                await ws.send(source())
            assert ws.open

            with pytest.raises(LookupError):
                await ws.send(source("a"))
            assert (await peer.answer_close()).code == 1011


async def test_send_while_fragments_are_sent_waits_but_control_frames_do_not() -> None:
    async with opened() as (ws, peer):
        more = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            yield "a"
            await more.wait()
            yield "b"

        fragmented = asyncio.ensure_future(ws.send(slow()))
        assert seen(await peer.read()) == (TEXT, False, b"a")
        others = [
            asyncio.ensure_future(ws.send("c")),
            asyncio.ensure_future(ws.send(["d", "e"])),
        ]
        await turns(3)
        await ws.ping(b"ping")
        await ws.pong(b"pong")
        assert not any(other.done() for other in others)
        more.set()
        await asyncio.gather(fragmented, *others)

        assert [seen(await peer.read()) for _ in range(8)] == [
            (PING, True, b"ping"),
            (PONG, True, b"pong"),
            (CONT, False, b"b"),
            (CONT, True, b""),
            (TEXT, True, b"c"),
            (TEXT, False, b"d"),
            (CONT, False, b"e"),
            (CONT, True, b""),
        ]


async def test_send_by_many_tasks_sends_whole_messages() -> None:
    async with opened(small=True, write_limit=1000) as (ws, peer):

        async def talk(name: str) -> None:
            for number in range(20):
                await ws.send(f"{name} {number} " + "x" * 3000)

        task = asyncio.ensure_future(
            asyncio.wait([asyncio.ensure_future(talk(name)) for name in "abcde"])
        )
        arrived: dict[str, list[int]] = {}
        for _ in range(100):
            name, number, rest = (await peer.read()).text.split(" ")
            assert rest == "x" * 3000
            arrived.setdefault(name, []).append(int(number))
        await task

        assert arrived == {name: list(range(20)) for name in "abcde"}


async def test_send_above_write_limit_waits_until_the_peer_reads() -> None:
    async with opened(small=True, write_limit=2**16) as (ws, peer):
        # Fill both systems first.
        fillers = []
        while len(fillers) < 500:
            filler = asyncio.ensure_future(ws.send(bytes(50_000)))
            fillers.append(filler)
            await turns(2)
            if not filler.done():
                break
        last = asyncio.ensure_future(ws.send("last"))
        await asyncio.sleep(0.05)
        assert not last.done()
        # write_limit, and what one message adds.
        assert ws.transport.get_write_buffer_size() < 2**16 + 60_000

        for _ in fillers:
            assert len((await peer.read()).payload) == 50_000
        assert (await peer.read()).text == "last"
        await asyncio.gather(*fillers, last)


async def test_send_in_a_burst_keeps_order_and_loses_nothing() -> None:
    async with opened() as (ws, peer):
        for number in range(1000):
            await ws.send(f"{number}")
            if number % 100 == 50:
                await ws.ping(f"ping {number}")

        got = [await peer.read() for _ in range(1010)]
        assert [r.text for r in got if r.opcode == TEXT] == [f"{n}" for n in range(1000)]
        at = [n for n, r in enumerate(got) if r.opcode == PING]
        assert at == [51 + 101 * n for n in range(10)]


async def test_send_while_closing_raises_once_the_connection_is_closed() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        sending = asyncio.ensure_future(ws.send("late"))
        fragments = asyncio.ensure_future(ws.send(["late"]))
        pinging = asyncio.ensure_future(ws.ping())
        await heard_nothing(sending)
        peer.write(close_frame())
        peer.close()
        await closing

        for task in (sending, fragments, pinging):
            with pytest.raises(ConnectionClosedOK):
                await task


async def test_send_after_the_end_raises_at_once() -> None:
    async with opened() as (ws, peer):
        peer.write(close_frame(4000))
        peer.close()
        await ws.wait_closed()

        for operation in (
            ws.send("x"), ws.send(b"x"), ws.send(["x"]), ws.ping(), ws.pong()
        ):
            with pytest.raises(ConnectionClosedError):
                await operation


async def test_send_of_fragments_overtaken_by_close_raises_and_says_1011() -> None:
    async with opened() as (ws, peer):
        more = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            yield "a"
            await more.wait()
            yield "b"

        sending = asyncio.ensure_future(ws.send(slow()))
        await peer.read()
        closing = asyncio.ensure_future(ws.close())
        received = await peer.read()
        assert received.code == 1011
        more.set()
        peer.write(frame(CLOSE, received.payload))
        peer.close()
        await closing

        with pytest.raises(ConnectionClosedError):
            await sending


async def test_send_and_recv_with_compression_exchange_messages() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: permessage-deflate", compression="deflate"
    ) as (ws, peer):
        task = asyncio.ensure_future(peer.echo())
        assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
        for message in ("", "text" * 1000, b"", bytes(100_000)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["a" * 100, "b" * 100])
        assert await ws.recv() == "a" * 100 + "b" * 100
        await ws.close()
        await task


async def test_send_with_compression_sets_rsv1_on_the_first_frame_only() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: permessage-deflate", compression="deflate"
    ) as (ws, peer):
        await ws.send(["a", "b"])
        await ws.ping()
        frames = [await peer.read() for _ in range(4)]

        assert [received.rsv1 for received in frames] == [True, False, False, False]


# ping and pong


async def test_ping_result_is_the_round_trip_time_and_becomes_the_latency() -> None:
    async with opened() as (ws, peer):
        assert ws.latency == 0
        waiter = await ws.ping()
        received = await peer.read()
        assert received.opcode == PING
        assert len(received.payload) == 4
        peer.write(frame(PONG, received.payload))

        rtt = await waiter

        assert 0 < rtt < 1
        assert ws.latency == rtt


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ("é", "é".encode()),
        (b"\xff", b"\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        ("", b""),
        (b"x" * 125, b"x" * 125),
    ],
)
@pytest.mark.variants("plain")
async def test_ping_and_pong_send_their_data(data: Any, payload: bytes) -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping(data)
        await ws.pong(data)
        assert seen(await peer.read()) == (PING, True, payload)
        assert seen(await peer.read()) == (PONG, True, payload)
        peer.write(frame(PONG, payload))
        await waiter


@pytest.mark.variants("plain")
async def test_pong_without_data_is_empty() -> None:
    async with opened() as (ws, peer):
        await ws.pong()
        assert seen(await peer.read()) == (PONG, True, b"")


@pytest.mark.variants("plain")
async def test_ping_and_pong_refuse_bad_data_and_send_nothing() -> None:
    async with opened() as (ws, peer):
        for operation in (ws.ping(b"x" * 126), ws.pong("x" * 126), ws.ping("é" * 63)):
            with pytest.raises(ProtocolError):
                await operation
        for operation in (ws.ping(3), ws.pong(None), ws.pong([b"x"])):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await operation
        # What was refused is not pending.
        await ws.ping(b"x" * 125)
        assert seen(await peer.read()) == (PING, True, b"x" * 125)


async def test_ping_with_data_that_is_pending_is_refused() -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping("same")
        with pytest.raises(ConcurrencyError):
            await ws.ping(b"same")
        peer.write(frame(PONG, b"same"))
        await waiter
        await ws.ping("same")


async def test_pong_answers_its_ping_and_all_earlier_ones() -> None:
    async with opened() as (ws, peer):
        waiters = [await ws.ping(f"{number}") for number in range(3)]
        peer.write(frame(PONG, b"unknown"), frame(PONG, b"1"))
        await asyncio.gather(*waiters[:2])
        assert not asyncio.ensure_future(waiters[2]).done()
        peer.write(frame(PONG, b"2"))
        await waiters[2]


async def test_ping_result_when_cancelled_harms_nothing() -> None:
    async with opened() as (ws, peer):
        waiter = asyncio.ensure_future(await ws.ping("one"))
        waiter.cancel()
        other = await ws.ping("two")
        peer.write(frame(PONG, b"two"))

        assert await other > 0
        assert ws.open


async def test_ping_result_raises_when_the_connection_ends_first() -> None:
    async with opened() as (ws, peer):
        waiter = await ws.ping()
        # Nobody waits for this one, which must not be logged.
        await ws.ping()
        peer.close()

        with pytest.raises(ConnectionClosedError):
            await waiter


async def test_ping_from_the_peer_is_answered_with_its_data() -> None:
    async with opened() as (ws, peer):
        peer.write(frame(PING), frame(PING, b"x" * 125))

        assert seen(await peer.read()) == (PONG, True, b"")
        assert seen(await peer.read()) == (PONG, True, b"x" * 125)


async def test_ping_from_the_peer_while_we_are_closing_is_answered() -> None:
    async with opened() as (ws, peer):
        closing = asyncio.ensure_future(ws.close())
        await peer.read()
        peer.write(frame(PING, b"still there?"))
        assert seen(await peer.read()) == (PONG, True, b"still there?")
        peer.write(close_frame())
        peer.close()
        await closing


async def test_keepalive_pings_again_and_again_and_measures_latency() -> None:
    async with opened(ping_interval=0.02, ping_timeout=5) as (ws, peer):
        for _ in range(4):
            received = await peer.read()
            assert received.opcode == PING
            peer.write(frame(PONG, received.payload))
        await until(lambda: ws.latency > 0)
        assert ws.open


async def test_keepalive_with_interval_zero_pings_as_fast_as_pongs_return() -> None:
    async with opened(ping_interval=0, ping_timeout=5) as (_, peer):
        for _ in range(20):
            received = await peer.read()
            peer.write(frame(PONG, received.payload))


async def test_keepalive_without_timeout_never_gives_up() -> None:
    async with opened(ping_interval=0.02, ping_timeout=None) as (ws, peer):
        await peer.read_until(PING)
        await asyncio.sleep(0.2)

        assert ws.open
        peer.write(frame(TEXT, "late"))
        assert await ws.recv() == "late"


# close


@pytest.mark.parametrize(
    "code",
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999],
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


async def test_wait_closed_returns_for_whatever_end_and_cutting_it_is_harmless() -> None:
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


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
FAILURES: dict[str, tuple[bytes, int, type[BaseException]]] = {
    "opcode 3": (frame(3), 1002, ProtocolError),
    "opcode 11": (frame(11), 1002, ProtocolError),
    "masked": (frame(TEXT, "x", mask=b"abcd"), 1002, ProtocolError),
    "rsv1": (frame(TEXT, "x", rsv=0x40), 1002, ProtocolError),
    "rsv2": (frame(TEXT, "x", rsv=0x20), 1002, ProtocolError),
    "rsv3": (frame(TEXT, "x", rsv=0x10), 1002, ProtocolError),
    "rsv1 in a ping": (frame(PING, "x", rsv=0x40), 1002, ProtocolError),
    "fragmented ping": (frame(PING, fin=False), 1002, ProtocolError),
    "fragmented close": (frame(CLOSE, fin=False), 1002, ProtocolError),
    "long ping": (frame(PING, b"x" * 126), 1002, ProtocolError),
    "continuation first": (frame(CONT, "x"), 1002, ProtocolError),
    "new message inside": (
        frame(TEXT, "x", fin=False) + frame(TEXT, "y"), 1002, ProtocolError,
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
    "utf-8 in a fragment": (
        frame(TEXT, b"\xff", fin=False), 1007, UnicodeDecodeError
    ),
    "too big": (frame(TEXT, bytes(1001)), 1009, PayloadTooBig),
    "too big in all": (
        frame(TEXT, bytes(999), fin=False) + frame(CONT, b"xx"), 1009, PayloadTooBig
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
    async with opened(DEFLATE, compression="deflate", close_timeout=0.5) as (ws, peer):
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


# The context manager


async def test_context_manager_closes_with_1000_at_its_end() -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        async with ws as same:
            assert same is ws
        assert (await answer).code == 1000
        assert ws.closed


async def test_context_manager_closes_with_1011_when_the_body_raises() -> None:
    async with opened() as (ws, peer):
        answer = asyncio.ensure_future(peer.answer_close())
        with pytest.raises(LookupError):
            async with ws:
                raise LookupError
        assert (await answer).code == 1011
        assert ws.closed


async def test_context_manager_closes_with_1011_when_the_body_is_cancelled() -> None:
    async with opened() as (ws, peer):

        async def body() -> None:
            async with ws:
                await ws.recv()

        task = asyncio.ensure_future(body())
        await turns(3)
        task.cancel()
        assert (await peer.answer_close()).code == 1011
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ws.closed


# Logging


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(record.getMessage())


@pytest.fixture
def collector() -> Iterator[tuple[logging.Logger, Collector]]:
    logger = logging.getLogger("tests.connection")
    handler = Collector()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, handler
    logger.removeHandler(handler)


@pytest.mark.variants("plain")
async def test_debug_log_shows_frames_both_ways_with_the_connection(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    async with opened(logger=logger) as (ws, peer):
        peer.write(frame(TEXT, "hi"), frame(TEXT, "a", fin=False), frame(CONT, "b"))
        assert await ws.recv() == "hi"
        assert await ws.recv() == "ab"
        await ws.send("answer")
        answer = asyncio.ensure_future(peer.answer_close())
        await ws.close(1000, "bye")
        await answer

        assert all(record.websocket == ws for record in handler.records)  # type: ignore[attr-defined]
        identifiers = {record.websocket.id for record in handler.records}  # type: ignore[attr-defined]
        assert identifiers == {ws.id}
    for line in (
        "< TEXT 'hi' [2 bytes]",
        "< TEXT 'a' [1 byte, continued]",
        "< CONT 'b' [1 byte]",
        "> TEXT 'answer' [6 bytes]",
        "> CLOSE 1000 (OK) bye [5 bytes]",
        "< CLOSE 1000 (OK) bye [5 bytes]",
        "= connection is CLOSING",
        "= connection is CLOSED",
    ):
        assert any(entry.startswith(line.rpartition(" [")[0]) for entry in handler.lines), (
            line, handler.lines
        )


@pytest.mark.variants("plain")
async def test_debug_log_shows_the_handshake(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    async with opened("X-Answer: 42", logger=logger):
        pass
    assert "> GET / HTTP/1.1" in handler.lines
    assert any(line.startswith("> Sec-WebSocket-Key: ") for line in handler.lines)
    assert "< HTTP/1.1 101 Switching Protocols" in handler.lines
    assert "< X-Answer: 42" in handler.lines
    assert "= connection is OPEN" in handler.lines


@pytest.mark.variants("plain")
async def test_debug_log_never_shows_credentials(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    headers = {"Authorization": "Bearer secret-1", "Cookie": "session=secret-2"}
    async with opened(logger=logger, extra_headers=headers):
        pass
    assert not any("secret" in line for line in handler.lines)


@pytest.mark.variants("plain")
async def test_logger_adapter_of_the_user_sees_the_connection_in_extra(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector

    class Prefixed(logging.LoggerAdapter[logging.Logger]):
        def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
            websocket = kwargs["extra"]["websocket"]
            return f"[{websocket.id}] {msg}", kwargs

    async with opened(logger=Prefixed(logger, {})) as (ws, peer):
        peer.write(frame(TEXT, "hi"))
        await ws.recv()
        ws.logger.info("mine")

        assert all(line.startswith(f"[{ws.id}] ") for line in handler.lines)
        assert f"[{ws.id}] mine" in handler.lines


@pytest.mark.variants("plain")
async def test_nothing_is_logged_above_debug_for_ends_of_any_kind(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, handler = collector
    for data in (close_frame(4000), frame(3), b""):
        async with opened(logger=logger, close_timeout=0.1) as (ws, peer):
            peer.write(data)
            peer.close() if not data else None
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    assert not [r for r in handler.records if r.levelno > logging.DEBUG]


@pytest.mark.variants("plain")
async def test_debug_changes_nothing_but_the_log(
    collector: tuple[logging.Logger, Collector],
) -> None:
    logger, _ = collector
    async with opened(DEFLATE, compression="deflate", logger=logger) as (ws, peer):
        task = asyncio.ensure_future(peer.echo())
        for message in ("text", b"\xff" * 200_000, ""):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.close()
        await task


# Over TLS the same


@pytest.mark.variants("all")
async def test_tls_connection_exchanges_messages_of_all_sizes(
    server_tls: Any, client_tls: Any
) -> None:
    async with listening(ssl=server_tls) as listener:
        from fullduplex import connect

        async def serve() -> None:
            peer = await (await listener.accept()).handshake()
            await peer.echo()

        server = asyncio.ensure_future(serve())
        async with connect(
            listener.at("/", "localhost"), ssl=client_tls, compression=None
        ) as ws:
            for size in (0, 1, 125, 126, 16_384, 16_385, 65_536, 700_000):
                await ws.send("x" * size)
                assert await ws.recv() == "x" * size
            for number in range(200):
                await ws.send(f"{number}")
            assert [await ws.recv() for _ in range(200)] == [f"{n}" for n in range(200)]
        await server
        assert ws.close_code == 1000
