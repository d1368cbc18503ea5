"""The rules above single frames: messages, control frames, closing, limits."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.frame_protocol import FrameProtocol, Side
from fullduplex.core.errors import PayloadTooBig, ProtocolError, TooManyFragments
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.close import (
    Close,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
)
from fullduplex.core.frames.frame import Extension, Frame
from fullduplex.core.typing import ExtensionName

from ...kit.bytes import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Received,
    close_frame,
    dissect,
    frame,
)
from ...kit.pair import (
    CLIENT,
    SERVER,
    deliver,
    finish,
    lose,
    make_session,
    received,
    sent,
    start,
)

SIDES = pytest.mark.parametrize("side", [CLIENT, SERVER], ids=["client", "server"])


def peer(side: Side, *args: Any, **kwds: Any) -> bytes:
    """Build a frame as the peer of `side` sends it."""
    return frame(*args, mask=MASK if side is SERVER else None, **kwds)


def peer_close(side: Side, code: int | None = 1000, reason: str = "") -> bytes:
    """Build a close frame as the peer of `side` sends it."""
    return close_frame(code, reason, mask=MASK if side is SERVER else None)


def exc_of(session: Endpoint) -> ConnectionClosed:
    """Return how the connection ended."""
    assert session.protocol.state is State.CLOSED
    return session.protocol.close_exc


# Sending


@SIDES
def test_client_masks_and_server_does_not(side: Side) -> None:
    session = make_session(side)

    finish(operations.send(session, "é", True))
    finish(operations.send(session, b"\xff", False))

    masked = side is CLIENT
    assert sent(session) == [
        Received(TEXT, "é".encode(), masked=masked),
        Received(BINARY, b"\xff", masked=masked),
    ]


def test_text_that_cannot_be_encoded_leaves_no_trace() -> None:
    for extensions in ([], [PerMessageDeflate(False, False, 15, 15)]):
        session = make_session(extensions=extensions)
        with pytest.raises(UnicodeEncodeError):
            finish(operations.send(session, "\ud800", True))
        assert sent(session) == []
        assert session.protocol.state is State.OPEN


# Fragments


@SIDES
def test_fragments_become_one_message(side: Side) -> None:
    session = make_session(side)
    euro = "€".encode()
    data = b"".join(
        [
            peer(side, TEXT, b"1" + euro[:1], fin=False),
            peer(side, CONT, euro[1:], fin=False),
            peer(side, CONT),
            peer(side, BINARY, b"\xff", fin=False),
            peer(side, CONT, b"\xfe"),
        ]
    )

    deliver(session, data)

    assert received(session) == ["1€", b"\xff\xfe"]


def test_empty_fragments_keep_the_type_of_the_message() -> None:
    session = make_session()
    for opcode in (TEXT, BINARY):
        deliver(
            session, frame(opcode, fin=False) + frame(CONT, fin=False) + frame(CONT)
        )
    assert received(session) == ["", b""]


def test_flood_of_empty_fragments_fails_with_1009() -> None:
    session = make_session(max_size=None, queue_high=None)
    deliver(session, frame(BINARY, fin=False) + frame(CONT, fin=False) * 4095)
    assert session.protocol.fault is None

    deliver(session, frame(CONT, fin=False))
    session.send_deferred_close(0)

    assert isinstance(session.protocol.fault, TooManyFragments)
    assert sent(session)[-1].close == (1009, "too many fragments")


def test_large_message_in_many_small_frames_is_fine() -> None:
    session = make_session(max_size=2**22)
    receiving = operations.recv(session)
    start(receiving)
    pieces = [frame(BINARY, bytes(64), fin=False)]
    pieces += [frame(CONT, bytes(64), fin=False)] * 65534
    for i in range(0, len(pieces), 1000):
        deliver(session, b"".join(pieces[i : i + 1000]))
        start(receiving)

    deliver(session, frame(CONT, bytes(64)))

    assert finish(receiving) == bytes(64 * 65536)


def test_close_inside_a_fragmented_message_is_echoed_but_is_no_good_end() -> None:
    session = make_session()
    deliver(session, frame(TEXT, "half", fin=False) + close_frame(1000, "bye"))
    session.send_deferred_close(0)

    assert sent(session)[-1].close == (1000, "bye")
    lose(session)
    exc = exc_of(session)
    assert type(exc) is ConnectionClosedError
    assert session.protocol.close_code == 1000
    assert isinstance(exc.__cause__, ProtocolError)
    assert str(exc.__cause__) == "close frame inside a fragmented message"
    assert received_error(session) == exc.args


def received_error(session: Endpoint) -> tuple[Any, ...]:
    with pytest.raises(ConnectionClosed) as info:
        finish(operations.recv(session))
    return info.value.args


def test_control_frames_between_fragments_do_not_touch_the_message() -> None:
    session = make_session()
    data = frame(TEXT, "a", fin=False) + frame(PING, b"p") + frame(CONT, "b")

    deliver(session, data)

    assert received(session) == ["ab"]
    assert sent(session) == [Received(PONG, b"p", masked=True)]


# Limits


def test_message_of_exactly_max_size_in_fragments_passes_and_one_byte_more_fails() -> (
    None
):
    for extra, messages in ((b"", [b"12345678"]), (b"9", [])):
        session = make_session(max_size=8)
        data = frame(BINARY, b"1234", fin=False) + frame(CONT, b"5678" + extra)
        deliver(session, data)
        assert received(session) == messages
        assert isinstance(session.protocol.fault, PayloadTooBig) == bool(extra)


def test_budget_used_up_exactly_never_means_no_limit() -> None:
    session = make_session(max_size=4)
    deliver(session, frame(BINARY, b"1234", fin=False) + frame(CONT, length=2**62))
    session.send_deferred_close(0)

    assert sent(session)[-1].close[0] == 1009
    assert str(session.protocol.fault) == (
        f"frame has {2**62:,} bytes after 4 already received; max_size is 4 bytes"
    )


def test_control_frame_is_exempt_from_max_size() -> None:
    session = make_session(max_size=10)
    deliver(session, frame(PING, bytes(20)))
    assert sent(session) == [Received(PONG, bytes(20), masked=True)]


# Compression


def deflated(data: bytes, *, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Compress as a peer does for a whole message."""
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(flush)).removesuffix(b"\0\0\xff\xff")


