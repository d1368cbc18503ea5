"""Cause of the end of a connection, or of a failure to open it.

Worked out when somebody asks: a connection that ends as it should pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..credentials import escape
from ..endpoint.keepalive import Verdict
from ..errors import InvalidHandshake, register_diagnoses
from ..handshake.errors import InvalidProxyStatus, InvalidStatus, ProxyError
from ..http.messages import Response
from .connect_trace import ConnectTrace
from .stats import Stats

if TYPE_CHECKING:
    from ..endpoint.endpoint import Endpoint


#: Bytes of a refused response's body that are kept.
MAX_BODY = 65536

Party = Literal["we", "peer", "network"]
Layer = Literal[
    "close frame", "handshake", "proxy", "TLS", "FIN", "RST", "TCP", "DNS", "timeout"
]


@dataclass(frozen=True)
class Diagnosis:
    """
    Cause of the end of a connection, or of a failure to open it.

    Attributes:
        ended_by: ``"we"``, ``"peer"``, or ``"network"``: what is between, a proxy
            included.
        layer: where: ``"close frame"``, ``"TLS"``, ``"FIN"`` (TCP was closed),
            ``"RST"`` (TCP was reset), ``"TCP"`` (it failed otherwise), ``"timeout"``,
            and while opening also ``"DNS"``, ``"proxy"`` and ``"handshake"``.
        reason: the same in a sentence, without credentials.
        verdict: state of the peer according to keepalive.
        stats: bytes, messages, the age of the last byte each way, what was queued,
            and round-trip times, all at the end; None if it was never open.
        lasted: seconds for which it was open; None if it never was.
        uri: the URI of the call, without credentials; None if it is not known.
        redirects: URIs that redirects led to, in order.
        proxy: URL of the proxy in use, without credentials; None without.
        proxy_reason: reason for this proxy, or for none; None if it is not known.
        addresses: each address that was tried, with its failure or None.
        phases: seconds that each phase of opening took, by its name.
        response: the response that refused the handshake, with at most 64 KiB of its
            body; None if there was none.
    """

    ended_by: Party
    layer: Layer
    reason: str
    verdict: Verdict = Verdict.ALIVE
    stats: Stats | None = None
    lasted: float | None = None
    uri: str | None = None
    redirects: tuple[str, ...] = ()
    proxy: str | None = None
    proxy_reason: str | None = None
    addresses: tuple[tuple[str, str | None], ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    response: Response | None = None

    def opened_by(self, opening: ConnectTrace | None) -> Diagnosis:
        """Return the same with what is known of the opening."""
        if opening is None:
            return self
        return replace(
            self,
            uri=opening.trail[0],
            redirects=tuple(opening.trail[1:]),
            proxy=opening.proxy,
            proxy_reason=opening.proxy_reason,
            addresses=tuple(opening.addresses),
            phases=dict(opening.phases),
        )


# An open connection has ended


def of_closed(session: Endpoint) -> Diagnosis:
    """Tell why a connection ended that was open; `session` has ended."""
    ended_by, layer, reason = _end(session)
    assert session.tcp_close.ended_at is not None
    return Diagnosis(
        ended_by,
        layer,
        reason,
        verdict=session.keepalive.verdict,
        stats=Stats.of(session, session.tcp_close.ended_at),
        lasted=session.tcp_close.ended_at - session.opened_at,
    ).opened_by(session.opening)


def _end(session: Endpoint) -> tuple[Party, Layer, str]:
    protocol = session.protocol
    fault, sent, rcvd = protocol.fault, protocol.close_sent, protocol.close_rcvd
    if session.keepalive.verdict is Verdict.DEAD_LINK:
        return "network", "timeout", str(fault)
    if session.keepalive.verdict is Verdict.STALLED_PEER:
        return "we", "timeout", str(fault)
    if rcvd is not None and (sent is None or protocol.close_rcvd_then_sent):
        return "peer", "close frame", f"the peer closed with {rcvd}"
    if sent is not None:
        reason = f"we closed with {sent}"
        if fault is not None and not isinstance(fault, (EOFError, OSError)):
            reason += f": {_named(fault)}"
        if rcvd is not None:
            return "we", "close frame", reason
        if session.tcp_close.close_timed_out:
            limit = f"{session.options.close_timeout:g} s (close_timeout)"
            reason += f"; the peer did not answer within {limit}"
            return "we", "timeout", reason
        return "we", "close frame", f"{reason}; TCP ended before the peer's answer"
    if isinstance(fault, OSError):
        return _broken(fault)
    if session.tcp_close.eof:
        return "peer", "FIN", "the peer closed TCP without a close frame"
    return "we", "TCP", "this side ended TCP without a close frame"


def _broken(exc: OSError) -> tuple[Party, Layer, str]:
    """Tell what is behind a failure of TCP or TLS."""
    text = _named(exc)
    # On PyPy, some classes of the module have another home.
    if any(kind.__module__ == "ssl" for kind in type(exc).__mro__):
        if "CertVerification" in type(exc).__name__:
            return "we", "TLS", f"the certificate was not accepted: {text}"
        return "peer", "TLS", f"TLS failed: {text}"
    if type(exc).__name__ in ("gaierror", "herror"):
        return "network", "DNS", f"the name was not resolved: {text}"
    if isinstance(exc, ConnectionRefusedError):
        return "peer", "RST", f"nobody listens there: {text}"
    if isinstance(exc, (ConnectionResetError, BrokenPipeError)):
        return "peer", "RST", f"TCP was reset, there or on the way: {text}"
    if isinstance(exc, ConnectionAbortedError):
        return "we", "TCP", text
    if isinstance(exc, TimeoutError):
        # With a number it is the system's, which got no answer.
        return "network" if exc.errno else "we", "timeout", text
    return "network", "TCP", text


# A connection was not opened


def of_failure(exc: BaseException, opening: ConnectTrace | None = None) -> Diagnosis:
    """Tell why a connection could not be opened."""
    ended_by, layer, reason = _failure(exc)
    response = None
    if isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
        response = exc.response
        if len(response.body or b"") > MAX_BODY:
            protocol = response.protocol
            response = replace(response, body=response.body[:MAX_BODY])
            response.protocol = protocol
    diagnosis = Diagnosis(ended_by, layer, reason, response=response)
    return diagnosis.opened_by(opening)


def _failure(exc: BaseException) -> tuple[Party, Layer, str]:
    if isinstance(exc, InvalidStatus):
        reason = f"the server answered {status_of(exc.response)}"
        return "peer", "handshake", reason + _cut(exc)
    if isinstance(exc, InvalidProxyStatus):
        reason = f"the proxy answered {_status(exc.response)}"
        return "network", "proxy", reason + _cut(exc)
    if isinstance(exc, ProxyError):
        return "network", "proxy", _named(exc)
    cause = exc.__cause__
    if isinstance(exc, InvalidHandshake) and isinstance(cause, OSError):
        return _broken(cause)
    if isinstance(exc, InvalidHandshake) and isinstance(cause, EOFError):
        return "peer", "FIN", f"the server closed TCP instead of answering: {cause}"
    if isinstance(exc, OSError):
        return _broken(exc)
    if isinstance(exc, BaseExceptionGroup):
        # Each address failed in its own way; the last one speaks for all.
        ended_by, layer, _ = _failure(exc.exceptions[-1])
        return ended_by, layer, _named(exc)
    return "we", "handshake", _named(exc)


def status_of(response: Response) -> str:
    """Say what a server answered instead of 101, and what kind of server does."""
    text = _status(response)
    if 200 <= response.status_code < 300:
        text += ": a web server, not a WebSocket server (at this path)"
    return text


def _status(response: Response) -> str:
    version = "HTTP/1.0" if response.protocol == "HTTP/1.0" else "HTTP"
    return f"{version} {response.status_code} {_shown(response.reason_phrase)}".rstrip()


def _cut(exc: BaseException) -> str:
    """Say why the body of a refusal is not whole."""
    cause = exc.__cause__
    return "" if cause is None else f"; its body is not whole: {_shown(str(cause))}"


def _named(exc: BaseException) -> str:
    """Return the text of an exception, and that of its cause."""
    text = _shown(str(exc)) or type(exc).__name__
    cause = exc.__cause__
    if cause is not None and str(cause) and str(cause) not in text:
        text += f": {_shown(str(cause))}"
    return text


def _shown(text: str) -> str:
    """Return text of a peer without what acts on a terminal."""
    return escape(text)


def blame(exc: BaseException, opening: ConnectTrace) -> None:
    """
    Give `exc` an attribute ``diagnosis``: why the connection was not opened.

    For exceptions of the system too, which `connect` never wraps.
    """
    exc.diagnosis = of_failure(exc, opening)  # type: ignore[attr-defined]


register_diagnoses(of_failure, of_closed)
