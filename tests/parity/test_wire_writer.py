"""Messages to bytes, on both bodies."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from ..kit.bytes import BINARY, CONT, PING, TEXT, Received, dissect, frame
from .bodies import NAMES, Reading, body

SIZES = [0, 1, 125, 126, 127, 128, 4096, 65535, 65536, 65537, 300000]
FIN = 0x80


@pytest.mark.parametrize("size", SIZES)
def test_unmasked_frame_has_the_shortest_header(wire: ModuleType, size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    writer = wire.FrameWriter(mask=False)

    writer.add(FIN | BINARY, payload)

    assert writer.take() == frame(BINARY, payload)


@pytest.mark.parametrize("size", SIZES)
def test_masked_frame_carries_its_payload(wire: ModuleType, size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    writer = wire.FrameWriter(mask=True)

    writer.add(FIN | BINARY, payload)

    data = writer.take()
    assert dissect(data) == [Received(BINARY, payload, masked=True)]
    assert len(data) == len(frame(BINARY, payload, mask=b"1234"))


def test_masks_do_not_repeat_and_survive_many_frames(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=True)
    keys = set()
    for _ in range(3000):  # more than one block of random bytes
        writer.add(FIN | PING, b"")
        keys.add(writer.take()[2:6])

    assert len(keys) > 2900


def test_forget_masks_leaves_the_writer_usable(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=True)
    writer.add(FIN | TEXT, "a")
    wire.forget_masks()
    writer.add(FIN | TEXT, "b")
    assert [seen.text for seen in dissect(writer.take())] == ["a", "b"]


FORKING = """
import os
from fullduplex.core.wire.{module} import FrameWriter

def key():
    writer = FrameWriter(mask=True)
    writer.add(0x89, b"")
    return writer.take()[2:]

key()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"".join(key() for _ in range(8)))
    os._exit(0)
os.wait()
print(os.read(read, 64) == b"".join(key() for _ in range(8)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_of_a_fork_does_not_use_the_masks_of_its_parent(wire: ModuleType) -> None:
    code = FORKING.format(module=wire.__name__.rpartition(".")[2])
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "False"


@pytest.mark.parametrize(
    ("message", "opcode", "payload"),
    [
        ("", TEXT, b""),
        ("ascii", TEXT, b"ascii"),
        ("smørrebrød", TEXT, "smørrebrød".encode()),
        ("€" * 30000, TEXT, "€".encode() * 30000),
        ("\U0001f600", TEXT, "\U0001f600".encode()),
        (b"", BINARY, b""),
        (b"\xff\0", BINARY, b"\xff\0"),
    ],
)
def test_add_message_queues_plain_types(
    wire: ModuleType, message: str | bytes, opcode: int, payload: bytes
) -> None:
    writer = wire.FrameWriter(mask=False)

    assert writer.add_message(message)

    assert writer.take() == frame(opcode, payload)


class Text(str):
    pass


@pytest.mark.parametrize(
    "message", [bytearray(b"a"), memoryview(b"a"), Text("a"), None, 1, ["a"], object()]
)
def test_add_message_leaves_everything_else_to_others(
    wire: ModuleType, message: Any
) -> None:
    writer = wire.FrameWriter(mask=False)

    assert not writer.add_message(message)

    assert writer.pending == 0
    assert writer.take() == b""


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (bytearray(b"abcd"), b"abcd"),
        (memoryview(b"abcd"), b"abcd"),
        (memoryview(b"a-b-c-d-")[::2], b"abcd"),
        (memoryview(b"dcba")[::-1], b"abcd"),
        (memoryview(array.array("H", b"abcd")), b"abcd"),
        (Text("ä"), "ä".encode()),
    ],
)
@pytest.mark.parametrize("mask", [False, True])
def test_add_takes_anything_like_bytes(
    wire: ModuleType, payload: Any, data: bytes, mask: bool
) -> None:
    writer = wire.FrameWriter(mask=mask)
    writer.add(FIN | BINARY, payload)
    assert dissect(writer.take()) == [Received(BINARY, data, masked=mask)]


def test_what_is_added_is_copied(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=False)
    payload = bytearray(b"before")
    writer.add(FIN | BINARY, payload)
    payload[:] = b"after."
    payload += b"grown"  # nothing holds on to its memory
    assert writer.take() == frame(BINARY, b"before")