def deflating(**kwds: Any) -> Endpoint:
    extension = PerMessageDeflate(True, True, 15, 15)
    return make_session(extensions=[extension], **kwds)


@pytest.mark.parametrize("message", ["compressible " * 20, "", b"", b"\0" * 1000])
def test_compressed_message_is_inflated(message: str | bytes) -> None:
    session = deflating()
    data = message.encode() if isinstance(message, str) else message
    opcode = TEXT if isinstance(message, str) else BINARY

    deliver(session, frame(opcode, deflated(data), rsv=4))
    deliver(session, frame(opcode, data))  # this one as it is

    assert received(session) == [message, message]


def test_compressed_message_may_come_in_fragments() -> None:
    session = deflating()
    data = deflated("smørrebrød".encode() * 10)
    deliver(session, frame(TEXT, data[:5], fin=False, rsv=4) + frame(PING))
    deliver(session, frame(CONT, data[5:9], fin=False) + frame(CONT, data[9:]))
    assert received(session) == ["smørrebrød" * 10]


def test_message_is_sent_compressed_with_rsv1_on_its_first_frame_only() -> None:
    session = deflating()
    assert not session.clear_to_send
    finish(operations.send(session, "a" * 100, True))
    finish(operations.begin_fragments(session))
    finish(operations.send_fragment(session, 1, "b" * 100, fin=False))
    finish(operations.send_fragment(session, 0, b"", fin=True))
    session.end_fragments()

    frames = sent(session)

    assert [(seen.opcode, seen.rsv, seen.fin) for seen in frames] == [
        (TEXT, 4, True),
        (TEXT, 4, False),
        (CONT, 0, True),
    ]
    stream = zlib.decompressobj(-15)
    assert stream.decompress(frames[0].payload + b"\0\0\xff\xff") == b"a" * 100
    stream = zlib.decompressobj(-15)
    whole = frames[1].payload + frames[2].payload + b"\0\0\xff\xff"
    assert stream.decompress(whole) == b"b" * 100


