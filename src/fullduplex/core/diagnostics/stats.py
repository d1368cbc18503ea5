"""Numbers about the traffic and the state of a connection, at one moment.

Counting costs nothing where messages pass: the wire layer counts, and the rest is
worked out when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..endpoint.keepalive import Verdict

if TYPE_CHECKING:
    from ..endpoint.endpoint import Endpoint
    from ..endpoint.pings import RoundTrips


@dataclass(frozen=True)
class Rtt:
    """
    Round-trip times of pings, in seconds; all but `count` are of the last 64.

    Attributes:
        count: number of measurements.
        min: the shortest; None before the first, as are all that follow.
        mean: the mean.
        p50: the median.
        p99: the time that one in a hundred exceeds.
        last: the latest; what `latency` says.
    """

    count: int = 0
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p99: float | None = None
    last: float | None = None


@dataclass(frozen=True)
class Stats:
    """
    A connection at one moment.  Bytes are those of frames, before TLS.

    Attributes:
        bytes_received: bytes that came in, since the connection was opened.
        bytes_sent: bytes that were queued to go out.
        payload_received: bytes in messages among them, compressed if they were.
        payload_sent: as `payload_received`, going out.
        messages_received: messages that were complete.
        messages_sent: messages that were queued.
        received_age: seconds since the last byte came in; None before the first.
        sent_age: seconds since the last byte was handed to the system; None before.
        queue_messages: messages and fragments that wait to be received.
        queue_bytes: bytes of them; text counts as characters.
        write_buffer: bytes that wait to be sent.
        pings_sent: pings, of the program and of keepalive.
        pings_answered: number of pings that were answered.
        stalls: number of times that the application did not read for a
            ``ping_timeout``.
        rtt: round-trip times of pings.
        verdict: state of the peer according to keepalive.
    """

    bytes_received: int = 0
    bytes_sent: int = 0
    payload_received: int = 0
    payload_sent: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    received_age: float | None = None
    sent_age: float | None = None
    queue_messages: int = 0
    queue_bytes: int = 0
    write_buffer: int = 0
    pings_sent: int = 0
    pings_answered: int = 0
    stalls: int = 0
    rtt: Rtt = Rtt()
    verdict: Verdict = Verdict.ALIVE

    @classmethod
    def of(cls, session: Endpoint, now: float, unsent: int = 0) -> Stats:
        """
        Take the numbers of a session.

        Args:
            now: the moment; that of the end for a connection that has ended.
            unsent: bytes that wait in the transport.
        """
        reader, writer, queue = session.reader, session.writer, session.messages
        received, sent = reader.total, writer.total + writer.pending
        if session.tcp_close.ended_at is not None:
            now = session.tcp_close.ended_at
        return cls(
            bytes_received=received,
            bytes_sent=sent,
            payload_received=reader.payload,
            payload_sent=writer.payload,
            messages_received=reader.count,
            messages_sent=writer.count,
            received_age=now - session.received_at if received else None,
            sent_age=now - session.sent_at if writer.total else None,
            queue_messages=len(queue),
            queue_bytes=session.unread_size() if queue else 0,
            write_buffer=writer.pending + unsent,
            pings_sent=session.pings.sent,
            pings_answered=session.pings.answered,
            stalls=session.keepalive.stalls,
            rtt=_rtt(session.pings.rtt),
            verdict=session.keepalive.verdict,
        )


def _rtt(history: RoundTrips | None) -> Rtt:
    """Work out what round-trip times say."""
    if history is None:
        return Rtt()
    *_, last = history.times
    times = sorted(history.times)
    return Rtt(
        count=history.count,
        min=times[0],
        mean=sum(times) / len(times),
        p50=percentile(times, 50),
        p99=percentile(times, 99),
        last=last,
    )


def percentile(ordered: list[float], percent: float) -> float:
    """Return what `percent` of the values do not exceed, between two neighbours."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
