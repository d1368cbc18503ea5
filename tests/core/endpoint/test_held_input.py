"""Input behind the marks: held as bytes, parsed when messages were taken."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.hot import PAUSED
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.close import (
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
)

from ...kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame
from ...kit.pair import (
    Sink,
    deliver,
    finish,
    lose,
    make_session,
    read,
    sent,
    start,
    step,
)


def queue_of(high: int | None, low: int = 0, **kwds: Any) -> Endpoint:
    return make_session(queue_high=high, queue_low=low, **kwds)


def texts(count: int, begin: int = 0) -> bytes:
    return b"".join(frame(TEXT, str(number)) for number in range(begin, begin + count))


def take_all(session: Endpoint) -> list[Any]:
    """Receive until nothing is there, or the connection has ended."""
    taken: list[Any] = []
    while True:
        operation = operations.recv(session)
        try:
            message, waiter = step(operation)
        except (ConnectionClosedOK, ConnectionClosedError) as exc:
            return [*taken, type(exc)]
        if waiter is not None:
            operation.close()
            return taken
        taken.append(message)


def test_a_read_stops_one_message_above_the_mark() -> None:
    session = queue_of(4)
    deliver(session, texts(100))
    assert len(session.messages) == 5
    assert session.holder.holding
    assert session.reading_paused
    assert session.recv_blockers == PAUSED


def test_messages_held_come_out_without_another_read() -> None:
    session = queue_of(4, 1)
    deliver(session, texts(100))
    for number in range(100):
        assert finish(operations.recv(session)) == str(number)
        assert len(session.messages) <= 5
        assert session.reading_paused == (number < 98)
    assert not session.holder.holding


def test_a_receiver_that_waits_is_served_and_goes_on_by_itself() -> None:
    session = queue_of(1)
    receiving = operations.recv(session)
    start(receiving)
    assert read(session, texts(9)) is not None
    assert finish(receiving) == "0"
    session.after_delivery()
    assert take_all(session) == [str(number) for number in range(1, 9)]
    assert not session.reading_paused


def test_taking_without_an_operation_parses_on_too() -> None:
    session = queue_of(2, 1)
    deliver(session, texts(20))
    taken = []
    while True:
        message = session.messages.take()
        if message is None:
            message = session.take_held()
        if message is None:
            break
        taken.append(message)
    assert taken == [str(number) for number in range(20)]
    assert not session.reading_paused


@pytest.mark.parametrize("slow", ["waiting", "fragments"])
def test_shortcut_leaves_alone_what_only_recv_may_do(slow: str) -> None:
    session = queue_of(0)
    if slow == "waiting":
        operation = operations.recv(session)
        start(operation)
    else:
        deliver(session, frame(TEXT, "a", fin=False) + frame(CONT, "b"))
    assert session.take_held() is None


def test_no_waiting_begins_while_bytes_are_held() -> None:
    session = queue_of(0)
    read(session, texts(3))
    session.messages.popleft()
    assert session.holder.holding
    assert not session.begin_wait(object())  # type: ignore[arg-type]
    assert finish(operations.recv(session)) == "1"


def test_reader_that_took_everything_and_left_does_not_stop_reading() -> None:
    session = queue_of(2)
    read(session, texts(5))
    for _ in range(3):
        session.messages.popleft()
    session.after_delivery()
    assert len(session.messages) == 2
    assert not session.holder.holding
    assert not session.reading_paused


def test_bytes_count_as_well_and_one_message_may_be_too_many() -> None:
    session = queue_of(100, unread_high=1000)
    deliver(session, frame(BINARY, bytes(600)) * 10)
    assert len(session.messages) == 2
    assert take_all(session) == [bytes(600)] * 10


def test_compressed_read_inflates_no_further_than_the_marks() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    data = b""
    for _ in range(64):
        piece = deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        data += frame(BINARY, piece[:-4], rsv=4)
    session = make_session(extensions=[PerMessageDeflate(False, False, 15, 15)])
    deliver(session, data)
    assert session.unread_size() == 2**21  # a mark of 1 MiB, and one message
    assert session.holder.held < len(data)
    assert take_all(session) == [bytes(2**20)] * 64


def test_fragments_that_are_compressed_stop_at_the_mark() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    data = b""
    for number in range(64):
        piece = deflate.compress(bytes(2**18)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        last = number == 63
        data += frame(
            CONT if number else BINARY,
            piece[:-4] if last else piece,
            fin=last,
            rsv=0 if number else 4,
        )
    session = make_session(
        extensions=[PerMessageDeflate(False, False, 15, 15)], max_size=2**24
    )
    deliver(session, data)
    assert session.unread_size() == 5 * 2**18
    assert take_all(session) == [bytes(2**24)]


# Control frames


def test_ping_behind_the_mark_is_answered_when_messages_were_taken() -> None:
    session = queue_of(2)
    deliver(session, texts(3) + frame(PING, b"p") + texts(1))
    assert sent(session) == []
    session.needs_sync = False
    for _ in range(3):
        finish(operations.recv(session))
    assert session.needs_sync
    assert [(seen.opcode, seen.payload) for seen in sent(session)] == [(PONG, b"p")]


def test_pong_behind_the_mark_ends_its_ping() -> None:
    session = queue_of(0)
    sink = Sink()
    finish(operations.ping(session, b"x", sink, 0))
    deliver(session, texts(2) + frame(PONG, b"x"), 3)
    assert sink.rtt is None
    take_all(session)
    assert sink.rtt == 3


def test_held_bytes_are_no_sign_of_life_after_a_later_ping() -> None:
    session = queue_of(4, 1, ping_interval=20, ping_timeout=30)
    deliver(session, texts(20), 1)
    session.timer_expired(20)
    assert [seen.opcode for seen in sent(session)] == [PING]
    take_all(session)
    assert not session.reading_paused
    session.timer_expired(500)
    session.timer_expired(530)
    assert session.protocol.state is State.CLOSING
    assert isinstance(session.protocol.fault, TimeoutError)


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_close_frame_behind_the_mark_is_found_when_we_close(taken: int) -> None:
    session = queue_of(4, 1)
    deliver(session, texts(20) + frame(PING, b"p") + close_frame(1001))
    for _ in range(taken):
        finish(operations.recv(session))
    session.begin_close(1000, "", 5)
    assert session.protocol.close_rcvd is not None
    assert session.protocol.close_rcvd.code == 1001
    assert not session.reading_paused
    session.after_delivery()
    lose(session)
    expected: list[Any] = [str(number) for number in range(taken, 20)]
    assert take_all(session) == [*expected, ConnectionClosedOK]


def test_close_frame_that_comes_after_what_is_held_is_found_too() -> None:
    session = queue_of(1)
    whole = frame(TEXT, "the last") + close_frame(1000)
    deliver(session, texts(5) + whole[:4])
    session.begin_close(1000, "", 5)
    assert session.protocol.close_rcvd is None
    deliver(session, whole[4:] + texts(5))
    assert session.protocol.close_rcvd is not None
    lose(session)
    # What was only begun then is not kept, as nothing that comes later is.
    assert take_all(session) == ["0", "1", "2", "3", "4", ConnectionClosedOK]


def test_messages_that_come_while_closing_stay_within_the_marks_and_the_read() -> None:
    session = queue_of(2)
    session.begin_close(1000, "", 5)
    for begin in range(0, 1000, 10):
        deliver(session, texts(10, begin))
    assert len(session.messages) == 3
    assert take_all(session) == [str(number) for number in range(10)]


def test_close_frame_reached_by_taking_is_answered_after_the_grace() -> None:
    session = queue_of(4, 1)
    deliver(session, texts(8) + close_frame(1000), 1)
    for _ in range(4):
        finish(operations.recv(session))
    assert sent(session) == []
    assert session.needs_sync
    for now in (2, 3):
        session.timer_expired(now)
    assert [seen.opcode for seen in sent(session)] == [CLOSE]
    assert take_all(session) == ["4", "5", "6", "7"]


def test_close_frame_behind_the_last_message_is_answered_when_that_is_taken() -> None:
    session = queue_of(2)
    deliver(session, texts(3) + close_frame(1000))
    assert take_all(session) == ["0", "1", "2"]
    assert [seen.opcode for seen in sent(session)] == [CLOSE]


# Faults and ends


def test_fault_behind_the_mark_comes_behind_the_messages() -> None:
    session = queue_of(2)
    deliver(session, texts(6) + b"\x83\x00")
    assert take_all(session) == [str(number) for number in range(6)]
    assert [seen.close[0] for seen in sent(session)] == [1002]


@pytest.mark.parametrize("close", [None, 1000, 1011])
@pytest.mark.parametrize("end", ["eof", "lost", "both"])
def test_end_of_tcp_behind_held_bytes_comes_behind_the_messages(
    end: str, close: int | None
) -> None:
    session = queue_of(2)
    deliver(session, texts(9) + (b"" if close is None else close_frame(close)))
    if end != "lost":
        session.eof_received(3)
        assert session.closing_tcp
    if end != "eof":
        lose(session)
        assert session.protocol.close_code == (close or 1006)
        assert not session.exhausted
    assert [finish(operations.recv(session)) for _ in range(9)] == list("012345678")
    if end == "eof":
        lose(session)
    kind = ConnectionClosedOK if close == 1000 and end != "lost" else None
    with pytest.raises(kind or ConnectionClosedError):
        finish(operations.recv(session))


def test_output_that_fails_loses_no_message_that_was_read() -> None:
    session = queue_of(2)
    deliver(session, texts(9))
    session.output_failed(BrokenPipeError(), 3)
    session.tcp_close.drain_started()
    deliver(session, texts(9, 9) + close_frame(1001))
    session.tcp_close.drain_ended()
    lose(session)
    assert session.protocol.close_code == 1001
    assert take_all(session)[:9] == list("012345678")


def test_failure_of_ours_loses_no_message_that_was_read() -> None:
    session = queue_of(2, ping_interval=20, ping_timeout=20)
    deliver(session, texts(9))
    session.protocol.fail(TimeoutError("too late"), 1011, "")
    assert [finish(operations.recv(session)) for _ in range(9)] == list("012345678")


def test_failure_inside_held_bytes_while_closing_is_the_end_of_the_messages() -> None:
    session = queue_of(1)
    deliver(session, texts(3) + frame(TEXT, b"\xff") + close_frame(1000))
    session.begin_close(1000, "", 0)
    lose(session)
    assert take_all(session)[:3] == ["0", "1", "2"]


def test_stream_that_is_abandoned_is_discarded_in_what_is_held() -> None:
    session = queue_of(2)
    parts = frame(TEXT, "a", fin=False) + frame(CONT, "b", fin=False) * 20
    deliver(session, parts + frame(CONT, "c") + texts(4))
    assert finish(operations.recv_fragment(session, first=True)).data == "a"
    session.abandon_stream()
    assert take_all(session) == ["0", "1", "2", "3"]
    assert not session.reading_paused


def test_fragments_of_a_stream_stay_in_order_behind_the_mark() -> None:
    session = queue_of(1)
    parts = b"".join(frame(CONT, str(number), fin=False) for number in range(9))
    deliver(session, frame(TEXT, "a", fin=False) + parts + frame(CONT) + texts(1))
    data = []
    for first in itertools.chain([True], itertools.repeat(False)):
        part = finish(operations.recv_fragment(session, first=first))
        data.append(part.data)
        if part.fin:
            break
    assert "".join(map(str, data)) == "a012345678"
    assert take_all(session) == ["0"]


def test_peer_that_left_is_not_given_up_on_while_held_messages_are_taken() -> None:
    session = queue_of(4, 1, close_timeout=10)
    deliver(session, texts(100))
    session.peer_left(True, 1)
    for _ in range(4):
        finish(operations.recv(session))
    assert len(session.messages) == 5  # as many as before
    session.timer_expired(11)
    assert not session.must_abort
    session.timer_expired(21)
    assert session.must_abort
    lose(session)
    assert len(take_all(session)) == 97


@given(
    st.lists(st.sampled_from(["text", "ping", "parts", "big"]), max_size=30),
    st.lists(st.integers(1, 4000), max_size=20),
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
    st.integers(0, 5),
    st.sampled_from(["eof", "close", "lost", "nothing"]),
)
def test_everything_arrives_in_order_and_no_moment_holds_more_than_the_marks(
    kinds: list[str], sizes: list[int], takes: list[int], high: int, end: str
) -> None:
    session = queue_of(high, high // 4, unread_high=1000)
    expected: list[Any] = []
    data = b""
    for number, kind in enumerate(kinds):
        if kind == "ping":
            data += frame(PING, str(number).encode())
        elif kind == "parts":
            expected.append(f"{number}..")
            data += frame(TEXT, str(number), fin=False) + frame(CONT, ".", fin=False)
            data += frame(CONT, ".")
        else:
            expected.append(f"{number}" * (1 if kind == "text" else 200))
            data += frame(TEXT, expected[-1])

    taken: list[Any] = []
    turns = itertools.cycle(takes)

    def take(count: int) -> None:
        for _ in range(count):
            operation = operations.recv(session)
            message, waiter = step(operation)
            if waiter is not None:
                operation.close()
                return
            taken.append(message)

    pieces = iter(sizes)
    while data:
        if session.reading_paused:
            take(max(next(turns), 1))
            continue
        size = next(pieces, 4000)
        deliver(session, data[:size])
        data = data[size:]
        assert len(session.messages) <= high + 1
        assert session.unread_size() <= 1000 + 400
        take(next(turns))
    if end == "eof":
        session.eof_received(1)
    elif end == "close":
        session.begin_close(1000, "", 1)
    elif end == "lost":
        lose(session)
    assert len(session.messages) <= high + 1
    rest = take_all(session)
    assert taken + [item for item in rest if isinstance(item, str)] == expected
