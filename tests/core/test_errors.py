"""What exceptions say, and that they survive copying and pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

from fullduplex import exceptions
from fullduplex.core.errors import (
    ConcurrencyError,
    DuplicateParameter,
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
    InvalidState,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    SecurityError,
    TooManyFragments,
    WebSocketException,
)
from fullduplex.core.frames.close import (
    Close,
    CloseCode,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from fullduplex.core.handshake.errors import (
    AbortHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidStatusCode,
    RedirectHandshake,
)
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Response

REFUSED = Response(403, "Forbidden", Headers({"X": "y"}), b"no")


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (ConnectionClosed(None, None), "no close frame received or sent"),
        (
            ConnectionClosedError(None, Close(1011, "keepalive ping timeout")),
            "sent 1011 (internal error) keepalive ping timeout; "
            "no close frame received",
        ),
        (
            ConnectionClosedError(Close(1002, ""), None),
            "received 1002 (protocol error); no close frame sent",
        ),
        (
            ConnectionClosedOK(Close(1000, "bye"), Close(1000, "bye"), True),
            "received 1000 (OK) bye; then sent 1000 (OK) bye",
        ),
        (
            ConnectionClosedOK(
                Close(1001, ""), Close(CloseCode.NORMAL_CLOSURE, ""), False
            ),
            "sent 1000 (OK); then received 1001 (going away)",
        ),
        (InvalidURI("|", "not a URI"), "| isn't a valid URI: not a URI"),
        (InvalidProxy("|", "not a URI"), "| isn't a valid proxy: not a URI"),
        (InvalidHandshake("failed"), "failed"),
        (SecurityError("too many redirects"), "too many redirects"),
        (InvalidMessage("no HTTP"), "no HTTP"),
        (InvalidMethod("POST"), "invalid HTTP method; expected GET; got POST"),
        (
            InvalidProtocol("HTTP/1.0"),
            "invalid protocol; expected HTTP/1.1; got HTTP/1.0",
        ),
        (InvalidStatus(REFUSED), "server rejected WebSocket connection: HTTP 403"),
        (InvalidStatusCode(REFUSED), "server rejected WebSocket connection: HTTP 403"),
        (
            InvalidStatusCode(502, Headers()),
            "server rejected WebSocket connection: HTTP 502",
        ),
        (InvalidProxyStatus(REFUSED), "proxy rejected connection: HTTP 403"),
        (InvalidHeader("Name"), "missing Name header"),
        (InvalidHeader("Name", ""), "empty Name header"),
        (InvalidHeader("Name", "value"), "invalid Name header: value"),
        (
            InvalidHeaderFormat("Name", "expected token", "a=|", 2),
            "invalid Name header: expected token at 2 in a=|",
        ),
        (InvalidHeaderValue("Name", "value"), "invalid Name header: value"),
        (InvalidOrigin("http://bad"), "invalid Origin header: http://bad"),
        (InvalidOrigin(None), "missing Origin header"),
        (InvalidUpgrade("Upgrade", "h2c"), "invalid Upgrade header: h2c"),
        (NegotiationError("unsupported"), "unsupported"),
        (DuplicateParameter("a"), "duplicate parameter: a"),
        (InvalidParameterName("a"), "invalid parameter name: a"),
        (InvalidParameterValue("a", None), "missing value for parameter a"),
        (InvalidParameterValue("a", ""), "empty value for parameter a"),
        (InvalidParameterValue("a", "8"), "invalid value for parameter a: 8"),
        (AbortHandshake(200, Headers(), b"OK\n"), "HTTP 200, 0 headers, 3 bytes"),
        (RedirectHandshake("wss://h"), "redirect to wss://h"),
        (InvalidState("closed"), "closed"),
        (ConcurrencyError("busy"), "busy"),
        (ProtocolError("bad"), "bad"),
        (
            PayloadTooBig(None, 4),
            "message is larger than max_size, 4 bytes",
        ),
        (PayloadTooBig(5000, 4), "frame has 5,000 bytes; max_size is 4 bytes"),
        (
            PayloadTooBig(2, 4, 3),
            "frame has 2 bytes after 3 already received; max_size is 4 bytes",
        ),
        (TooManyFragments(4096), "message has more than 4,096 fragments"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_exception_when_shown_copied_or_pickled_keeps_its_text(
    exc: WebSocketException, text: str
) -> None:
    assert str(exc) == text
    for other in (copy.copy(exc), pickle.loads(pickle.dumps(exc))):
        assert type(other) is type(exc)
        assert str(other) == text
        assert repr(other) == repr(exc)
        assert other.args == exc.args
        assert vars(other) == vars(exc)


def test_exceptions_are_all_public_and_documented() -> None:
    for name in exceptions.__all__:
        cls = getattr(exceptions, name)
        assert issubclass(cls, WebSocketException)
        assert cls.__doc__
        assert cls.__module__ == "fullduplex.exceptions"


def test_connection_closed_when_nothing_was_received_has_code_1006() -> None:
    exc = ConnectionClosed(None, Close(1000, "bye"))
    assert (exc.code, exc.reason) == (1006, "")


def test_connection_closed_when_a_close_frame_was_received_has_its_code() -> None:
    exc = ConnectionClosed(Close(4001, "why"), None)
    assert (exc.code, exc.reason) == (4001, "why")


@pytest.mark.parametrize(
    "args", [(None, None, True), (Close(1000, ""), Close(1000, ""), None)]
)
def test_connection_closed_when_the_order_contradicts_the_frames_is_refused(
    args: tuple[Close | None, Close | None, bool | None],
) -> None:
    with pytest.raises(ValueError, match="rcvd_then_sent"):
        ConnectionClosed(*args)


def test_invalid_uri_is_a_value_error() -> None:
    assert issubclass(InvalidURI, ValueError)


def test_invalid_uri_when_shown_hides_credentials_and_control_characters() -> None:
    exc = InvalidURI("ws://user:secret@h/\n\x1b[31m", "wrong")
    assert str(exc) == "ws://***@h/\\n\\x1b[31m isn't a valid URI: wrong"
    assert exc.uri == "ws://user:secret@h/\n\x1b[31m"


def test_invalid_status_code_when_caught_has_both_generations_attributes() -> None:
    exc = InvalidStatusCode(REFUSED)
    assert isinstance(exc, InvalidStatus)
    assert exc.response is REFUSED
    assert exc.status_code == 403
    assert exc.headers["x"] == "y"


def test_invalid_status_code_when_made_from_a_number_has_a_response() -> None:
    assert InvalidStatusCode(404).response == Response(404, "", Headers())
    with pytest.raises(TypeError, match="headers"):
        InvalidStatusCode(REFUSED, Headers())


def test_invalid_header_format_when_the_header_is_long_shows_the_place() -> None:
    exc = InvalidHeaderFormat("Name", "expected token", "a" * 9000 + "|\n", 9000)
    assert str(exc).endswith(" at 9000 in '" + "a" * 32 + "|\\n'")


def test_payload_too_big_when_completed_knows_the_limit_of_the_message() -> None:
    exc = PayloadTooBig(8, 5)
    exc.set_current_size(3)
    exc.set_current_size(3)
    assert (exc.size, exc.max_size, exc.current_size) == (8, 8, 3)


def test_payload_too_big_when_made_from_a_message_warns() -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        exc = PayloadTooBig("over the limit")
    assert str(exc) == "over the limit"
    with pytest.raises(TypeError, match="max_size"):
        PayloadTooBig(5)
