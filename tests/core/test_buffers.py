"""Bytes-like objects of all shapes are sent as their bytes."""

from __future__ import annotations

import array
import ctypes
import mmap
from typing import Any

import pytest

from fullduplex.client import ClientProtocol
from fullduplex.core.buffers import byte_view, check_bytes
from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.broadcast import SharedMessage
from fullduplex.core.endpoint.message_sender import (
    FragmentSender,
    message_payload,
)
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.frame import control_payload
from fullduplex.frames import Opcode, prepare_ctrl, prepare_data
from fullduplex.uri import parse_uri

from ..kit.pair import finish, make_session, received, sent

Numbers = ctypes.c_uint16 * 3


def mapped() -> mmap.mmap:
    memory = mmap.mmap(-1, 300)
    memory[:] = bytes(range(256)) + bytes(44)
    return memory


BUFFERS: dict[str, tuple[Any, bytes]] = {
    "bytes": (b"abc", b"abc"),
    "bytearray": (bytearray(b"abc"), b"abc"),
    "memoryview": (memoryview(b"abc"), b"abc"),
    "memoryview of numbers": (memoryview(array.array("H", [1, 2])), b"\1\0\2\0"),
    "every other byte": (memoryview(b"abcde")[::2], b"ace"),
    "backwards": (memoryview(b"abc")[::-1], b"cba"),
    "2 x 3": (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    "empty": (memoryview(b""), b""),
    "empty numbers": (array.array("d"), b""),
    "array": (array.array("h", [1, -2]), b"\1\0\xfe\xff"),
    "mmap": (mapped(), bytes(range(256)) + bytes(44)),
    "ctypes": (Numbers(1, 2, 3), b"\1\0\2\0\3\0"),
    "64 KiB of numbers": (array.array("d", [0.0]) * 8192, bytes(65536)),
}
NO_BUFFERS: list[Any] = [None, 5, 1.5, ["a"], {"a": 1}, object(), range(3)]

buffers = pytest.mark.parametrize(
    ("value", "expected"), BUFFERS.values(), ids=BUFFERS.keys()
)


@buffers
def test_buffer_is_seen_as_its_bytes(value: Any, expected: bytes) -> None:
    view = byte_view(value)
    assert view is not None
    assert bytes(view) == expected
    assert len(view) == len(expected)


@pytest.mark.parametrize("value", NO_BUFFERS)
def test_what_exports_no_buffer_is_no_payload(value: Any) -> None:
    assert byte_view(value) is None
    with pytest.raises(TypeError, match=r"^data must be bytes-like, not "):
        check_bytes("data", value)


def test_text_is_no_buffer() -> None:
    assert byte_view("abc") is None


def test_references_to_objects_are_not_sent() -> None:
    with pytest.raises(TypeError, match="references"):
        byte_view((ctypes.py_object * 2)())


def test_view_that_was_released_is_an_error() -> None:
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(ValueError, match="released"):
        byte_view(view)


def test_numpy_arrays_are_buffers() -> None:
    numpy = pytest.importorskip("numpy")
    numbers = numpy.arange(6, dtype="<i2").reshape(2, 3)
    for value in (numbers, numbers[:, ::2], numbers.T, memoryview(numbers)):
        assert bytes(byte_view(value) or b"") == value.tobytes()
    assert message_payload(numbers, None) == (numbers.tobytes(), False)


@buffers
@pytest.mark.parametrize("deflate", [False, True])
def test_message_is_sent_as_its_bytes(
    value: Any, expected: bytes, deflate: bool
) -> None:
    extensions = [PerMessageDeflate(False, False, 15, 15)] if deflate else []
    session = make_session(extensions=extensions, max_size=None)
    payload = message_payload(value, None)
    assert payload is not None
    finish(operations.send(session, *payload))
    (frame,) = sent(session)
    if deflate:
        reading = PerMessageDeflate(False, False, 15, 15)
        if frame.rsv:
            assert reading.inflate(frame.payload, fin=True, max_size=None) == expected
    else:
        assert frame.payload == expected


@buffers
def test_fragment_is_sent_as_its_bytes(value: Any, expected: bytes) -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add(value))
    finish(fragments.end())
    assert b"".join(frame.payload for frame in sent(session)) == expected


@buffers
def test_other_ways_out_take_the_same(value: Any, expected: bytes) -> None:
    assert SharedMessage(value, None).data == expected
    assert control_payload("ping data", value) == expected
    assert prepare_ctrl(value) == expected
    opcode, data = prepare_data(value)
    assert (opcode, bytes(data)) == (Opcode.BINARY, expected)


@pytest.mark.parametrize("value", NO_BUFFERS)
def test_other_ways_out_refuse_the_same(value: Any) -> None:
    for call in (
        lambda: SharedMessage(value, None),
        lambda: control_payload("ping data", value),
        lambda: prepare_ctrl(value),
        lambda: prepare_data(value),
        lambda: finish(FragmentSender(make_session(), None).add(value)),
        lambda: ClientProtocol(parse_uri("ws://localhost/")).receive_data(value),
    ):
        with pytest.raises(TypeError):
            call()


def test_mutable_message_is_copied() -> None:
    data = array.array("B", b"abc")
    message = SharedMessage(data, None)
    data[0] = 0
    assert message.data == b"abc"
    assert received(make_session()) == []