@pytest.mark.parametrize("size", [100, 101])
def test_inflated_size_counts_exactly(size: int) -> None:
    session = deflating(max_size=100)

    deliver(session, frame(BINARY, deflated(bytes(size)), rsv=4))

    assert received(session) == ([bytes(100)] if size == 100 else [])
    assert isinstance(session.protocol.fault, PayloadTooBig) == (size > 100)


def test_inflated_size_counts_over_all_fragments() -> None:
    session = deflating(max_size=100)
    stream = zlib.compressobj(wbits=-15)
    first = stream.compress(bytes(100)) + stream.flush(zlib.Z_SYNC_FLUSH)
    second = stream.compress(b"x") + stream.flush(zlib.Z_SYNC_FLUSH)
    deliver(session, frame(BINARY, first, fin=False, rsv=4))
    assert session.protocol.fault is None

    deliver(session, frame(CONT, second[:-4]))

    assert isinstance(session.protocol.fault, PayloadTooBig)


def test_inflated_budget_used_up_exactly_lets_an_empty_end_pass() -> None:
    session = deflating(max_size=100)
    stream = zlib.compressobj(wbits=-15)
    first = stream.compress(bytes(100)) + stream.flush(zlib.Z_SYNC_FLUSH)
    deliver(session, frame(BINARY, first, fin=False, rsv=4) + frame(CONT, b"\0"))
    assert received(session) == [bytes(100)]


def test_inflate_bomb_is_refused_before_memory_grows() -> None:
    session = deflating(max_size=2**16)
    bomb = deflated(bytes(2**25))
    assert len(bomb) < 2**16

    deliver(session, frame(BINARY, bomb, rsv=4))
    session.send_deferred_close(0)

    assert sent(session)[-1].close[0] == 1009


def test_inflated_frame_over_max_fragment_is_refused() -> None:
    for max_size in (None, 1000):
        session = deflating(max_size=max_size, max_fragment=50)
        deliver(session, frame(BINARY, deflated(bytes(50)), rsv=4))
        assert received(session) == [bytes(50)]
        deliver(session, frame(BINARY, deflated(bytes(51)), rsv=4))
        assert isinstance(session.protocol.fault, PayloadTooBig)


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\xff\xff\xff\xff", 1002), (deflated(b"\xff\xfe"), 1007)],
)
def test_bad_stream_fails_with_1002_and_bad_text_in_it_with_1007(
    payload: bytes, code: int
) -> None:
    session = deflating()
    deliver(session, frame(TEXT, payload, rsv=4))
    assert sent(session)[-1].close[0] == code


def test_bad_text_in_compressed_fragments_fails_with_1007() -> None:
    session = deflating()
    data = deflated(b"\xff\xfe")
    deliver(session, frame(TEXT, data[:1], fin=False, rsv=4) + frame(CONT, data[1:]))
    session.send_deferred_close(0)
    assert sent(session)[-1].close[0] == 1007


class Reverse(Extension):
    """Sends every payload backwards, and marks messages with RSV3 or not at all."""

    name = ExtensionName("x-reverse")

    def __init__(self, mark: bool) -> None:
        self.mark = mark

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin)

    def encode(self, frame: Frame) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin, rsv3=self.mark)


@pytest.mark.parametrize("mark", [True, False])
def test_other_extension_changes_what_is_sent_and_received(mark: bool) -> None:
    session = make_session(extensions=[Reverse(mark)])
    payload = "€uro".encode()[::-1]

    finish(operations.send(session, "€uro", True))
    assert sent(session) == [Received(TEXT, payload, rsv=int(mark), masked=True)]

    # What travels need not be UTF-8; what it becomes must.
    data = frame(TEXT, payload, rsv=int(mark))
    deliver(session, data)
    for byte in data:
        deliver(session, bytes([byte]))
    assert received(session) == ["€uro", "€uro"]