@pytest.mark.parametrize("payload", [1, None, ["a"], object()])
def test_add_of_anything_else_is_a_type_error_and_queues_nothing(
    wire: ModuleType, payload: Any
) -> None:
    writer = wire.FrameWriter(mask=True)
    with pytest.raises(TypeError):
        writer.add(FIN | BINARY, payload)
    assert writer.pending == 0


def test_lone_surrogates_are_refused_and_nothing_is_queued(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=True)
    writer.add_message("first")
    pending = writer.pending
    for add in (writer.add_message, lambda text: writer.add(FIN | TEXT, text)):
        with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
            add("a\ud800b")

    assert writer.pending == pending
    assert [seen.text for seen in dissect(writer.take())] == ["first"]


def test_frames_are_joined_in_order(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=False)
    writer.add_message("a")
    writer.add(TEXT, "b")
    writer.add(FIN | CONT, b"c")
    writer.add_raw(b"raw")
    writer.add(FIN | PING, b"")

    assert writer.take() == b"".join(
        [
            frame(TEXT, "a"),
            frame(TEXT, "b", fin=False),
            frame(CONT, "c"),
            b"raw",
            frame(PING),
        ]
    )


def test_raw_bytes_go_out_first_too(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=False)
    for data in (b"", b"x", bytearray(b"yy"), memoryview(b"zzz")):
        writer.add_raw(data)
        writer.add_message("")
    assert writer.take() == b"\x81\0x\x81\0yy\x81\0zzz\x81\0"


def test_pending_and_total_count_every_byte(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=True)
    assert writer.add(FIN | TEXT, "abc") == 9
    assert writer.pending == 9
    assert writer.total == 0
    assert writer.add(FIN | BINARY, bytes(200)) == 9 + 208
    writer.add_raw(b"12345")
    assert writer.pending == 222

    assert len(writer.take()) == 222

    assert writer.pending == 0
    assert writer.total == 222
    assert writer.take() == b""
    assert writer.total == 222


def test_messages_and_their_bytes_are_counted(wire: ModuleType) -> None:
    writer = wire.FrameWriter(mask=True)
    writer.add_message("é")
    writer.add(FIN | BINARY, bytes(200))
    writer.add(FIN | PING, b"ping")
    assert (writer.count, writer.payload) == (2, 202)

    writer.add(TEXT, "abc")
    assert (writer.count, writer.payload) == (2, 205)
    writer.add(FIN | CONT, "de")
    assert (writer.count, writer.payload) == (3, 207)
    writer.take()
    assert (writer.count, writer.payload) == (3, 207)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_messages_that_are_frames_already_are_counted(
    wire: ModuleType, size: int
) -> None:
    data = frame(BINARY, bytes(size))
    writer = wire.FrameWriter(mask=False)
    writer.add_raw(data)
    assert (writer.count, writer.payload) == (1, size)

    writer.count_unbuffered_frame(len(data))

    assert (writer.count, writer.payload) == (2, 2 * size)
    assert writer.total == len(data)
    assert writer.pending == len(data)


def test_what_was_taken_does_not_change_with_what_is_added_later(
    wire: ModuleType,
) -> None:
    writer = wire.FrameWriter(mask=False)
    writer.add_message("a" * 100)
    writer.add_message("b" * 100)
    first = writer.take()
    copy = bytes(bytearray(first))
    writer.add_message("c" * 100)

    assert first == copy
    assert hash(first) == hash(copy)
    assert writer.take() == frame(TEXT, "c" * 100)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("write", NAMES)
@pytest.mark.parametrize("parse", NAMES)
def test_what_one_body_writes_the_other_reads(
    write: str, parse: str, mask: bool
) -> None:
    writer = body("wire._wire", write).FrameWriter(mask=mask)
    messages: list[str | bytes] = []
    for size in SIZES:
        messages += ["ü" * (size // 2), bytes(i % 256 for i in range(size))]
    for message in messages:
        assert writer.add_message(message)
    reading = Reading(body("wire._wire", parse), masked=mask)

    assert reading.run([writer.take()]).events == messages


def test_masks_that_are_taken_within_one_another_differ() -> None:
    masks = import_module("fullduplex.core.wire._writer")
    masks.forget_masks()
    inner: list[bytes] = []

    def trace(frame: Any, event: str, _: Any) -> Any:
        # What a debugger, or a signal between two lines, does.
        if frame.f_code is masks.new_mask.__code__ and event == "line":
            sys.settrace(None)
            inner.append(masks.new_mask())
            sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outer = [masks.new_mask() for _ in range(1500)]
    finally:
        sys.settrace(before)
    keys = outer + inner
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > len(keys) - 5
