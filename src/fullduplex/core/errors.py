"""Every exception of the library, and what state each one leaves things in.

    WebSocketException
        ConnectionClosed            a connection that was open has ended
            ConnectionClosedOK
            ConnectionClosedError
        InvalidURI, InvalidProxy    an address is wrong; nothing was opened
        InvalidHandshake            the opening handshake failed
            SecurityError, InvalidMessage, InvalidStatus, InvalidHeader,
            NegotiationError, ProxyError, ...
        ProtocolError               1002  a frame breaks RFC 6455
        PayloadTooBig               1009  a frame or message is over ``max_size``
        TooManyFragments            1009  a message has too many frames
        InvalidState, ConcurrencyError    the call is refused; nothing changed

Failures of TCP, DNS and TLS are never wrapped: they stay :exc:`OSError` and
:exc:`ssl.SSLError`.  A limit of time gives the builtin :exc:`TimeoutError`.

All of these can be copied and pickled.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ._errors_base import WebSocketException
from ._errors_handshake import (
    AbortHandshake,
    DuplicateParameter,
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidParameterName,
    InvalidParameterValue,
    InvalidProtocol,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidStatusCode,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    ProxyError,
    RedirectHandshake,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .frames import Close
    from .session import Session

__all__ = [
    "WebSocketException",
    "ConnectionClosed",
    "ConnectionClosedOK",
    "ConnectionClosedError",
    "InvalidURI",
    "InvalidProxy",
    "InvalidHandshake",
    "SecurityError",
    "RequestLineTooLong",
    "StatusLineTooLong",
    "HeaderLineTooLong",
    "TooManyHeaders",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidProtocol",
    "InvalidStatus",
    "InvalidStatusCode",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidOrigin",
    "InvalidUpgrade",
    "NegotiationError",
    "DuplicateParameter",
    "InvalidParameterName",
    "InvalidParameterValue",
    "AbortHandshake",
    "RedirectHandshake",
    "ProxyError",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "ConcurrencyError",
    "ProtocolError",
    "WebSocketProtocolError",
    "PayloadTooBig",
    "TooManyFragments",
]


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
    _diagnosis: Diagnosis | None = None
    # The session that ended; asked when somebody wants to know more.
    _witness: Session | None = None

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
    def diagnosis(self) -> Diagnosis | None:
        """Cause of the end of the connection, its layer, and the last observations.

        None for an exception that no connection has raised.
        """
        if self._diagnosis is None and self._witness is not None:
            # Imported here because it names what is defined here.
            from .diagnosis import of_closed

            self._diagnosis = of_closed(self._witness)
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


# -- Wrong use -----------------------------------------------------------------


class InvalidState(WebSocketException, AssertionError):
    """The operation is impossible in this state; nothing changed."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """
    Two operations that exclude each other run at once; the second is refused.

    The first one goes on undisturbed, and the connection stays as it was.
    """


# -- Frames --------------------------------------------------------------------


class ProtocolError(WebSocketException):
    """
    A frame breaks the protocol.

    For a frame to send: it is refused and nothing changed.  For a frame received:
    the connection is failed with code 1002, and applications see
    :exc:`ConnectionClosedError` with this exception as its cause.
    """


# The name in websockets until 10.
WebSocketProtocolError = ProtocolError


class PayloadTooBig(WebSocketException):
    """
    A frame or a message is larger than allowed.

    Found before the payload is read or inflated further.  The connection is
    failed with code 1009; applications see :exc:`ConnectionClosedError` with this
    exception as its cause.

    Args:
        size: bytes in the frame; None if unknown because it is still compressed.
        max_size: bytes allowed for the whole message.
        current_size: bytes of this message that arrived in earlier frames.
    """

    message: str | None
    size: int | None
    max_size: int | None
    current_size: int | None

    def __init__(
        self,
        size_or_message: int | str | None,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        super().__init__(size_or_message, max_size, current_size)
        if isinstance(size_or_message, str):
            warnings.warn(
                "PayloadTooBig(message) is deprecated; "
                "use PayloadTooBig(size, max_size)",
                DeprecationWarning,
                stacklevel=2,
            )
            self.message = size_or_message
            self.size = None
            self.max_size = None
            self.current_size = None
            return
        if max_size is None:
            raise TypeError("PayloadTooBig needs max_size")
        self.message = None
        self.size = size_or_message
        self.max_size = max_size
        self.current_size = current_size

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        before = ""
        if self.current_size:
            before = f" after {self.current_size:,} already received"
        if self.size is None:
            return f"message is larger than max_size, {self.max_size:,} bytes{before}"
        size = f"{self.size:,} bytes{before}"
        return f"frame has {size}; max_size is {self.max_size:,} bytes"

    def set_current_size(self, current_size: int | None) -> None:
        """
        Complete what was found by comparing one frame with the rest of a budget.

        Args:
            current_size: bytes of this message that arrived in earlier frames;
                they are added to :attr:`max_size` too, which was lower by them.
        """
        if current_size and self.current_size is None and self.max_size is not None:
            self.current_size = current_size
            self.max_size += current_size


class TooManyFragments(WebSocketException):
    """
    A message has too many frames.

    The connection is failed with code 1009.

    Args:
        max_fragments: largest allowed number of bytes.
    """

    max_fragments: int

    def __init__(self, max_fragments: int) -> None:
        super().__init__(max_fragments)
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"message has more than {self.max_fragments:,} fragments"


# Tracebacks and pickles name this module, wherever a class is written.
for _name in __all__:
    globals()[_name].__module__ = __name__
