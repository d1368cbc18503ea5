"""Receiving, sending, pinging and closing, from one thread and from several."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fullduplex import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
    State,
)

from ..kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame
from ..kit.clock import Stopwatch, until
from .kit import job, opened

# Receiving


def test_recv_returns_messages_in_order() -> None:
    with opened(glued=frame(TEXT, "zero")) as (ws, peer):
        peer.write(frame(TEXT, "one"), frame(BINARY, b"two"))
        peer.write(frame(TEXT, "th", fin=False), frame(CONT, "ree"))

        assert [ws.recv() for _ in range(4)] == ["zero", "one", b"two", "three"]


def test_recv_when_nothing_comes_times_out_and_goes_on() -> None:
    with opened() as (ws, peer):
        for timeout in (0, -1, 0.05, 0.7):
            with Stopwatch() as watch, pytest.raises(TimeoutError):
                ws.recv(timeout)
            assert max(timeout, 0) <= watch.elapsed < timeout + 0.3 or timeout < 0
        peer.write(frame(TEXT, "late"))

        assert ws.recv(timeout=5) == "late"


def test_recv_when_it_polls_takes_what_is_there() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "there"))
        deadline = time.monotonic() + 5
        while True:
            try:
                assert ws.recv(timeout=0) == "there"
                break
            except TimeoutError:
                assert time.monotonic() < deadline


def test_recv_when_it_times_out_at_random_loses_nothing() -> None:
    rng = random.Random(5)
    count = 300
    with opened() as (ws, peer):

        def supply() -> None:
            for number in range(count):
                text = f"{number}".rjust(100_000 if number % 40 == 7 else 1)
                data = frame(TEXT, text)
                if number % 3 == 1:
                    data = frame(TEXT, text[:1], fin=False) + frame(CONT, text[1:])
                at = rng.randrange(len(data))
                peer.write(data[:at])
                time.sleep(rng.choice([0, 0, 0.001]))
                peer.write(data[at:])

        supplier = job(supply)
        received: list[int] = []
        timeouts = 0
        while len(received) < count:
            try:
                received.append(int(ws.recv(rng.choice([-1, 0, 1e-5, 1e-3, None]))))
            except TimeoutError:
                timeouts += 1
        supplier.result()

    assert received == list(range(count))
    assert timeouts


def test_recv_decodes_as_asked() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "é"), frame(BINARY, "é".encode()))

        assert ws.recv(decode=False) == "é".encode()
        assert ws.recv(decode=True) == "é"


def test_recv_when_another_thread_receives_is_refused() -> None:
    with opened() as (ws, peer):
        waiting = job(ws.recv)
        until(lambda: ws._session.recv_blockers)

        with pytest.raises(ConcurrencyError):
            ws.recv()
        with pytest.raises(ConcurrencyError):
            next(ws.recv_streaming())

        peer.write(frame(TEXT, "for the first"))
        assert waiting.result() == "for the first"


def test_iteration_ends_with_a_good_close() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "a"), frame(TEXT, "b"), close_frame())
        ending = job(peer.end_after_close)

        assert list(ws) == ["a", "b"]
        ending.result()


def test_iteration_raises_after_a_bad_close() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "a"), close_frame(1011))
        ending = job(peer.end_after_close)

        assert next(ws) == "a"
        with pytest.raises(ConnectionClosedError, match="1011"):
            next(ws)
        ending.result()


def test_streaming_gives_fragments_as_they_arrive() -> None:
    with opened() as (ws, peer):
        stream = ws.recv_streaming()
        peer.write(frame(TEXT, "one", fin=False))
        assert next(stream) == "one"
        with pytest.raises(ConcurrencyError):
            ws.recv()
        peer.write(frame(CONT, "two"), frame(TEXT, "next"))

        assert list(stream) == ["two"]
        assert ws.recv() == "next"


@pytest.mark.parametrize("how", ["close", "drop", "with"])
def test_streaming_when_abandoned_discards_the_rest(how: str) -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "one", fin=False))
        stream: Any = ws.recv_streaming(timeout=5)
        if how == "with":
            with stream:
                assert next(stream) == "one"
        else:
            assert next(stream) == "one"
        if how == "close":
            stream.close()
        del stream
        peer.write(frame(CONT, "two"), frame(TEXT, "next"))

        assert ws.recv() == "next"


def test_streaming_when_nothing_comes_times_out_and_goes_on() -> None:
    with opened() as (ws, peer):
        stream = ws.recv_streaming(timeout=0.05)
        with pytest.raises(TimeoutError):
            next(stream)
        peer.write(frame(TEXT, "late"))
        until(lambda: ws.latency == 0)

        assert "".join(iter_patiently(stream)) == "late"


def iter_patiently(stream: Any) -> Iterator[str]:
    while True:
        try:
            yield next(stream)
        except TimeoutError:
            continue
        except StopIteration:
            return


# Sending


def test_send_sends_text_binary_and_fragments() -> None:
    with opened() as (ws, peer):
        ws.send("text")
        ws.send(b"binary")
        ws.send(bytearray(b"as text"), text=True)
        ws.send("as binary", text=False)
        ws.send(["frag", "ments"])
        ws.send([])

        got = [peer.read() for _ in range(7)]
    assert [(item.opcode, item.payload, item.fin) for item in got] == [
        (TEXT, b"text", True),
        (BINARY, b"binary", True),
        (TEXT, b"as text", True),
        (BINARY, b"as binary", True),
        (TEXT, b"frag", False),
        (CONT, b"ments", False),
        (CONT, b"", True),
    ]
    assert all(item.masked for item in got)


@pytest.mark.parametrize("message", [{"a": 1}, 1, None])
def test_send_when_the_type_is_wrong_changes_nothing(message: Any) -> None:
    with opened() as (ws, peer):
        with pytest.raises(TypeError):
            ws.send(message)
        with pytest.raises(UnicodeEncodeError):
            ws.send("\ud800")
        ws.send("fine")

        assert peer.read().text == "fine"


def test_send_when_an_iterable_fails_ends_with_1011() -> None:
    def pieces() -> Iterator[str]:
        yield "first"
        raise LookupError

    with opened() as (ws, peer):
        with pytest.raises(LookupError):
            ws.send(pieces())
        ending = job(peer.answer_close)
        with pytest.raises(ConnectionClosedError):
            ws.send("more")

        assert ending.result().code == 1011


def test_send_within_its_own_iterable_is_refused() -> None:
    with opened() as (ws, peer):

        def pieces() -> Iterator[str]:
            yield "first"
            ws.send("inside")

        with pytest.raises(ConcurrencyError):
            ws.send(pieces())
        assert job(peer.answer_close).result().code == 1011


def test_send_from_many_threads_keeps_frames_whole() -> None:
    with opened(small=True) as (ws, peer):
        bodies = [f"{number}:".ljust(30_000, "x") for number in range(40)]
        senders = [job(ws.send, body) for body in bodies]
        got = [peer.read().text for _ in bodies]
        for sender in senders:
            sender.result()

    assert sorted(got) == sorted(bodies)


def test_send_while_another_thread_sends_fragments_is_refused() -> None:
    go_on = threading.Event()
    with opened() as (ws, peer):

        def pieces() -> Iterator[str]:
            yield "first"
            go_on.wait(5)
            yield "last"

        fragmented = job(ws.send, pieces())
        assert peer.read().text == "first"
        for timeout in (None, 0, 5):
            with pytest.raises(ConcurrencyError, match="another thread"):
                ws.send("other", timeout=timeout)
        pinging = job(ws.ping)
        assert peer.read().opcode == PING
        go_on.set()
        fragmented.result()
        pinging.result()
        ws.send("other")
        got = [peer.read() for _ in range(3)]

    assert [item.text for item in got] == ["last", "", "other"]


def test_send_when_it_times_out_still_goes_out_whole() -> None:
    with opened(small=True) as (ws, peer):
        body = b"x" * 1_000_000
        with pytest.raises(TimeoutError):
            ws.send(body, timeout=0.1)

        # Nobody is inside a call now.
        assert peer.read().payload == body
        ws.send("after")
        assert peer.read().text == "after"


def test_threads_send_and_receive_at_the_same_time() -> None:
    count = 2000
    with opened() as (ws, peer):
        echoing = job(peer.echo)

        def send_all() -> None:
            for number in range(count):
                ws.send(f"{number}")

        sender = job(send_all)

        assert [ws.recv() for _ in range(count)] == [f"{n}" for n in range(count)]
        sender.result()
        ws.close()
        echoing.result()


def test_large_messages_both_ways_at_once_do_not_lock_up() -> None:
    body = b"x" * 3_000_000
    with opened(max_size=None, small=True) as (ws, peer):
        reading = job(lambda: peer.read().payload)
        writing = job(peer.write, frame(BINARY, body))
        ws.send(body)

        assert reading.result() == body
        assert ws.recv() == body
        writing.result()


# Pings


def test_ping_returns_an_event_that_carries_the_latency() -> None:
    with opened() as (ws, peer):
        first = ws.ping("first")
        second = ws.ping(b"second")
        assert isinstance(first, threading.Event)
        assert not first.is_set()
        assert [peer.read().payload for _ in range(2)] == [b"first", b"second"]
        peer.write(frame(PONG, "second"))

        # Nobody is inside a call: the housekeeper reads.
        assert second.wait(5)
        assert first.wait(0)
        assert second.latency is not None
        assert 0 < second.latency < 0.5
        assert ws.latency == second.latency


def test_ping_when_repeated_or_too_long_is_refused() -> None:
    with opened() as (ws, _peer):
        ws.ping("same")
        with pytest.raises(ConcurrencyError):
            ws.ping("same")
        with pytest.raises(ProtocolError):
            ws.ping(b"x" * 126)
        with pytest.raises(TypeError):
            ws.pong(None)  # type: ignore[arg-type]


def test_ping_when_the_connection_ends_is_set_only_if_asked() -> None:
    with opened() as (ws, peer):
        silent, acked = ws.ping(), ws.ping(ack_on_close=True)
        peer.close()

        assert acked.wait(5)
        assert acked.latency is None
        assert not silent.is_set()
        assert ws.state is State.CLOSED


def test_pings_of_the_peer_are_answered_while_nobody_calls() -> None:
    with opened() as (_ws, peer):
        for number in range(3):
            peer.write(frame(PING, f"{number}"))
            with Stopwatch() as watch:
                assert peer.read().payload == f"{number}".encode()
            assert watch.elapsed < 1.3


def test_pings_of_the_peer_are_answered_while_a_call_waits() -> None:
    with opened() as (ws, peer):
        waiting = job(ws.recv)
        for number in range(3):
            peer.write(frame(PING, f"{number}"))
            with Stopwatch() as watch:
                assert peer.read().opcode == PONG
            assert watch.elapsed < 0.2
        peer.write(frame(TEXT, "done"))
        waiting.result()


# Closing


def test_close_exchanges_close_frames() -> None:
    with opened() as (ws, peer):
        ending = job(peer.answer_close)
        ws.close(3000, "bye")

        got = ending.result()
        assert (got.code, got.reason) == (3000, "bye")
        assert (ws.close_code, ws.close_reason) == (3000, "bye")
        assert ws.closed
        with pytest.raises(ConnectionClosedError):
            ws.recv()
        with pytest.raises(ConnectionClosedError):
            ws.send("late")
        ws.close()


def test_close_when_the_code_is_wrong_changes_nothing() -> None:
    with opened() as (ws, peer):
        with pytest.raises(ProtocolError):
            ws.close(1006)
        assert ws.open
        ending = job(peer.answer_close)
        ws.close(None)
        assert ending.result().code is None


@pytest.mark.parametrize("times", [1, 3])
def test_close_releases_all_threads(times: int) -> None:
    with opened() as (ws, peer):
        receiving = job(ws.recv)
        waiting = [job(ws.wait_closed) for _ in range(3)]
        until(lambda: ws._session.recv_blockers)
        closing = [job(ws.close) for _ in range(times)]
        job(peer.answer_close).result()

        with pytest.raises(ConnectionClosedOK):
            receiving.result()
        assert all(item.result() for item in waiting)
        for item in closing:
            item.result()


def test_close_when_the_peer_never_answers_takes_close_timeout() -> None:
    with opened(close_timeout=0.4) as (ws, _):
        receiving = job(ws.recv)
        until(lambda: ws._session.recv_blockers)
        with Stopwatch() as watch:
            ws.close()
        assert 0.35 < watch.elapsed < 0.8
        with pytest.raises(ConnectionClosedError):
            receiving.result(1)


def test_wait_closed_tells_whether_it_is() -> None:
    with opened() as (ws, peer):
        with Stopwatch() as watch:
            assert not ws.wait_closed(0.1)
        assert watch.elapsed < 0.5
        assert not ws.wait_closed(0)
        waiting = job(ws.wait_closed)
        peer.close()
        assert waiting.result()
        assert ws.wait_closed(0)
        assert ws.close_code == 1006


@pytest.mark.parametrize("fails", [False, True])
def test_block_closes_with_1011_if_it_raises(fails: bool) -> None:
    with opened() as (ws, peer):
        ending = job(peer.answer_close)
        try:
            with ws:
                if fails:
                    raise LookupError
        except LookupError:
            pass
        assert ending.result().code == (1011 if fails else 1000)


def test_close_of_the_peer_is_answered_while_nobody_calls() -> None:
    with opened() as (ws, peer):
        peer.write(close_frame(1001))
        with Stopwatch() as watch:
            assert peer.read_until(CLOSE).code == 1001
        peer.close()
        until(lambda: ws.closed)
    assert watch.elapsed < 1.5


def test_replies_given_at_once_go_out_before_the_answer_to_a_close() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "one"), frame(TEXT, "two"), close_frame())
        for text in ("one", "two"):
            assert ws.recv() == text
            ws.send(text)
        with pytest.raises(ConnectionClosedOK):
            job(peer.end_after_close)
            ws.recv()


def test_messages_before_a_fault_are_delivered_first() -> None:
    with opened() as (ws, peer):
        peer.write(frame(TEXT, "intact"), frame(3, b"reserved"))
        assert ws.recv() == "intact"
        ws.send("reply")

        def end() -> tuple[str, int | None]:
            got = peer.read().text, peer.read_until(CLOSE).code
            peer.close()
            return got

        ending = job(end)
        with pytest.raises(ConnectionClosedError, match="1002"):
            ws.recv()
        assert ending.result() == ("reply", 1002)
