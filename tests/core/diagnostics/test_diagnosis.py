"""Who is named for which failure; ends of real connections are tested on the faces."""

from __future__ import annotations

import errno
import pickle
import socket
import ssl
from typing import Any

import pytest

from fullduplex.core.diagnostics.connect_trace import ConnectTrace
from fullduplex.core.diagnostics.diagnosis import Diagnosis, blame, of_failure
from fullduplex.core.errors import InvalidHeader, InvalidMessage, SecurityError
from fullduplex.core.frames.close import ConnectionClosed
from fullduplex.core.handshake.errors import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
)
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Response

from ...kit.bytes import frame
from ...kit.pair import deliver, lose, make_session, rest_of


def caused(exc: BaseException, cause: BaseException) -> BaseException:
    exc.__cause__ = cause
    return exc


REFUSED = Response(403, "No\x1b", Headers(), b"")
FAILURES: list[tuple[BaseException, str, str]] = [
    (InvalidStatus(REFUSED), "peer", "handshake"),
    (InvalidProxyStatus(REFUSED), "network", "proxy"),
    (InvalidProxyMessage("nonsense"), "network", "proxy"),
    (InvalidHeader("Upgrade"), "we", "handshake"),
    (SecurityError("too many redirects"), "we", "handshake"),
    (caused(InvalidMessage("no"), EOFError("early")), "peer", "FIN"),
    (caused(InvalidMessage("no"), ConnectionResetError()), "peer", "RST"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "peer", "RST"),
    (TimeoutError("open_timeout is 10 s"), "we", "timeout"),
    (TimeoutError(errno.ETIMEDOUT, "timed out"), "network", "timeout"),
    (OSError(errno.EHOSTUNREACH, "no route"), "network", "TCP"),
    (socket.gaierror(-2, "unknown"), "network", "DNS"),
    (ssl.SSLCertVerificationError(1, "wrong name"), "we", "TLS"),
    (ssl.SSLError(1, "handshake failure"), "peer", "TLS"),
    (
        ExceptionGroup("all failed", [OSError("a"), ConnectionRefusedError("b")]),
        "peer",
        "RST",
    ),
    (ValueError("wrong"), "we", "handshake"),
]


@pytest.mark.parametrize(
    ("exc", "ended_by", "layer"), FAILURES, ids=lambda item: type(item).__name__
)
def test_failure_has_a_party_a_layer_and_a_reason(
    exc: BaseException, ended_by: str, layer: str
) -> None:
    diagnosis = of_failure(exc)

    assert (diagnosis.ended_by, diagnosis.layer) == (ended_by, layer)
    assert diagnosis.reason
    assert diagnosis.reason.isprintable()


def test_causes_are_part_of_the_reason() -> None:
    exc = caused(InvalidProxyMessage("did not receive"), ValueError("bad line\n"))

    assert of_failure(exc).reason == "did not receive: bad line\\n"


def test_exceptions_of_the_system_get_a_diagnosis_too() -> None:
    opening = ConnectTrace("ws://a:b@c/", 0)
    opening.redirected("ws://d/")
    opening.tried(("1.2.3.4", 80), ConnectionRefusedError("refused"))
    opening.mark("dns", 1)
    exc: Any = ConnectionRefusedError("refused")

    blame(exc, opening)

    diagnosis: Diagnosis = exc.diagnosis
    assert diagnosis.uri == "ws://***@c/"
    assert diagnosis.redirects == ("ws://d/",)
    assert diagnosis.addresses == (("1.2.3.4:80", "refused"),)
    assert diagnosis.phases == {"dns": 1}
    assert pickle.loads(pickle.dumps(diagnosis)) == diagnosis


def test_diagnosis_of_a_handshake_error_is_replaced_by_one_that_knows_more() -> None:
    exc = InvalidStatus(REFUSED)
    assert exc.diagnosis.uri is None
    assert exc.diagnosis is exc.diagnosis

    blame(exc, ConnectTrace("ws://a/", 0))

    assert exc.diagnosis.uri == "ws://a/"
    assert exc.diagnosis.response == REFUSED


def test_closing_builds_no_diagnosis_until_somebody_asks() -> None:
    session = make_session()
    deliver(session, frame(1, "a"), 1)
    lose(session, None, 2)

    _, exc = rest_of(session)

    assert "_diagnosis" not in vars(exc)
    assert exc.diagnosis is not None
    assert exc.diagnosis.stats is not None
    assert exc.diagnosis.stats.messages_received == 1
    assert exc.diagnosis.stats.received_age == 1


def test_exception_that_was_made_by_hand_has_no_diagnosis() -> None:
    assert ConnectionClosed(None, None).diagnosis is None
