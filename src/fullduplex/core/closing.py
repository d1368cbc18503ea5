"""The life of a connection, as a table.

    state        true while in it
    ----------   -----------------------------------------------------------
    CONNECTING   no frame was sent or parsed
    OPEN         neither side sent a close frame; data may flow both ways
    CLOSING      a close frame was sent; we send no data, we still answer pings
    CLOSED       TCP ended; the close code is final and nothing more is sent

Rule: this table knows no side and no clock.  The caller decides which side closes TCP
first, and how long to wait for it.
"""

from __future__ import annotations

import enum

__all__ = ["MAX_REASON", "NEXT", "State", "Step", "after", "shorten"]

# Bytes of a reason that fit into a close frame beside the code, 5.5.
MAX_REASON = 123


class State(enum.IntEnum):
    """State of a connection (RFC 6455, 4 and 7)."""

    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


class Step(enum.IntEnum):
    """Event that moves a connection from one state to another."""

    ACCEPTED = enum.auto()  # the opening handshake ended well
    CLOSE_SENT = enum.auto()  # a close frame was queued
    CLOSE_RECEIVED = enum.auto()  # a close frame was parsed
    TCP_ENDED = enum.auto()  # the transport is gone


# A pair that is absent is forbidden.  Peers are judged before a step is taken.
NEXT = {
    (State.CONNECTING, Step.ACCEPTED): State.OPEN,
    (State.CONNECTING, Step.TCP_ENDED): State.CLOSED,
    (State.OPEN, Step.CLOSE_SENT): State.CLOSING,
    (State.OPEN, Step.CLOSE_RECEIVED): State.OPEN,  # echoed in the same read, 5.5.1
    (State.OPEN, Step.TCP_ENDED): State.CLOSED,  # close code 1006, 7.1.5
    (State.CLOSING, Step.CLOSE_RECEIVED): State.CLOSING,  # both are now known
    (State.CLOSING, Step.TCP_ENDED): State.CLOSED,
    (State.CLOSED, Step.TCP_ENDED): State.CLOSED,  # drivers may report it twice
}


def after(state: State, step: Step) -> State:
    """Return the state that follows `state`; an absent pair is a bug of ours."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise AssertionError(f"{step.name} cannot happen in {state.name}") from None


def shorten(reason: str) -> str:
    """Cut a reason to what fits into a close frame, at a whole character."""
    return str.encode(reason)[:MAX_REASON].decode(errors="ignore")