def test_two_extensions_decode_in_reverse_order() -> None:
    deflate = PerMessageDeflate(True, True, 15, 15)
    session = make_session(extensions=[deflate, Reverse(False)])

    finish(operations.send(session, "a" * 100, True))

    (seen,) = sent(session)
    assert zlib.decompressobj(-15).decompress(seen.payload[::-1]) == b"a" * 100
    assert seen.rsv == 0


def test_reserved_bit_that_no_extension_took_is_refused() -> None:
    session = make_session(extensions=[PassOn()])
    deliver(session, frame(TEXT, "a", rsv=1))
    assert isinstance(session.protocol.fault, ProtocolError)


def test_other_extension_changes_control_frames_too() -> None:
    session = make_session(extensions=[Reverse(True)])
    deliver(session, frame(PING, b"abc", rsv=1))
    # Decoded and encoded again, the payload is what it was.
    assert sent(session) == [Received(PONG, b"abc", rsv=1, masked=True)]
    deliver(session, frame(CLOSE, b"eyb\xe8\x03", rsv=1))
    session.send_deferred_close(0)
    close = sent(session)[-1]
    assert close.rsv == 1
    assert close.payload == b"eyb\xe8\x03"
    assert session.protocol.close_rcvd == Close(1000, "bye")


def test_marked_control_frame_is_refused_with_permessage_deflate_alone() -> None:
    session = deflating()
    deliver(session, frame(PING, b"abc", rsv=4))
    assert isinstance(session.protocol.fault, ProtocolError)


def test_control_frame_that_an_extension_makes_too_long_is_refused() -> None:
    session = make_session(extensions=[Repeat()])
    deliver(session, frame(PING, b"ab"))
    assert isinstance(session.protocol.fault, (PayloadTooBig, ProtocolError))


def test_close_frame_goes_out_though_an_extension_fails_at_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(PassOn):
        def encode(self, frame: Frame) -> Frame:
            raise KeyError("mine")

    session = make_session(extensions=[Failing()])
    deliver(session, frame(PING, b"ab"))
    session.send_deferred_close(0)
    assert sent(session)[-1].close[0] == 1011
    assert "an extension failed at a close frame" in caplog.text


class PassOn(Extension):
    """Changes nothing."""

    name = ExtensionName("x-pass")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return frame

    def encode(self, frame: Frame) -> Frame:
        return frame


class Repeat(PassOn):
    """Receives every byte a hundred times, under whatever reserved bit."""

    def __init__(self) -> None:
        self.limits: list[int | None] = []

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.limits.append(max_size)
        data = bytes(frame.data) * 100
        if max_size is not None and len(data) > max_size:
            raise PayloadTooBig(None, max_size)
        return Frame(frame.opcode, data, frame.fin)


@pytest.mark.parametrize("rsv", [0, 1, 2, 4])
def test_what_an_extension_makes_counts_and_not_what_travelled(rsv: int) -> None:
    repeat = Repeat()
    session = make_session(extensions=[repeat], max_size=1000)
    deliver(session, frame(BINARY, bytes(10), rsv=rsv))
    deliver(session, frame(BINARY, bytes(4), fin=False, rsv=rsv))
    deliver(session, frame(CONT, bytes(5), fin=False))
    assert session.protocol.fault is None

    deliver(session, frame(CONT, bytes(2)))

    assert isinstance(session.protocol.fault, PayloadTooBig)
    assert repeat.limits == [1000, 1000, 600, 100]


def test_what_an_extension_makes_may_use_the_budget_up() -> None:
    session = make_session(extensions=[Repeat()], max_size=1000)
    deliver(session, frame(BINARY, bytes(4), fin=False) + frame(CONT, bytes(6)))
    deliver(session, frame(BINARY, bytes(10)))
    assert received(session) == [bytes(1000)] * 2


def test_without_a_limit_an_extension_gets_none() -> None:
    repeat = Repeat()
    session = make_session(extensions=[repeat], max_size=None)
    deliver(session, frame(BINARY, bytes(4), fin=False) + frame(CONT, bytes(6)))
    assert repeat.limits == [None, None]


