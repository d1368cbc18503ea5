"""What is shared between the frames of one message for many connections."""

from __future__ import annotations

import logging
import zlib
from typing import Any

import pytest

from fullduplex.core.endpoint.broadcast import (
    OnSlow,
    SharedMessage,
    check_policy,
    deliver,
)
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.frame_protocol import FrameProtocol, Side
from fullduplex.core.endpoint.options import Options
from fullduplex.core.errors import ConcurrencyError
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.frame import Extension

from ...kit.bytes import BINARY, TEXT, dissect, frame
from ...kit.pair import Waiter

MESSAGE = "all of you, " * 20


def protocol(
    side: Side = Side.SERVER,
    *extensions: Extension,
    logger: logging.Logger | None = None,
) -> FrameProtocol:
    made = FrameProtocol(side, logger=logger)
    made.use_extensions(extensions)
    return made


def deflate(*, fresh: bool = True, bits: int = 12, level: int = 5) -> PerMessageDeflate:
    return PerMessageDeflate(fresh, fresh, 15, bits, {"memLevel": level})


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


def test_servers_without_extension_share_one_object() -> None:
    shared = SharedMessage("é", None)

    first, second = shared.frame_for(protocol()), shared.frame_for(protocol())

    assert first == frame(TEXT, "é")
    assert first is second


@pytest.mark.parametrize(
    ("message", "text", "opcode"),
    [
        ("a", None, TEXT),
        ("a", False, BINARY),
        (b"a", None, BINARY),
        (bytearray(b"a"), None, BINARY),
        (memoryview(b"a"), True, TEXT),
    ],
)
def test_opcode_goes_by_type_or_by_text(
    message: str | bytes, text: bool | None, opcode: int
) -> None:
    assert SharedMessage(message, text).frame_for(protocol()) == frame(opcode, b"a")


def test_equal_parameters_without_takeover_share_one_compressed_frame() -> None:
    shared = SharedMessage(MESSAGE, None)

    first = shared.frame_for(protocol(Side.SERVER, deflate()))
    second = shared.frame_for(protocol(Side.SERVER, deflate()))

    assert first is second
    assert first is not None
    [seen] = dissect(first)
    assert seen.rsv == 4
    assert inflate(seen.payload) == MESSAGE.encode()


@pytest.mark.parametrize("other", [deflate(bits=9), deflate(level=9)])
def test_other_parameters_get_another_frame(other: PerMessageDeflate) -> None:
    shared = SharedMessage(MESSAGE, None)

    first = shared.frame_for(protocol(Side.SERVER, deflate()))
    second = shared.frame_for(protocol(Side.SERVER, other))

    assert first is not second
    assert second is not None
    assert inflate(dissect(second)[0].payload) == MESSAGE.encode()


def test_kept_window_several_extensions_clients_and_logging_get_their_own() -> None:
    shared = SharedMessage(MESSAGE, None)
    loud = logging.getLogger("test.loud")
    loud.setLevel(logging.DEBUG)

    assert shared.frame_for(protocol(Side.SERVER, deflate(fresh=False))) is None
    assert shared.frame_for(protocol(Side.SERVER, deflate(), deflate())) is None
    assert shared.frame_for(protocol(Side.SERVER, Extension())) is None
    assert shared.frame_for(protocol(Side.CLIENT)) is None
    assert shared.frame_for(protocol(logger=loud)) is None


def test_uncompressed_frame_is_shared_by_all_servers() -> None:
    shared = SharedMessage(MESSAGE, None, compress=False)

    for extension in (deflate(), deflate(fresh=False), deflate(bits=9)):
        assert shared.frame_for(protocol(Side.SERVER, extension)) is shared.plain
    assert shared.frame_for(protocol(Side.SERVER, Extension())) is None


def test_client_sends_its_own_frame_uncompressed_when_told_to() -> None:
    client = protocol(Side.CLIENT, deflate())

    SharedMessage("a", None, compress=False).send_to(client)

    [seen] = dissect(client.writer.take())
    assert (seen.rsv, seen.payload) == (0, b"a")


