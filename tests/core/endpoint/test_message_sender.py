"""What may be sent, and a message sent fragment by fragment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.message_sender import (
    FragmentSender,
    message_payload,
)
from fullduplex.core.frames.close import ConnectionClosedError, State
from fullduplex.core.frames.frame import control_payload

from ...kit.bytes import BINARY, CLOSE, CONT, TEXT, Received, close_frame
from ...kit.pair import Waiter, deliver, finish, lose, make_session, sent, start, step


async def items() -> AsyncIterator[str]:
    yield "a"


# One value


@pytest.mark.parametrize(
    ("message", "text", "is_text"),
    [
        ("a", None, True),
        ("a", True, True),
        ("a", False, False),
        (b"a", None, False),
        (b"a", True, True),
        (b"a", False, False),
        (bytearray(b"a"), None, False),
        (memoryview(b"a"), None, False),
        (memoryview(b"abc")[::2], None, False),
        ("", None, True),
    ],
)
def test_single_goes_by_type_unless_told(
    message: Any, text: bool | None, is_text: bool
) -> None:
    assert message_payload(message, text) == (message, is_text)


@pytest.mark.parametrize(
    "message", [["a"], (), iter(["a"]), {"a": 1}.keys(), {"a"}, (x for x in "ab")]
)
def test_single_leaves_iterables_to_be_fragments(message: Any) -> None:
    assert message_payload(message, None) is None


def test_single_leaves_asynchronous_iterables_to_be_fragments() -> None:
    assert message_payload(items(), None) is None


@pytest.mark.parametrize("message", [{}, {"a": 1}, OrderedDict(a=1)])
def test_single_refuses_mappings(message: Any) -> None:
    with pytest.raises(TypeError, match="message is a mapping"):
        message_payload(message, None)


@pytest.mark.parametrize("message", [None, 1, 1.5, object(), True])
def test_single_refuses_everything_else_by_name(message: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(message).__name__}$"):
        message_payload(message, None)


# Control frames


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ("é", "é".encode()),
        (b"a", b"a"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"abc")[::2], b"ac"),
        ("", b""),
    ],
)
def test_control_payload_is_copied(data: Any, payload: bytes) -> None:
    result = control_payload("ping data", data)
    assert type(result) is bytes
    assert result == payload


@pytest.mark.parametrize("data", [None, 1, ["a"], {}])
def test_control_payload_of_another_type_is_refused(data: Any) -> None:
    with pytest.raises(
        TypeError, match=f"pong data must be .* not {type(data).__name__}"
    ):
        control_payload("pong data", data)


# Fragments


@pytest.mark.parametrize(
    ("parts", "text", "opcode"),
    [
        (["a", "b"], None, TEXT),
        ([b"a", b"b"], None, BINARY),
        ([b"a", bytearray(b"b")], None, BINARY),
        ([memoryview(b"a"), b"b"], None, BINARY),
        ([b"a", b"b"], True, TEXT),
        (["a", "b"], False, BINARY),
    ],
)
def test_fragments_end_with_an_empty_final_frame(
    parts: list[Any], text: bool | None, opcode: int
) -> None:
    session = make_session()
    fragments = FragmentSender(session, text)

    for part in parts:
        finish(fragments.add(part))
    finish(fragments.end())
    assert fragments.release(None) == []

    assert sent(session) == [
        Received(opcode, b"a", fin=False, masked=True),
        Received(CONT, b"b", fin=False, masked=True),
        Received(CONT, b"", masked=True),
    ]


def test_message_without_fragments_sends_nothing() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)

    finish(fragments.end())
    fragments.release(None)

    assert sent(session) == []
    assert session.clear_to_send


def test_fragments_go_out_one_by_one() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("first"))
    assert [seen.payload for seen in sent(session)] == [b"first"]


def test_other_senders_wait_until_the_message_is_complete() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))
    assert not session.clear_to_send
    other = operations.send(session, "other", True)
    waiter = start(other)

    finish(fragments.end())
    for fired in fragments.release(None):
        fired.fire()

    assert waiter.fired
    finish(other)
    assert [seen.payload for seen in sent(session)] == [b"a", b"", b"other"]
    assert session.clear_to_send


def test_two_messages_in_fragments_do_not_mix() -> None:
    session = make_session()
    one, two = FragmentSender(session, None), FragmentSender(session, None)
    finish(one.add("1"))
    first_of_two = two.add("2")
    waiter = start(first_of_two)
    finish(one.add("1"))
    finish(one.end())
    assert one.release(None) == [waiter]

    finish(first_of_two)
    finish(two.end())

    assert [seen.payload for seen in sent(session)] == [b"1", b"1", b"", b"2", b""]


def test_of_two_that_wait_to_send_fragments_one_waits_on() -> None:
    session = make_session()
    fragments = [FragmentSender(session, None) for _ in range(3)]
    finish(fragments[0].add("0"))
    operations = [fragments[1].add("1"), fragments[2].add("2")]
    waiters: list[Any] = [start(operation) for operation in operations]
    finish(fragments[0].end())
    assert fragments[0].release(None) == waiters

    finish(operations[0])
    start(operations[1])

    assert [seen.payload for seen in sent(session)] == [b"0", b"", b"1"]


def test_control_frames_go_between_fragments() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))
    finish(operations.ping(session, b"p", None, 0))
    finish(fragments.end())
    assert [seen.payload for seen in sent(session)] == [b"a", b"p", b""]


@pytest.mark.parametrize("item", [1, None, ["a"], {}])
def test_first_fragment_of_a_wrong_type_leaves_the_connection_intact(item: Any) -> None:
    session = make_session()
    fragments = FragmentSender(session, None)

    with pytest.raises(TypeError, match=f"not {type(item).__name__}") as info:
        finish(fragments.add(item))
    fragments.release(info.value)

    assert sent(session) == []
    assert session.protocol.state is State.OPEN
    assert session.clear_to_send


@pytest.mark.parametrize(("first", "second"), [("a", b"b"), (b"a", "b"), ("a", 1)])
def test_later_fragment_of_another_kind_fails_the_connection(
    first: Any, second: Any
) -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add(first))

    with pytest.raises(TypeError, match=type(second).__name__) as info:
        finish(fragments.add(second))
    fragments.release(info.value)

    frames = sent(session)
    assert [seen.opcode for seen in frames][1:] == [CLOSE]
    assert frames[-1].close == (1011, "")


def test_first_fragment_that_cannot_be_encoded_leaves_the_connection_intact() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)

    with pytest.raises(UnicodeEncodeError) as info:
        finish(fragments.add("\ud800"))
    fragments.release(info.value)

    assert sent(session) == []
    assert session.protocol.state is State.OPEN
    assert session.clear_to_send


def test_message_that_is_cut_fails_the_connection_with_1011() -> None:
    session = make_session()
    other = operations.send(session, "other", True)
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))
    waiter = start(other)
    cut = KeyboardInterrupt()

    for fired in fragments.release(cut):
        fired.fire()

    assert waiter.fired
    assert sent(session)[-1].close == (1011, "")
    assert session.protocol.state is State.CLOSING
    start(other)  # waits for the end
    lose(session)
    with pytest.raises(ConnectionClosedError) as info:
        step(other)
    assert info.value.__cause__ is cut


def test_message_that_is_cut_before_its_first_frame_does_no_harm() -> None:
    session = make_session()
    session.pause_writing()
    fragments = FragmentSender(session, None)
    operation = fragments.add("a")
    start(operation)
    operation.close()
    fragments.release(GeneratorExit())
    session.resume_writing()

    assert sent(session) == []
    assert session.clear_to_send


def test_message_that_is_cut_while_a_frame_drains_fails_the_connection() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))
    session.pause_writing()
    operation = fragments.add("b")
    start(operation)
    operation.close()
    fragments.release(GeneratorExit())

    assert [seen.payload for seen in sent(session)][:2] == [b"a", b"b"]
    assert session.protocol.state is State.CLOSING


def test_close_during_fragments_sends_1011_and_ends_the_message() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))

    start(operations.close(session, 1000, "bye", 0))

    assert sent(session)[-1].close == (1011, "")
    operation = fragments.add("b")
    start(operation)
    deliver(session, close_frame(1011))
    lose(session)
    with pytest.raises(ConnectionClosedError):
        step(operation)


def test_fragments_overtaken_by_the_end_do_not_fail_it_again() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    finish(fragments.add("a"))
    lose(session, OSError("gone"))
    with pytest.raises(ConnectionClosedError) as info:
        finish(fragments.add("b"))

    assert fragments.release(info.value) == []
    assert isinstance(session.protocol.fault, OSError)


def test_fragments_wait_while_output_is_above_its_mark() -> None:
    session = make_session()
    fragments = FragmentSender(session, None)
    session.pause_writing()
    operation = fragments.add("a")
    waiter = start(operation)
    assert sent(session) == []

    assert session.resume_writing() == [waiter]
    assert isinstance(waiter, Waiter)
    finish(operation)

    assert [seen.payload for seen in sent(session)] == [b"a"]
