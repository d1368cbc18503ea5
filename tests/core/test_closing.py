"""The life of a connection: the table itself."""

from __future__ import annotations

import itertools

import pytest

from fullduplex.core.closing import NEXT, State, Step, after

EXPECTED = {
    (State.CONNECTING, Step.ACCEPTED): State.OPEN,
    (State.CONNECTING, Step.TCP_ENDED): State.CLOSED,
    (State.OPEN, Step.CLOSE_SENT): State.CLOSING,
    (State.OPEN, Step.CLOSE_RECEIVED): State.OPEN,
    (State.OPEN, Step.TCP_ENDED): State.CLOSED,
    (State.CLOSING, Step.CLOSE_RECEIVED): State.CLOSING,
    (State.CLOSING, Step.TCP_ENDED): State.CLOSED,
    (State.CLOSED, Step.TCP_ENDED): State.CLOSED,
}


@pytest.mark.parametrize(("state", "step"), [*itertools.product(State, Step)])
def test_after_goes_where_the_table_says_and_nowhere_else(
    state: State, step: Step
) -> None:
    if (state, step) in EXPECTED:
        assert after(state, step) is EXPECTED[state, step]
    else:
        with pytest.raises(AssertionError, match=f"{step.name} cannot happen in"):
            after(state, step)


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
    assert all(after(state, Step.TCP_ENDED) is State.CLOSED for state in State)
