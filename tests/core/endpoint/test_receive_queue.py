"""Messages that wait unread: marks in number and in bytes, pausing, dropping."""

from __future__ import annotations

from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.hot import PAUSED
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.close import ConnectionClosedOK, State

from ...kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame
from ...kit.pair import (
    deliver,
    finish,
    lose,
    make_session,
    read,
    received,
    rest_of,
    sent,
    start,
)


def queue_of(high: int | None, low: int = 0, **kwds: Any) -> Any:
    return make_session(queue_high=high, queue_low=low, **kwds)


def test_reading_pauses_above_the_high_mark_and_not_at_it() -> None:
    session = queue_of(4)
    deliver(session, frame(TEXT, "a") * 4)
    assert not session.reading_paused
    assert not session.needs_sync

    deliver(session, frame(TEXT, "a"))

    assert session.reading_paused
    assert session.needs_sync
    assert session.recv_blockers == PAUSED


def test_reading_resumes_at_the_low_mark() -> None:
    session = queue_of(4, 2)
    deliver(session, frame(TEXT, "a") * 6)
    session.needs_sync = False
    for left in (5, 4, 3):
        finish(operations.recv(session))
        assert session.reading_paused, left
    assert not session.needs_sync

    finish(operations.recv(session))

    assert not session.reading_paused
    assert session.needs_sync
    assert session.recv_blockers == 0


def test_fast_path_resumes_reading_with_taken() -> None:
    session = queue_of(4, 2)
    deliver(session, frame(TEXT, "a") * 5)
    for _ in range(3):
        session.messages.popleft()
        session.message_taken()
    assert not session.reading_paused


def test_one_read_may_overshoot_and_nothing_is_lost() -> None:
    session = queue_of(4, 1)
    deliver(session, b"".join(frame(TEXT, str(i)) for i in range(100)))
    assert session.reading_paused
    assert received(session) == [str(i) for i in range(100)]
    assert not session.reading_paused


def test_high_mark_of_zero_lets_one_read_wait() -> None:
    session = queue_of(0)
    deliver(session, frame(TEXT, "a"))
    assert session.reading_paused
    finish(operations.recv(session))
    assert not session.reading_paused


def test_high_mark_of_none_never_pauses() -> None:
    session = queue_of(None, unread_high=None)
    deliver(session, frame(BINARY, bytes(1000)) * 10_000)
    assert not session.reading_paused


def test_message_that_a_reader_takes_at_once_does_not_count() -> None:
    session = queue_of(1)
    receiving = operations.recv(session)
    start(receiving)
    read(session, frame(TEXT, "a") * 2)
    finish(receiving)
    session.after_delivery()
    assert not session.reading_paused


def test_fragments_count_like_messages() -> None:
    session = queue_of(4)
    deliver(session, frame(TEXT, "a", fin=False) + frame(CONT, "b", fin=False) * 4)
    assert session.reading_paused
    start(operations.recv(session))
    assert not session.reading_paused


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("fragmented", [False, True])
def test_bytes_above_their_mark_pause_reading_too(
    deflate: bool, fragmented: bool
) -> None:
    extensions = [PerMessageDeflate(True, True, 15, 15)] if deflate else []
    session = queue_of(100, 25, unread_high=1000, extensions=extensions)
    if fragmented:
        data = frame(BINARY, bytes(100), fin=False) + frame(CONT, bytes(100)) * 1
    else:
        data = frame(BINARY, bytes(200))
    for _ in range(5):
        deliver(session, data)
    assert not session.reading_paused

    deliver(session, data)
    assert session.reading_paused

    for _ in range(2):
        finish(operations.recv(session))
    assert session.reading_paused
    finish(operations.recv(session))  # half of the mark is left
    finish(operations.recv(session))
    assert not session.reading_paused


def test_bytes_that_were_taken_do_not_count() -> None:
    session = queue_of(100, unread_high=1000)
    for _ in range(50):
        deliver(session, frame(BINARY, bytes(400)) * 2)
        assert not session.reading_paused
        assert finish(operations.recv(session)) == bytes(400)
        assert finish(operations.recv(session)) == bytes(400)


