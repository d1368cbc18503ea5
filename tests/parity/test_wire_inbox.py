"""The queue of messages, on both bodies."""

from __future__ import annotations

import gc
from collections import deque
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..kit.bytes import BINARY, PING, TEXT, frame
from .bodies import NAMES, body


def test_inbox_is_empty_at_first(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    assert not inbox
    assert len(inbox) == 0
    assert list(inbox) == []


def test_inbox_gives_messages_in_order_of_arrival(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    for i in range(100):
        inbox.append(i)
    assert len(inbox) == 100
    assert list(inbox) == list(range(100))
    assert [inbox.popleft() for _ in range(100)] == list(range(100))
    assert not inbox


def test_inbox_gives_up_its_newest_with_pop(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    for i in range(3):
        inbox.append(i)
    assert inbox.pop() == 2
    assert inbox.popleft() == 0
    assert list(inbox) == [1]


@pytest.mark.parametrize("take", ["popleft", "pop"])
def test_inbox_that_is_empty_refuses_to_give(wire: ModuleType, take: str) -> None:
    inbox = wire.MessageQueue()
    with pytest.raises(IndexError):
        getattr(inbox, take)()
    inbox.append("a")
    assert getattr(inbox, take)() == "a"
    with pytest.raises(IndexError):
        getattr(inbox, take)()


def test_inbox_above_its_floor_gives_and_below_leaves_everything(
    wire: ModuleType,
) -> None:
    inbox = wire.MessageQueue()
    assert inbox.take() is None
    for i in range(5):
        inbox.append(i)
    inbox.take_threshold = 3
    assert [inbox.take() for _ in range(4)] == [0, 1, None, None]
    inbox.take_threshold = 0
    assert [inbox.take() for _ in range(4)] == [2, 3, 4, None]


def test_inbox_that_was_cleared_may_be_used_again(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    for i in range(5000):
        inbox.append(i)
    inbox.clear()
    assert not inbox
    inbox.append("a")
    assert list(inbox) == ["a"]


class Item:
    alive = 0

    def __init__(self) -> None:
        Item.alive += 1

    def __del__(self) -> None:
        Item.alive -= 1


@pytest.mark.parametrize("end", ["popleft", "pop", "clear", "drop", "iterate"])
def test_inbox_keeps_nothing_that_it_gave_up(wire: ModuleType, end: str) -> None:
    Item.alive = 0
    inbox = wire.MessageQueue()
    for _ in range(2000):
        inbox.append(Item())
    assert Item.alive == 2000

    if end in ("popleft", "pop"):
        while inbox:
            getattr(inbox, end)()
    elif end == "clear":
        inbox.clear()
    else:
        if end == "iterate":
            assert len(list(inbox)) == 2000
        del inbox
    gc.collect()

    assert Item.alive == 0


@given(
    st.lists(
        st.one_of(
            st.integers(1, 40),
            st.integers(-40, -1),
            st.sampled_from(["pop", "clear", "list", 3000, -3000]),
        ),
        max_size=30,
    )
)
def test_inbox_does_what_a_deque_does(steps: list[Any]) -> None:
    for name in NAMES:
        inbox: Any = body("wire._wire", name).MessageQueue()
        model: deque[object] = deque()
        for count, act in enumerate(steps):
            if act == "clear":
                inbox.clear()
                model.clear()
            elif act == "pop":
                if model:
                    assert inbox.pop() is model.pop()
            elif act != "list":
                for i in range(abs(act)):
                    if act > 0:
                        item = (count, i)
                        inbox.append(item)
                        model.append(item)
                    elif model:
                        assert inbox.popleft() is model.popleft()
            assert list(inbox) == list(model)
            assert len(inbox) == len(model)
            assert bool(inbox) == bool(model)


def test_reader_puts_messages_straight_into_an_inbox(wire: ModuleType) -> None:
    inbox = wire.MessageQueue()
    frames: list[tuple[int, bytes]] = []
    reader = wire.FrameReader(
        lambda head, payload: frames.append((head, payload)), inbox, masked=False
    )

    reader.feed(frame(TEXT, "a") + frame(PING, b"p") + frame(BINARY, bytes(9000)))

    assert list(inbox) == ["a", bytes(9000)]
    assert frames == [(0x89, b"p")]
    assert reader.queued_bytes == 9001