def test_error_of_an_extension_fails_with_1011_and_no_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Buggy(PassOn):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            raise ZeroDivisionError("a secret")

    session = make_session(extensions=[Buggy()])
    deliver(session, frame(TEXT, "a"))

    assert sent(session)[-1].close == (1011, "")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


# Control frames


@SIDES
def test_ping_is_answered_with_its_payload(side: Side) -> None:
    session = make_session(side)
    deliver(session, peer(side, PING, b"payload"))
    assert sent(session) == [Received(PONG, b"payload", masked=side is CLIENT)]


def test_ping_is_answered_after_our_close_frame() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))
    sent(session)

    deliver(session, frame(PING, b"p"))

    assert sent(session) == [Received(PONG, b"p", masked=True)]


def test_ping_behind_a_close_frame_is_not_answered() -> None:
    session = make_session()
    deliver(session, close_frame() + frame(PING, b"p"))
    deliver(session, frame(PING, b"p"))
    assert [seen.opcode for seen in sent(session)] == [CLOSE]


def test_flood_of_pings_in_one_read_fills_no_memory() -> None:
    session = make_session()

    deliver(session, frame(PING, bytes(100)) * 5000 + frame(PING, b"last"))

    assert session.writer.pending < 70_000
    assert sent(session)[-1].payload == b"last"


def test_flood_of_pings_while_output_is_stuck_owes_only_the_latest_pong() -> None:
    session = make_session()
    session.pause_writing()
    for i in range(1000):
        deliver(session, frame(PING, b"%d" % i))
    assert session.writer.pending == 0

    session.resume_writing()

    assert sent(session) == [Received(PONG, b"999", masked=True)]
    session.resume_writing()
    assert sent(session) == []


@SIDES
def test_owed_pong_is_not_paid_after_the_close_frames(side: Side) -> None:
    # The server has closed its half of TCP by then.
    session = make_session(side)
    session.pause_writing()
    deliver(session, peer(side, PING, b"p"))
    deliver(session, peer_close(side))
    assert [seen.opcode for seen in sent(session)] == [CLOSE]

    session.resume_writing()

    assert sent(session) == []


@SIDES
def test_owed_pong_is_not_paid_after_a_failure(side: Side) -> None:
    session = make_session(side)
    session.pause_writing()
    deliver(session, peer(side, PING, b"p"))
    deliver(session, peer(side, 3))
    assert [seen.opcode for seen in sent(session)] == [CLOSE]

    session.resume_writing()

    assert sent(session) == []


# The closing matrix


@SIDES
@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1000, "", ConnectionClosedOK),
        (1000, "bye", ConnectionClosedOK),
        (1001, "leaving", ConnectionClosedOK),
        (None, "", ConnectionClosedOK),
        (1002, "", ConnectionClosedError),
        (1003, "", ConnectionClosedError),
        (1007, "", ConnectionClosedError),
        (1008, "no", ConnectionClosedError),
        (1009, "", ConnectionClosedError),
        (1010, "", ConnectionClosedError),
        (1011, "oops", ConnectionClosedError),
        (1012, "", ConnectionClosedError),
        (1013, "", ConnectionClosedError),
        (1014, "", ConnectionClosedError),
        (3000, "", ConnectionClosedError),
        (4999, "x" * 123, ConnectionClosedError),
    ],
)
def test_close_frame_is_echoed_and_its_code_decides(
    side: Side, code: int | None, reason: str, kind: type[ConnectionClosed]
) -> None:
    session = make_session(side)

    deliver(session, peer_close(side, code, reason))

    assert [seen.close for seen in sent(session)] == [(code, reason)]
    assert session.must_half_close == (side is SERVER)
    assert session.protocol.close_code is None
    assert session.protocol.close_reason is None
    lose(session)
    assert session.protocol.close_code == (1005 if code is None else code)
    assert session.protocol.close_reason == reason
    exc = exc_of(session)
    assert type(exc) is kind
    assert exc.rcvd == exc.sent == Close(1005 if code is None else code, reason)
    assert exc.rcvd_then_sent is True
    assert exc.__cause__ is None