def test_bytes_that_were_taken_do_not_count_though_the_queue_is_never_empty() -> None:
    session = queue_of(100, unread_high=1000)
    deliver(session, frame(BINARY, bytes(400)))
    for _ in range(50):
        deliver(session, frame(BINARY, bytes(400)))
        assert not session.reading_paused
        finish(operations.recv(session))


def test_pings_are_answered_while_the_queue_has_room() -> None:
    session = queue_of(4)
    deliver(session, frame(TEXT, "a") * 4 + frame(PING, b"p"))
    assert [seen.opcode for seen in sent(session)] == [PONG]


# Closing with a full queue


def test_close_with_a_full_queue_reads_on_and_finds_the_close_frame() -> None:
    session = queue_of(4)
    deliver(session, frame(TEXT, "a") * 10)
    assert session.reading_paused
    closing = operations.close(session, 1000, "", 0)
    start(closing)
    assert not session.reading_paused

    for _ in range(100):
        deliver(session, frame(TEXT, "b") * 100)
    deliver(session, close_frame(1000))
    assert not session.reading_paused
    lose(session)

    finish(closing)
    assert session.protocol.close_code == 1000


def test_messages_dropped_while_closing_are_the_newest_and_leave_no_gap() -> None:
    session = queue_of(4)
    start(operations.close(session, 1000, "", 0))
    data = [frame(BINARY, b"%d" % i) for i in range(1000)]
    for i in range(0, 1000, 10):
        deliver(session, b"".join(data[i : i + 10]))
        if i in (100, 300, 500):
            finish(operations.recv(session))
    assert len(session.messages) <= 20
    deliver(session, close_frame(1000))
    lose(session)

    messages, exc = rest_of(session)
    assert type(exc) is ConnectionClosedOK
    rest = [int(message) for message in messages]
    assert rest == list(range(rest[0], rest[0] + len(rest)))
    assert rest[0] < 10


def test_message_cut_short_by_dropping_is_never_given_out() -> None:
    session = queue_of(4)
    start(operations.close(session, 1000, "", 0))
    deliver(session, frame(TEXT, "a", fin=False) + frame(CONT, "b", fin=False) * 5)
    deliver(session, frame(CONT, "c", fin=False) * 5)
    deliver(session, frame(CONT, "d") + frame(TEXT, "e") + frame(TEXT, "f", fin=False))
    deliver(session, frame(CONT, "g") + close_frame(1000))
    lose(session)
    with pytest.raises(ConnectionClosedOK):
        finish(operations.recv(session))


def test_while_messages_are_dropped_control_frames_and_faults_are_not() -> None:
    session = queue_of(0)
    start(operations.close(session, 1000, "", 0))
    sent(session)
    for _ in range(3):
        deliver(session, frame(TEXT, "a") + frame(PING, b"p"))
    assert [seen.opcode for seen in sent(session)] == [PONG] * 3
    deliver(session, frame(TEXT, b"\xff"))
    assert isinstance(session.protocol.fault, UnicodeDecodeError)


def test_messages_of_one_read_that_fit_are_kept_while_closing() -> None:
    session = queue_of(4)
    start(operations.close(session, 1000, "", 0))
    deliver(session, frame(TEXT, "a") * 4 + close_frame(1000))
    assert received(session) == ["a"] * 4


def test_close_frame_from_the_peer_resumes_reading() -> None:
    session = queue_of(4, 1)
    deliver(session, frame(TEXT, "a") * 8 + close_frame(1000))
    assert session.reading_paused
    for _ in range(4):
        finish(operations.recv(session))
    assert not session.reading_paused
    session.send_deferred_close(0)
    assert [seen.opcode for seen in sent(session)] == [CLOSE]
    assert received(session) == ["a"] * 4


def test_end_of_input_with_a_full_queue_loses_nothing() -> None:
    session = queue_of(4)
    deliver(session, frame(TEXT, "a") * 10)
    session.eof_received(0)
    lose(session)
    assert session.protocol.state is State.CLOSED
    for _ in range(10):
        assert finish(operations.recv(session)) == "a"
