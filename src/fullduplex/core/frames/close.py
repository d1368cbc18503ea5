"""Close frames and codes, and the states of a connection as a table.

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
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..credentials import escape
from ..errors import ProtocolError, WebSocketException, diagnose_closed
from ..typing import BytesLike

MAX_REASON_SIZE = 123  # bytes; what the close code leaves of it


class CloseCode(enum.IntEnum):
    """Code for the end of a connection (RFC 6455, 7.4.1, and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    # 1004 is reserved.
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: Mapping[int, str] = {
    CloseCode.NORMAL_CLOSURE: "OK",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no status received [internal]",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure [internal]",
    CloseCode.INVALID_DATA: "invalid frame payload data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure [internal]",
}
CLOSE_CODES = CLOSE_CODE_EXPLANATIONS

# Codes that are allowed in a close frame, besides 3000 to 4999 (RFC 6455, 7.4.1 and
# 7.4.2). 1005, 1006 and 1015 only stand for situations.
EXTERNAL_CLOSE_CODES = frozenset(
    set(CloseCode)
    - {
        CloseCode.NO_STATUS_RCVD,
        CloseCode.ABNORMAL_CLOSURE,
        CloseCode.TLS_HANDSHAKE,
    }
)

# Codes of a ConnectionClosedOK, on both sides.
OK_CLOSE_CODES = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
)

# C0 and C1, so that what a peer sent cannot drive a terminal or forge log lines.
_escaped_controls = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))
}


def explain_close_code(code: int) -> str:
    """Say in a few words what a close code means; ``unknown`` if nobody knows."""
    if 3000 <= code < 4000:
        return "registered"
    if 4000 <= code < 5000:
        return "private use"
    return CLOSE_CODE_EXPLANATIONS.get(code, "unknown")


@dataclass
class Close:
    """
    The payload of a close frame (RFC 6455, 5.5.1).

    Args:
        code: the close code.
        reason: at most 123 bytes in UTF-8.
    """

    code: int
    reason: str

    def __str__(self) -> str:
        text = f"{int(self.code)} ({explain_close_code(self.code)})"
        if self.reason:
            text += " " + escape(self.reason.translate(_escaped_controls))
        return text

    @classmethod
    def parse(cls, data: BytesLike) -> Close:
        """
        Decode the payload of a close frame.

        Args:
            data: unmasked payload; 0 to 125 bytes, checked by the caller.

        Returns:
            The code and the reason.  An empty payload gives 1005, the code that
            stands for "no code" and never travels (RFC 6455, 7.1.5).

        Raises:
            ProtocolError: the payload is one byte long, or its code must not be
                sent.  Fail the connection with 1002.
            UnicodeDecodeError: the reason is not UTF-8.  Fail it with 1007.
        """
        if len(data) == 0:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            raise ProtocolError("close frame has a payload of 1 byte; a code has 2")
        close = cls(int.from_bytes(data[:2], "big"), str(data[2:], "utf-8"))
        close.check()
        return close

    def serialize(self) -> bytes:
        """
        Encode the payload of a close frame.

        Raises:
            ProtocolError: the code must not be sent, or the reason is too long.
        """
        self.check()
        return self._pack()

    def _pack(self) -> bytes:  # for those who have checked it
        return struct.pack("!H", self.code) + str.encode(self.reason)

    def check(self) -> None:
        """
        Check that this may travel.

        Raises:
            ProtocolError: the code is none of 1000 to 1003, 1007 to 1014 and 3000
                to 4999, or the reason has more than 123 bytes or cannot be
                encoded.
        """
        if not (self.code in EXTERNAL_CLOSE_CODES or 3000 <= self.code < 5000):
            raise ProtocolError(
                f"close code is {int(self.code)}; allowed are 1000 to 1003, "
                f"1007 to 1014, and 3000 to 4999"
            )
        try:
            size = len(str.encode(self.reason))
        except UnicodeEncodeError as exc:
            raise ProtocolError(f"close reason cannot be encoded: {exc}") from exc
        if size > MAX_REASON_SIZE:
            raise ProtocolError(
                f"close reason has {size} bytes; allowed are {MAX_REASON_SIZE}"
            )


