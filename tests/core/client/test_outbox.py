"""`Outbox`: nothing is lost silently, nothing is sent twice unless asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.client.outbox import Outbox, OutboxFull, Overflow


def filled(overflow: Overflow) -> Outbox:
    outbox = Outbox(2, overflow)
    assert outbox.put("a") == []
    assert outbox.put("b") == []
    return outbox


def test_one_too_many_is_rejected_by_default() -> None:
    outbox = filled("reject")
    with pytest.raises(OutboxFull, match="outbox is 2"):
        outbox.put("c")
    assert list(outbox.waiting) == ["a", "b"]


def test_one_too_many_is_dropped_with_drop_newest() -> None:
    outbox = filled("drop_newest")
    assert outbox.put("c") == ["c"]
    assert list(outbox.waiting) == ["a", "b"]


def test_the_oldest_is_dropped_with_drop_oldest() -> None:
    outbox = filled("drop_oldest")
    assert outbox.put("c") == ["a"]
    assert list(outbox.waiting) == ["b", "c"]


def test_sent_messages_without_a_sign_stop_further_ones() -> None:
    outbox = filled("reject")
    outbox.take()
    outbox.take()
    outbox.put("c")
    assert not outbox.ready()
    assert outbox.wants_mark()
    outbox.confirm(outbox.mark())
    assert outbox.ready()
    assert not outbox.sent


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0,), ValueError),
        ((True,), TypeError),
        ((1.5,), TypeError),
        ((1, "x"), ValueError),
    ],
)
def test_argument_out_of_range_is_refused(
    arguments: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Outbox(*arguments)


STEPS = st.lists(
    st.sampled_from(["put", "take", "mark", "confirm", "lost"]), max_size=200
)


@given(
    steps=STEPS,
    limit=st.integers(1, 5),
    overflow=st.sampled_from(["reject", "drop_oldest", "drop_newest"]),
    resend=st.booleans(),
)
def test_each_message_has_exactly_one_fate(
    steps: list[str], limit: int, overflow: Overflow, resend: bool
) -> None:
    outbox = Outbox(limit, overflow)
    fates: dict[int, str] = {}
    accepted = []
    attempts: list[int] = []
    marks: list[int] = []
    delivered: list[int] = []

    def note(messages: list[int], fate: str) -> None:
        for message in messages:
            assert message not in fates
            fates[message] = fate

    for number, step in enumerate(steps):
        if step == "put":
            try:
                note(outbox.put(number), "dropped")
            except OutboxFull:
                continue
            accepted.append(number)
        elif step == "take" and outbox.ready():
            attempts.append(outbox.take())
        elif step == "mark" and outbox.wants_mark():
            marks.append(outbox.mark())
        elif step == "confirm" and marks:
            before = list(outbox.sent)
            outbox.confirm(marks.pop(0))
            arrived = before[: len(before) - len(outbox.sent)]
            delivered += arrived
            note(arrived, "arrived")
        elif step == "lost":
            marks.clear()
            note(outbox.lost(resend=resend), "unsure")
        assert len(outbox.waiting) <= limit + (limit if resend else 0)
        assert len(outbox.sent) <= limit

    note(outbox.lost(), "unsure")
    note(outbox.give_up(), "closed")
    assert set(fates) == set(accepted)
    assert delivered == sorted(delivered)
    if not resend:
        assert attempts == sorted(set(attempts))