@pytest.mark.parametrize("message", [b"small", bytes(range(250))])
def test_what_would_not_shrink_is_shared_uncompressed(message: bytes) -> None:
    left_open = SharedMessage(message, None)
    wanted = SharedMessage(message, None, compress=True)

    plain = left_open.frame_for(protocol(Side.SERVER, deflate()))
    compressed = wanted.frame_for(protocol(Side.SERVER, deflate()))

    assert plain is left_open.plain
    assert compressed is not None
    [seen] = dissect(compressed)
    assert (seen.rsv, inflate(seen.payload)) == (4, message)


def test_kept_window_is_used_for_the_next_message() -> None:
    receiver = protocol(Side.SERVER, deflate(fresh=False))
    shared = SharedMessage(MESSAGE, None)

    shared.send_to(receiver)
    first = receiver.writer.take()
    shared.send_to(receiver)
    second = receiver.writer.take()

    assert len(second) < len(first)
    decompressor = zlib.decompressobj(wbits=-15)
    for data in (first, second):
        [seen] = dissect(data)
        payload = decompressor.decompress(seen.payload + b"\x00\x00\xff\xff")
        assert payload == MESSAGE.encode()


def test_client_masks_its_own_frame() -> None:
    client = protocol(Side.CLIENT)

    SharedMessage("a", None).send_to(client)

    [seen] = dissect(client.writer.take())
    assert (seen.masked, seen.payload) == (True, b"a")


def test_message_that_is_changed_later_goes_out_as_it_was() -> None:
    message = bytearray(b"before")
    shared = SharedMessage(message, None)
    message[:] = b"behind"

    assert shared.frame_for(protocol()) == frame(BINARY, b"before")


@pytest.mark.parametrize("message", [None, 1, ["a"], {"a": 1}, iter("a")])
def test_other_types_are_refused(message: object) -> None:
    with pytest.raises(TypeError, match="str or bytes-like"):
        SharedMessage(message, None)


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        SharedMessage("\ud800", None)


@pytest.mark.parametrize(
    ("on_slow", "max_buffer", "error"),
    [
        ("wait", None, ValueError),
        (None, None, ValueError),
        ("drop", -1, ValueError),
        ("drop", 1.5, TypeError),
        ("drop", True, TypeError),
    ],
)
def test_policy_out_of_range_is_refused(
    on_slow: object, max_buffer: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"on_slow|max_buffer"):
        check_policy(on_slow, max_buffer)


def session(one: FrameProtocol, **options: Any) -> Endpoint:
    return Endpoint(one, Options.check(**options), new_waiter=Waiter, now=0)


def test_offer_gives_the_shared_frame_to_who_is_open_and_not_slow() -> None:
    shared = SharedMessage("x", None)
    assert deliver(session(protocol()), shared, 0, "buffer", None) == b"\x81\x01x"


def test_offer_queues_a_frame_of_its_own_for_a_client() -> None:
    client = session(protocol(Side.CLIENT))

    assert deliver(client, SharedMessage("x", None), 0, "buffer", None) == "queued"
    assert client.writer.pending == 7


@pytest.mark.parametrize(
    ("on_slow", "max_buffer", "most"),
    [
        ("buffer", None, 16 * 100),
        ("drop", None, 100),
        ("close", None, 100),
        ("drop", 7, 7),
        ("close", 0, 0),
    ],
)
def test_offer_calls_slow_who_has_more_waiting_than_allowed(
    on_slow: OnSlow, max_buffer: int | None, most: int
) -> None:
    shared = SharedMessage("x", None)
    one = session(protocol(), write_limit=100)
    fate = {"buffer": "closed", "close": "closed", "drop": "dropped"}[on_slow]

    assert deliver(one, shared, most, on_slow, max_buffer) == shared.plain
    assert deliver(one, shared, most + 1, on_slow, max_buffer) == fate


def test_offer_skips_who_is_not_open_and_does_not_cut_into_a_message() -> None:
    shared = SharedMessage("x", None)
    one = session(protocol())
    one.fragmenting = True
    with pytest.raises(ConcurrencyError):
        deliver(one, shared, 0, "buffer", None)

    one.protocol.transport_lost(None)
    assert deliver(one, shared, 0, "buffer", None) == "skipped"