FAULTS: list[tuple[str, Any, int, type[Exception]]] = [
    *(
        (
            f"close code {code}",
            lambda side, c=code: peer_close(side, c),
            1002,
            ProtocolError,
        )
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
    (
        "close frame of one byte",
        lambda side: peer(side, CLOSE, b"\x03"),
        1002,
        ProtocolError,
    ),
    (
        "close reason not UTF-8",
        lambda side: peer(side, CLOSE, b"\x03\xe8\xff"),
        1007,
        UnicodeDecodeError,
    ),
    (
        "masking",
        lambda side: frame(TEXT, "a", mask=None if side is SERVER else MASK),
        1002,
        ProtocolError,
    ),
    ("opcode", lambda side: peer(side, 3), 1002, ProtocolError),
    ("control opcode", lambda side: peer(side, 11), 1002, ProtocolError),
    ("reserved bit", lambda side: peer(side, TEXT, rsv=4), 1002, ProtocolError),
    ("fragmented ping", lambda side: peer(side, PING, fin=False), 1002, ProtocolError),
    ("long ping", lambda side: peer(side, PING, bytes(126)), 1002, ProtocolError),
    ("continuation", lambda side: peer(side, CONT), 1002, ProtocolError),
    (
        "no continuation",
        lambda side: peer(side, TEXT, fin=False) + peer(side, TEXT),
        1002,
        ProtocolError,
    ),
    ("length not minimal", lambda side: peer(side, TEXT, width=8), 1002, ProtocolError),
    ("length 2**63", lambda side: peer(side, TEXT, length=2**63), 1002, ProtocolError),
    ("text", lambda side: peer(side, TEXT, b"\xff"), 1007, UnicodeDecodeError),
    (
        "text in fragments",
        lambda side: peer(side, TEXT, b"\xe2", fin=False) + peer(side, CONT, b"a"),
        1007,
        UnicodeDecodeError,
    ),
    ("size", lambda side: peer(side, TEXT, length=2**20 + 1), 1009, PayloadTooBig),
    ("huge size", lambda side: peer(side, TEXT, length=2**63 - 1), 1009, PayloadTooBig),
]


@SIDES
@pytest.mark.parametrize(
    ("data", "code", "cause"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0] for fault in FAULTS],
)
def test_fault_fails_the_connection_with_its_code(
    side: Side, data: Any, code: int, cause: type[Exception]
) -> None:
    session = make_session(side)

    deliver(session, data(side))
    session.send_deferred_close(0)

    (seen,) = sent(session)
    assert seen.close[0] == code
    assert session.must_half_close == (side is SERVER)
    # Whatever comes now is dropped.
    deliver(session, peer(side, TEXT, "late") + peer_close(side) + peer(side, PING))
    assert received(session) == []
    assert sent(session) == []
    lose(session)
    assert session.protocol.close_code == 1006
    assert session.protocol.close_reason == ""
    exc = exc_of(session)
    assert type(exc) is ConnectionClosedError
    assert exc.rcvd is None
    assert exc.sent == Close(*seen.close)  # type: ignore[arg-type]
    assert exc.rcvd_then_sent is None
    assert type(exc.__cause__) is cause


def test_reason_of_a_failure_tells_the_peer_what_was_wrong() -> None:
    for data, reason in (
        (frame(3), "invalid opcode: 0x3"),
        (
            frame(TEXT, length=2**21),
            "frame has 2,097,152 bytes; max_size is 1,048,576 bytes",
        ),
    ):
        session = make_session()
        deliver(session, data)
        assert sent(session)[-1].close[1] == reason


def test_reason_that_is_too_long_is_cut_at_a_whole_character() -> None:
    session = make_session()
    session.protocol.fail(RuntimeError(), 1011, "a" + "é" * 100)
    session.send_deferred_close(0)
    reason = sent(session)[-1].close[1]
    assert reason == "a" + "é" * 61


