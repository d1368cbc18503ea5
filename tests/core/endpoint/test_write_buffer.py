"""Output that waits in the driver, and the marks of the session."""

from __future__ import annotations

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.frame_protocol import FrameProtocol, Side
from fullduplex.core.endpoint.options import Options
from fullduplex.core.endpoint.write_buffer import WriteBuffer

from ...kit.pair import Waiter, start


def session() -> Endpoint:
    options = Options.check(write_limit=(100, 20))
    return Endpoint(FrameProtocol(Side.SERVER), options, new_waiter=Waiter, now=0)


def test_pieces_are_written_in_order_and_in_parts() -> None:
    backlog = WriteBuffer()
    for piece in (b"first", b"", b"second"):
        backlog.add(piece)
    written = b""
    while backlog:
        part = bytes(backlog.head[:2])
        written += part
        backlog.taken(len(part))

    assert written == b"firstsecond"
    assert backlog.size == 0


def test_writing_pauses_above_the_high_mark_and_goes_on_at_the_low_one() -> None:
    backlog, one = WriteBuffer(), session()
    backlog.add(bytes(100))
    assert backlog.balance(one) == []
    assert not one.writing_paused
    backlog.add(bytes(1))
    assert backlog.balance(one) == []
    assert one.writing_paused
    waiting = operations.drain(one)
    waiter = start(waiting)

    backlog.taken(80)
    assert backlog.balance(one) == []
    backlog.taken(1)
    assert backlog.balance(one) == [waiter]
    assert not one.writing_paused
    assert backlog.size == 20


def test_writing_stays_paused_once_output_has_failed() -> None:
    backlog, one = WriteBuffer(), session()
    backlog.add(bytes(200))
    backlog.balance(one)
    one.output_failed(BrokenPipeError(), 0)

    backlog.clear()

    assert backlog.balance(one) == []
    assert one.writing_paused


def test_clear_forgets_all() -> None:
    backlog = WriteBuffer()
    backlog.add(bytes(200))

    backlog.clear()

    assert (bool(backlog), backlog.size) == (False, 0)
