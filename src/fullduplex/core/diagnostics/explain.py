"""Report about a connection, or about an attempt to connect, as text for people.

Values chosen by the other side are shown so that they cannot act on a terminal.  The
values of headers with credentials are hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..credentials import display_header, escape
from ..endpoint.not_open import NOT_OPEN
from ..frames.close import State
from ..http.messages import Request, Response
from .connect_trace import PHASES, ConnectTrace, show_address
from .diagnosis import Diagnosis, of_closed, of_failure
from .stats import Rtt, Stats

# Characters of a header's value, and of a body, that are shown.
LONGEST = 300

Rows = Iterable[tuple[str, str]]


class Explained(Protocol):
    """Attributes that `explain` reads of a connection."""

    opening: ConnectTrace | None
    subprotocol: str | None
    _session: Any

    @property
    def request(self) -> Request | None: ...
    @property
    def response(self) -> Response | None: ...
    @property
    def state(self) -> State: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def extensions(self) -> Any: ...
    @property
    def local_address(self) -> Any: ...
    @property
    def remote_address(self) -> Any: ...
    def _now(self) -> float: ...


def explain(connection: Explained, tls: Any = None) -> str:
    """
    Tell the story of a connection, live or dead.

    Args:
        tls: its `ssl.SSLObject`, or what has the same methods; None without TLS.
    """
    session = connection._session
    parts = [
        _section("opening", _opening(connection.opening, connection)),
        _section("TLS", tls_lines(tls)),
        *_heads(connection.request, connection.response),
    ]
    if session is NOT_OPEN:
        return "\n".join([f"connection {connection.state.name}", *filter(None, parts)])
    stats = connection.stats
    parts.append(_section("agreed", _agreed(connection)))
    parts.append(_section("traffic", _traffic(stats)))
    parts.append(_section("liveness", _liveness(stats)))
    if session.tcp_close.ended_at is not None:
        diagnosis = of_closed(session)
        title = f"connection CLOSED, was open for {_seconds(diagnosis.lasted or 0)}"
        parts.append(_section("end", _end(diagnosis, str(session.protocol.close_exc))))
    else:
        age = connection._now() - session.opened_at
        title = f"connection {connection.state.name}, open for {_seconds(age)}"
    return "\n".join([title, *filter(None, parts)])


def explain_failure(exc: BaseException, opening: ConnectTrace | None = None) -> str:
    """
    Tell the story of an attempt that failed.

    Args:
        exc: exception that `connect` raised.
        opening: trace of the attempt, if `exc` has none.
    """
    diagnosis = getattr(exc, "diagnosis", None)
    if not isinstance(diagnosis, Diagnosis) or (opening and not diagnosis.uri):
        diagnosis = of_failure(exc, opening)
    return "\n".join(
        filter(
            None,
            [
                "connection refused or failed",
                _section("opening", _known(diagnosis)),
                *_heads(None, diagnosis.response),
                _section("end", _end(diagnosis, str(exc))),
            ],
        )
    )


def _section(title: str, rows: Rows) -> str:
    lines = [f"    {name:<12} {printable(value)}".rstrip() for name, value in rows]
    return "\n".join([f"  {title}", *lines]) if lines else ""


# Opening


def _known(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    opening = ConnectTrace(diagnosis.uri or "", 0)
    if not diagnosis.uri:
        return
    for uri in diagnosis.redirects:
        opening.redirected(uri)
    opening.proxy, opening.proxy_reason = diagnosis.proxy, diagnosis.proxy_reason
    opening.addresses = list(diagnosis.addresses)
    opening.phases = diagnosis.phases
    yield from _opening(opening)


def _opening(
    opening: ConnectTrace | None, connection: Explained | None = None
) -> Iterator[tuple[str, str]]:
    if opening is not None:
        yield "asked", opening.trail[0]
        for uri in opening.trail[1:]:
            yield "redirected", uri
        if opening.proxy is not None or opening.proxy_reason is not None:
            why = f" ({opening.proxy_reason})" if opening.proxy_reason else ""
            yield "proxy", f"{opening.proxy or 'none'}{why}"
        for address, failure in opening.addresses:
            yield "tried", address if failure is None else f"{address}: {failure}"
    if connection is not None:
        for name, address in (
            ("local", connection.local_address),
            ("remote", connection.remote_address),
        ):
            if address:
                yield name, show_address(address)
    if opening is not None and opening.phases:
        order = {name: place for place, name in enumerate(PHASES)}
        phases = sorted(
            opening.phases.items(), key=lambda item: order.get(item[0], len(order))
        )
        shown = [f"{name} {milliseconds(seconds)}" for name, seconds in phases]
        total = milliseconds(sum(opening.phases.values()))
        yield "timings", ", ".join([*shown, f"total {total}"])


def tls_lines(tls: Any) -> Iterator[tuple[str, str]]:
    """Yield what is known of TLS: version, cipher, and whose certificate it is."""
    if tls is None:
        return
    version, cipher = tls.version(), tls.cipher()
    if version is None or cipher is None:
        return
    yield "version", version
    yield "cipher", f"{cipher[0]}, {cipher[2]} bits"
    certificate = tls.getpeercert()
    if certificate:
        names = [value for _, value in certificate.get("subjectAltName", ())]
        for name, value in (
            ("subject", _distinguished(certificate.get("subject", ()))),
            ("names", ", ".join(names)),
            ("issuer", _distinguished(certificate.get("issuer", ()))),
            ("until", certificate.get("notAfter", "")),
        ):
            if value:
                yield name, value
    else:
        yield "certificate", "not checked"


def _distinguished(name: Any) -> str:
    return ", ".join(f"{key}={value}" for part in name for key, value in part)


def _heads(request: Request | None, response: Response | None) -> Iterator[str]:
    if request is not None:
        line = f"{request.method} {request.path} {request.protocol}"
        yield _head("request", line, request.headers)
    if response is not None:
        line = f"{response.protocol} {response.status_code} {response.reason_phrase}"
        yield _head("response", line, response.headers)
        if response.body:
            text = response.body[:LONGEST].decode(errors="backslashreplace")
            size = f"{len(response.body):,} bytes"
            yield f"  body, {size}\n    {printable(text)}"


def _head(title: str, start: str, headers: Any) -> str:
    lines = [f"  {title}", f"    {printable(start)}"]
    for name, value in headers.raw_items():
        lines.append(f"    {name}: {printable(display_header(name, value))}")
    return "\n".join(lines)


# Living


def _agreed(connection: Explained) -> Iterator[tuple[str, str]]:
    yield "subprotocol", connection.subprotocol or "none"
    names = [extension.name for extension in connection.extensions]
    yield "extensions", ", ".join(names) or "none"


def _traffic(stats: Stats) -> Iterator[tuple[str, str]]:
    for name, size, payload, count, age in (
        (
            "received",
            stats.bytes_received,
            stats.payload_received,
            stats.messages_received,
            stats.received_age,
        ),
        (
            "sent",
            stats.bytes_sent,
            stats.payload_sent,
            stats.messages_sent,
            stats.sent_age,
        ),
    ):
        last = "nothing yet" if age is None else f"the last {_seconds(age)} ago"
        yield name, f"{size:,} bytes; {count:,} messages of {payload:,} bytes; {last}"
    yield (
        "waiting",
        f"{stats.queue_messages:,} messages ({stats.queue_bytes:,} bytes) to be "
        f"received, {stats.write_buffer:,} bytes to be sent",
    )


def _liveness(stats: Stats) -> Iterator[tuple[str, str]]:
    yield "verdict", str(stats.verdict)
    yield "pings", f"{stats.pings_sent:,} sent, {stats.pings_answered:,} answered"
    if stats.rtt.count:
        yield "round trip", _rtt(stats.rtt)
    if stats.stalls:
        yield "stalls", f"{stats.stalls:,} of the application"


def _rtt(rtt: Rtt) -> str:
    return ", ".join(
        f"{name} {milliseconds(seconds)}"
        for name, seconds in (
            ("min", rtt.min),
            ("mean", rtt.mean),
            ("p50", rtt.p50),
            ("p99", rtt.p99),
        )
        if seconds is not None
    )


def _end(diagnosis: Diagnosis, text: str) -> Iterator[tuple[str, str]]:
    yield "by", f"{diagnosis.ended_by}, {diagnosis.layer}"
    yield "because", diagnosis.reason
    if text and text not in diagnosis.reason:
        yield "in short", text


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 10 else f"{seconds:.3f} s"


def milliseconds(seconds: float) -> str:
    """Return a duration as people read it: in milliseconds."""
    return f"{1000 * seconds:,.3g} ms" if seconds < 1 else f"{1000 * seconds:,.0f} ms"


def printable(text: str) -> str:
    """Return text in one line, cut, with what acts on a terminal as escapes."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    return escape(text)