@SIDES
@pytest.mark.parametrize("exc", [None, ConnectionResetError("reset"), OSError()])
def test_end_of_tcp_without_close_frames_is_1006(
    side: Side, exc: Exception | None
) -> None:
    session = make_session(side)

    lose(session, exc)

    assert sent(session) == []
    assert session.protocol.close_code == 1006
    assert session.protocol.close_reason == ""
    error = exc_of(session)
    assert type(error) is ConnectionClosedError
    assert str(error) == "no close frame received or sent"
    if exc is None:
        assert isinstance(error.__cause__, EOFError)
    else:
        assert error.__cause__ is exc


def test_end_of_tcp_after_our_close_frame_is_1006_too() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))

    lose(session)

    assert session.protocol.close_code == 1006
    exc = exc_of(session)
    assert type(exc) is ConnectionClosedError
    assert str(exc) == "sent 1000 (OK); no close frame received"


def test_reset_after_both_close_frames_is_still_a_good_end() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))
    deliver(session, close_frame(1000))

    lose(session, ConnectionResetError())

    assert type(exc_of(session)) is ConnectionClosedOK


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        ((1000, ""), (1000, ""), "sent 1000 (OK); then received 1000 (OK)"),
        (
            (1001, "bye"),
            (1008, "go"),
            "sent 1001 (going away) bye; then received 1008 (policy violation) go",
        ),
        (
            (None, ""),
            (None, ""),
            "sent 1005 (no status received [internal]); "
            "then received 1005 (no status received [internal])",
        ),
        (
            (3001, ""),
            (4001, "x"),
            "sent 3001 (registered); then received 4001 (private use) x",
        ),
    ],
)
def test_text_of_the_exception_tells_both_codes_in_order(
    ours: tuple[int | None, str], theirs: tuple[int | None, str], text: str
) -> None:
    session = make_session()
    start(operations.close(session, *ours, 0))
    deliver(session, close_frame(*theirs))
    lose(session)

    exc = exc_of(session)

    assert str(exc) == text
    assert exc.rcvd_then_sent is False


def test_text_of_the_exception_when_the_peer_was_first() -> None:
    session = make_session()
    deliver(session, close_frame(1001))
    lose(session)
    assert str(exc_of(session)) == (
        "received 1001 (going away); then sent 1001 (going away)"
    )


def test_ok_needs_a_good_code_on_both_sides() -> None:
    for ours, theirs, kind in (
        (1000, 1001, ConnectionClosedOK),
        (1001, None, ConnectionClosedOK),
        (1000, 1011, ConnectionClosedError),
        (1011, 1000, ConnectionClosedError),
        (3000, 3000, ConnectionClosedError),
    ):
        session = make_session()
        start(operations.close(session, ours, "", 0))
        deliver(session, close_frame(theirs))
        lose(session)
        assert type(exc_of(session)) is kind


def test_close_frames_that_cross_are_not_echoed() -> None:
    session = make_session()
    start(operations.close(session, 1000, "mine", 0))
    sent(session)

    deliver(session, close_frame(1001, "yours"))

    assert sent(session) == []
    lose(session)
    assert session.protocol.close_code == 1001
    assert session.protocol.close_reason == "yours"


def test_data_behind_a_close_frame_is_dropped() -> None:
    session = make_session()
    deliver(session, close_frame() + frame(TEXT, "late") + b"\xff\xff garbage")
    deliver(session, b"more garbage")
    assert received(session) == []
    assert len(sent(session)) == 1
    lose(session)
    assert type(exc_of(session)) is ConnectionClosedOK


def test_data_behind_our_close_frame_is_still_received() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))
    deliver(session, frame(TEXT, "still") + close_frame())
    assert received(session) == ["still"]


def test_fault_after_our_close_frame_sends_no_second_one() -> None:
    session = make_session()
    start(operations.close(session, 1000, "", 0))
    sent(session)
    deliver(session, frame(3))
    session.send_deferred_close(0)

    assert sent(session) == []
    lose(session)
    assert isinstance(exc_of(session).__cause__, ProtocolError)


def test_first_fault_is_the_one_that_counts() -> None:
    session = make_session()
    first = RuntimeError("first")
    session.protocol.fail(first, 1011, "")
    session.protocol.fail(RuntimeError("second"), 1002, "")
    session.send_deferred_close(0)
    assert sent(session)[-1].close[0] == 1011
    lose(session, OSError())
    assert exc_of(session).__cause__ is first


