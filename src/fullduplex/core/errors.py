"""Every exception of the library, and the state that it leaves a connection in.

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
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from .credentials import HIDDEN, display_address, escape, is_secret

# Functions that make a `Diagnosis`.  The package `diagnostics` stands above this
# module, so it registers them when it is imported.
_diagnosing: list[Callable[[Any], Any]] = []


def register_diagnoses(*functions: Callable[[Any], Any]) -> None:
    """
    Take the functions that work out a diagnosis.

    Args:
        functions: of an exception of the opening handshake, and of an endpoint that
            has ended.
    """
    _diagnosing[:] = functions


def diagnose_failure(exc: InvalidHandshake) -> Any:
    """Return the `Diagnosis` of a failed opening handshake."""
    if not _diagnosing:
        import_module("fullduplex.core.diagnostics.diagnosis")
    return _diagnosing[0](exc)


def diagnose_closed(endpoint: Any) -> Any:
    """Return the `Diagnosis` of an endpoint that has ended."""
    if not _diagnosing:
        import_module("fullduplex.core.diagnostics.diagnosis")
    return _diagnosing[1](endpoint)


def _rebuild(
    cls: type[WebSocketException], args: tuple[Any, ...]
) -> WebSocketException:
    exc = cls.__new__(cls, *args)
    exc.args = args
    return exc


class WebSocketException(Exception):
    """Base of all exceptions defined here."""

    def __init_subclass__(cls, **kwds: Any) -> None:
        super().__init_subclass__(**kwds)
        # Tracebacks and pickles name the public module.
        if cls.__module__.startswith("fullduplex.core."):
            cls.__module__ = "fullduplex.exceptions"

    # BaseException would call the class with ``args``, which fails for every
    # constructor that does not keep its arguments there.
    def __reduce__(self) -> tuple[Any, ...]:
        state = self.__dict__.copy()
        # A connection cannot be pickled; what it has to say can.
        if state.pop("_witness", None) is not None:
            state["_diagnosis"] = self.diagnosis  # type: ignore[attr-defined]
        return _rebuild, (type(self), self.args), state


WebSocketException.__module__ = "fullduplex.exceptions"


E = TypeVar("E", bound=BaseException)


def without_traces(exc: E) -> E:
    """
    Return an exception that was caught, without the frames that it has passed.

    A connection remembers what ended it, and the frames lead back to the connection:
    its memory would wait for the garbage collector.
    """
    link: BaseException | None = exc
    while link is not None and link.__traceback__ is not None:
        link.__traceback__ = link.__context__ = None
        link = link.__cause__
    return exc


# -- Addresses -----------------------------------------------------------------


class InvalidURI(WebSocketException, ValueError):
    """
    A WebSocket URI cannot be used.

    Raised when the URI is parsed, before anything is opened; also when a
    redirect leads to such a URI.  It is a :exc:`ValueError` too, because a URI
    is an argument like any other.

    Args:
        uri: the URI; user name and password are left out of the
            text, and of ``repr()``.
        msg: the rule that it breaks.
    """

    uri: str
    msg: str

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{display_address(self.uri)} isn't a valid URI: {self.msg}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({display_address(self.uri)!r}, {self.msg!r})"


class InvalidProxy(WebSocketException, ValueError):
    """
    The address of a proxy cannot be used; nothing was opened.

    Args:
        proxy: the address; user name and password are left out of the
            text, and of ``repr()``.
        msg: the rule that it breaks.
    """

    proxy: str
    msg: str

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{display_address(self.proxy)} isn't a valid proxy: {self.msg}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({display_address(self.proxy)!r}, {self.msg!r})"


# -- The opening handshake -----------------------------------------------------


class InvalidHandshake(WebSocketException):
    """
    The opening handshake failed.

    Base of what follows.  No connection was made; a client's socket is closed, a
    server answers with an HTTP error where that is still possible.
    """

    _diagnosis: Any = None

    @property
    def diagnosis(self) -> Any:
        """The `Diagnosis`: cause of the refusal, its layer, facts of the attempt."""
        if self._diagnosis is None:
            self._diagnosis = diagnose_failure(self)
        return self._diagnosis

    @diagnosis.setter
    def diagnosis(self, diagnosis: Any) -> None:
        self._diagnosis = diagnosis


class SecurityError(InvalidHandshake):
    """
    A rule that protects this side was broken during the handshake.

    A limit on the size of HTTP messages or on redirects was exceeded, or a
    redirect would have given up TLS.
    """


class RequestLineTooLong(SecurityError):
    """The first line of a request is over ``MAX_LINE_LENGTH``; answered with 414."""


class StatusLineTooLong(SecurityError):
    """The first line of a response is over ``MAX_LINE_LENGTH``."""


class HeaderLineTooLong(SecurityError):
    """A header line is over ``MAX_LINE_LENGTH``; a server answers with 431."""


class TooManyHeaders(SecurityError):
    """There are more than ``MAX_NUM_HEADERS`` headers; a server answers with 431."""


class InvalidMessage(InvalidHandshake):
    """
    The peer did not send a valid HTTP/1.1 message.

    ``__cause__`` tells why: :exc:`EOFError` when it ended too early,
    :exc:`ValueError` when it is malformed, :exc:`SecurityError` when it is too
    large.
    """


class InvalidMethod(InvalidHandshake):
    """
    The request's method is not GET; answered with 405.

    Args:
        method: the method received.
    """

    method: str

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def __str__(self) -> str:
        return f"invalid HTTP method; expected GET; got {self.method[:64]}"


class InvalidProtocol(InvalidHandshake):
    """
    The request's version is not HTTP/1.1; answered with 505.

    Args:
        protocol: the version received, such as ``HTTP/1.0``.
    """

    protocol: str

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol

    def __str__(self) -> str:
        return f"invalid protocol; expected HTTP/1.1; got {self.protocol[:64]}"


class InvalidHeader(InvalidHandshake):
    """
    A header is missing, repeated or wrong.

    Args:
        name: the name of the header.
        value: the fault, or the bad value; None if the header is missing, ``""`` if it
            is empty.
    """

    name: str
    value: str | None

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if self.value == "":
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {escape(self.value)}"


class InvalidHeaderFormat(InvalidHeader):
    """
    A header does not follow its grammar.

    Args:
        name: the name of the header.
        error: the expected value.
        header: the whole value; the text shows the 64 characters around ``pos``.
        pos: where parsing stopped, an index into ``header``.
    """

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        start = max(0, pos - 32) if len(header) > 64 else 0
        shown = header[start : start + 64]
        if is_secret(name):
            shown = HIDDEN
        elif not shown.isprintable():
            shown = repr(shown)
        super().__init__(name, f"{error} at {pos} in {shown}")


class InvalidHeaderValue(InvalidHeader):
    """A header follows its grammar, but its value is not acceptable."""


class InvalidOrigin(InvalidHeader):
    """
    The request comes from an origin that is not allowed; answered with 403.

    Args:
        origin: the origin; None if the header is missing.
    """

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)


class InvalidUpgrade(InvalidHeader):
    """``Connection`` or ``Upgrade`` doesn't ask for WebSocket; answered with 426."""


class NegotiationError(InvalidHandshake):
    """Extensions or subprotocols could not be agreed upon."""


class DuplicateParameter(NegotiationError):
    """
    A parameter of an extension is given twice.

    Args:
        name: the name of the parameter.
    """

    name: str

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name[:64]}"


class InvalidParameterName(NegotiationError):
    """
    An extension has no parameter of this name.

    Args:
        name: the name of the parameter.
    """

    name: str

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name[:64]}"


class InvalidParameterValue(NegotiationError):
    """
    A parameter of an extension has a wrong value.

    Args:
        name: the name of the parameter.
        value: its value; None if it is missing.
    """

    name: str
    value: str | None

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if self.value == "":
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value[:64]}"


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