class State(enum.IntEnum):
    """State of a connection (RFC 6455, 4 and 7)."""

    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


class CloseEvent(enum.IntEnum):
    """Event that moves a connection from one state to another."""

    ACCEPTED = enum.auto()  # the opening handshake ended well
    CLOSE_SENT = enum.auto()  # a close frame was queued
    CLOSE_RECEIVED = enum.auto()  # a close frame was parsed
    TCP_ENDED = enum.auto()  # the transport is gone


# A pair that is absent is forbidden.  Peers are judged before a step is taken.
NEXT = {
    (State.CONNECTING, CloseEvent.ACCEPTED): State.OPEN,
    (State.CONNECTING, CloseEvent.TCP_ENDED): State.CLOSED,
    (State.OPEN, CloseEvent.CLOSE_SENT): State.CLOSING,
    (
        State.OPEN,
        CloseEvent.CLOSE_RECEIVED,
    ): State.OPEN,  # echoed in the same read, 5.5.1
    (State.OPEN, CloseEvent.TCP_ENDED): State.CLOSED,  # close code 1006, 7.1.5
    (State.CLOSING, CloseEvent.CLOSE_RECEIVED): State.CLOSING,  # both are now known
    (State.CLOSING, CloseEvent.TCP_ENDED): State.CLOSED,
    (State.CLOSED, CloseEvent.TCP_ENDED): State.CLOSED,  # drivers may report it twice
}


def next_state(state: State, step: CloseEvent) -> State:
    """Return the state that follows `state`; an absent pair is a bug of ours."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise AssertionError(f"{step.name} cannot happen in {state.name}") from None


def shorten_reason(reason: str) -> str:
    """Cut a reason to what fits into a close frame, at a whole character."""
    return str.encode(reason)[:MAX_REASON_SIZE].decode(errors="ignore")


# -- A connection has ended ----------------------------------------------------


class ConnectionClosed(WebSocketException):
    """
    The connection is closed; messages can no longer be exchanged.

    Raised by every operation that needs an open connection.  Messages received
    before the end are delivered first.  The connection is final: TCP is closed
    and :attr:`code` will not change.

    Catch this class to handle every closure.  ``__cause__`` tells, where it is
    known, what ended a connection that did not end with close frames.

    Args:
        rcvd: the close frame that was received, or None.
        sent: the close frame that was sent, or None.
        rcvd_then_sent: True if the peer's close frame came first; None unless there
            were both.
    """

    rcvd: Close | None
    sent: Close | None
    rcvd_then_sent: bool | None
    _diagnosis: Any = None
    # The endpoint that ended; asked when somebody wants to know more.
    _witness: Any = None

    def __init__(
        self,
        rcvd: Close | None,
        sent: Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        if (rcvd_then_sent is None) != (rcvd is None or sent is None):
            raise ValueError(
                "rcvd_then_sent must be True or False when both close frames are "
                "given, and None otherwise"
            )
        super().__init__(rcvd, sent, rcvd_then_sent)
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    def __str__(self) -> str:
        if self.rcvd is None:
            if self.sent is None:
                return "no close frame received or sent"
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"

    @property
    def code(self) -> int:
        """Code of the close frame received; 1006 if none was (RFC 6455, 7.1.5)."""
        return 1006 if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """Reason in the close frame received; empty if none was (7.1.6)."""
        return "" if self.rcvd is None else self.rcvd.reason

    @property
    def diagnosis(self) -> Any:
        """The `Diagnosis`: cause of the end, its layer, and the last observations.

        None for an exception that no connection has raised.
        """
        if self._diagnosis is None and self._witness is not None:
            self._diagnosis = diagnose_closed(self._witness)
        return self._diagnosis


class ConnectionClosedOK(ConnectionClosed):
    """
    The connection ended as it should.

    Close frames went both ways, each with code 1000 or 1001 or without a code.
    Iterating over a connection ends silently instead of raising it.
    """


class ConnectionClosedError(ConnectionClosed):
    """
    The connection ended in any other way.

    Either side reported an error, the network failed, or the peer vanished.
    ``__cause__`` is the exception behind it where there is one.
    """
