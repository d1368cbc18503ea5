"""The life of a connection: the table itself."""

from __future__ import annotations

import itertools

import pytest

from fullduplex.core.frames.close import NEXT, CloseEvent, State, next_state

EXPECTED = {
    (State.CONNECTING, CloseEvent.ACCEPTED): State.OPEN,
    (State.CONNECTING, CloseEvent.TCP_ENDED): State.CLOSED,
    (State.OPEN, CloseEvent.CLOSE_SENT): State.CLOSING,
    (State.OPEN, CloseEvent.CLOSE_RECEIVED): State.OPEN,
    (State.OPEN, CloseEvent.TCP_ENDED): State.CLOSED,
    (State.CLOSING, CloseEvent.CLOSE_RECEIVED): State.CLOSING,
    (State.CLOSING, CloseEvent.TCP_ENDED): State.CLOSED,
    (State.CLOSED, CloseEvent.TCP_ENDED): State.CLOSED,
}


@pytest.mark.parametrize(("state", "step"), [*itertools.product(State, CloseEvent)])
def test_after_goes_where_the_table_says_and_nowhere_else(
    state: State, step: CloseEvent
) -> None:
    if (state, step) in EXPECTED:
        assert next_state(state, step) is EXPECTED[state, step]
    else:
        with pytest.raises(AssertionError, match=f"{step.name} cannot happen in"):
            next_state(state, step)


def test_states_have_the_numbers_of_websockets() -> None:
    assert [(state.name, state.value) for state in State] == [
        ("CONNECTING", 0),
        ("OPEN", 1),
        ("CLOSING", 2),
        ("CLOSED", 3),
    ]


def test_no_step_leads_back() -> None:
    assert all(new >= old for (old, _), new in NEXT.items())


def test_every_state_can_end() -> None:
    assert all(
        next_state(state, CloseEvent.TCP_ENDED) is State.CLOSED for state in State
    )