def test_nothing_is_sent_once_tcp_has_ended() -> None:
    session = make_session()
    finish(operations.send(session, "a", True))
    lose(session)
    assert session.writer.pending == 0
    deliver(session, frame(PING))
    assert sent(session) == []


# Logs


@pytest.fixture
def debug() -> Iterator[logging.Logger]:
    logger = logging.getLogger("fullduplex.test_protocol")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.setLevel(logging.NOTSET)


def test_with_debug_every_frame_is_logged_and_messages_are_the_same(
    debug: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = make_session(logger=debug)
    assert not session.clear_to_send
    deliver(session, frame(TEXT, "in") + frame(PING, b"p") + frame(BINARY, b"\0"))
    finish(operations.send(session, "out", True))
    assert received(session) == ["in", b"\0"]
    deliver(session, close_frame(1000))
    lose(session)

    text = "\n".join(caplog.messages)
    for line in (
        "< TEXT 'in'",
        "< PING",
        "> PONG",
        "< BINARY",
        "> TEXT 'out'",
        "< CLOSE",
    ):
        assert line in text
    assert "> CLOSE 1000 (OK)" in text


def test_with_debug_a_failure_is_logged_with_its_cause(
    debug: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = make_session(logger=debug)
    deliver(session, frame(TEXT, b"\xff"))
    assert sent(session)[-1].close[0] == 1007
    (record,) = [r for r in caplog.records if "failing" in r.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[0] is UnicodeDecodeError


def test_without_debug_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("fullduplex.test_protocol")
    logger.setLevel(logging.INFO)
    session = make_session(logger=logger)
    deliver(session, frame(TEXT, "in") + frame(CLOSE))
    lose(session)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("data", "text", "code"),
    [
        (frame(3), "invalid opcode: 0x3", 1002),
        (frame(TEXT, b"\xff"), "invalid", 1007),
        (frame(TEXT, "xxxx"), "frame has 4 bytes; max_size is 3 bytes", 1009),
    ],
)
def test_what_a_rule_of_ours_ends_is_one_warning(
    data: bytes, text: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("fullduplex.test_protocol")
    logger.setLevel(logging.INFO)
    session = make_session(logger=logger, max_size=3)
    deliver(session, data + data)
    lose(session)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    line = record.getMessage()
    assert line.startswith("closing the connection with an unknown address: ")
    assert text in line
    assert line.endswith(f"(close code {code})")


def test_protocol_alone_starts_open_with_an_empty_queue() -> None:
    protocol = FrameProtocol(SERVER)
    assert protocol.state is State.OPEN
    assert protocol.plain
    assert not protocol.messages
    assert protocol.close_code is None
    assert dissect(protocol.writer.take()) == []


def test_too_big_tells_the_limit_of_the_message_and_not_what_was_left() -> None:
    compressor = zlib.compressobj(wbits=-15)
    pieces = [
        compressor.compress(bytes(60)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        for _ in range(2)
    ]
    session = deflating(max_size=100)
    deliver(session, frame(BINARY, pieces[0], rsv=4, fin=False))
    deliver(session, frame(CONT, pieces[1][:-4]))
    fault = session.protocol.fault
    assert isinstance(fault, PayloadTooBig)
    assert (fault.size, fault.max_size, fault.current_size) == (None, 100, 60)
    assert str(fault) == (
        "message is larger than max_size, 100 bytes after 60 already received"
    )


def test_too_big_a_fragment_tells_the_limit_of_fragments() -> None:
    compressor = zlib.compressobj(wbits=-15)
    session = deflating(max_size=100, max_fragment=50)
    for number in range(2):
        piece = compressor.compress(bytes(40 + 20 * number))
        piece += compressor.flush(zlib.Z_SYNC_FLUSH)
        opcode = CONT if number else BINARY
        deliver(session, frame(opcode, piece, rsv=0 if number else 4, fin=False))
    fault = session.protocol.fault
    assert isinstance(fault, PayloadTooBig)
    assert (fault.max_size, fault.current_size) == (50, None)
