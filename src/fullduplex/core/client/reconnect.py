"""State machine of a reconnecting client, the same for every face.

    what happened                              what follows
    -----------------------------------------  ----------------------------------------
    the application is done with a connection  the next one, at once
    a connection was lost that was useful      the first delay of a new row
    a connection was lost that was not         the next delay of the row
    the server restarts (1012)                 5 to 30 s, if the delays allow that much
    the server is overloaded (1013)            the next delay of the row, not less than
                                               half of what it could be
    opening failed, and may work later         the next delay, or ``Retry-After``
    opening failed, and will fail again        giving up: the exception is raised

A connection was useful if it was open for `Backoff.reset_after` seconds.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from ..endpoint.frame_protocol import FrameProtocol
from ..errors import InvalidMessage
from ..frames.close import OK_CLOSE_CODES, CloseCode, ConnectionClosed
from ..handshake.errors import InvalidProxyStatus, InvalidStatus
from ..http.dates import parse_http_date
from ..typing import LoggerLike
from .backoff import RESET_AFTER, Backoff

# The server is there, and says that it can't answer for now.
TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# Seconds after a service restart, so that all clients don't come at once.
RESTART_DELAY: Final = (5.0, 30.0)
# Seconds of Retry-After that are honoured, and by how much longer we may wait.
MAX_RETRY_AFTER: Final = 3600.0
RETRY_SPREAD: Final = 0.1

State = Literal["connecting", "open", "lost", "waiting", "given_up"]


@dataclass(frozen=True)
class Retry:
    """
    Meaning of a failure to connect.

    Args:
        transient: whether another attempt may succeed.
        reason: the cause, as text for people.
    """

    transient: bool
    reason: str


@dataclass(frozen=True)
class StateChange:
    """
    A change of state of a reconnecting client, as ``on_state`` gets it.

    Args:
        state: ``"connecting"``, ``"open"``, ``"lost"``, ``"waiting"`` or
            ``"given_up"``.
        attempt: number of attempts in a row without a useful connection.
        delay: seconds until the next attempt, if ``"waiting"``.
        reason: the event, as text for people; empty if there is nothing to tell.
        exception: exception of the attempt or of the connection, if there is one.
    """

    state: State
    attempt: int
    delay: float | None = None
    reason: str = ""
    exception: Exception | None = None


def classify(exc: Exception) -> Retry:
    """
    Tell whether connecting again may help, after this exception.

    It may after failures of the network: :exc:`OSError`, which includes DNS and TLS,
    and :exc:`TimeoutError`.  It may after a lost connection, and after a server or
    proxy that went away instead of answering.  It may also after the statuses 408, 425,
    429, 500, 502, 503 and 504, and those outside 100 to 599.  Otherwise the same will
    happen again.
    """
    if isinstance(exc, TimeoutError):
        return Retry(True, "it took too long")
    if isinstance(exc, OSError):
        return Retry(True, "the network failed")
    if isinstance(exc, ConnectionClosed):
        return Retry(True, "the connection was lost")
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return Retry(True, "the server went away")
    if isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
        status = exc.response.status_code
        who = "proxy" if isinstance(exc, InvalidProxyStatus) else "server"
        # RFC 9110, 15: what is no status of HTTP is taken for 500.
        if status in TRANSIENT_STATUS or not 100 <= status <= 599:
            return Retry(True, f"the {who} cannot answer for now (HTTP {status})")
        return Retry(False, f"the {who} refuses (HTTP {status})")
    return Retry(False, "the same would happen again")


def process_exception(exc: Exception) -> Exception | None:
    """
    Tell whether connecting again may help; see `classify`.

    Args:
        exc: the exception of an attempt to connect, or of a connection.

    Returns:
        ``None`` to connect again, or the exception to raise.
    """
    return None if classify(exc).transient else exc


class Reconnector:
    """
    Decide after each connection and each failure; `now` is the face's clock.

    Args:
        delays: makes the delays of a row, in seconds.
        judge: returns None for an exception that may pass, or what to raise.
        logger: where the changes are logged, at INFO.
        on_state: called with each `StateChange`.
        random: gives a number from 0 to below 1.
    """

    def __init__(
        self,
        delays: Callable[[], Iterator[float]],
        judge: Callable[[Exception], Exception | None],
        logger: LoggerLike,
        on_state: Callable[[StateChange], Any] | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._make = delays
        self._judge = judge
        self._logger = logger
        self._on_state = on_state
        self._random = random
        self._row: Iterator[float] | None = None
        self._opened_at = 0.0
        self._attempt = 0
        self._reset_after = getattr(delays, "reset_after", RESET_AFTER)
        self._most = getattr(delays, "max", RESTART_DELAY[1])

    def connecting(self) -> None:
        """Note that an attempt begins."""
        self._attempt += 1
        self._tell(StateChange("connecting", self._attempt))

    def opened(self, now: float) -> None:
        """Note that a connection is open."""
        self._opened_at = now
        self._tell(StateChange("open", self._attempt))

    def ended(self, protocol: FrameProtocol, now: float, *, done: bool) -> float | None:
        """
        Note that a connection has ended.

        Args:
            protocol: its frame level.
            done: whether it was open when the application was done with it.

        Returns:
            Seconds to wait, or None to connect at once.

        Raises:
            ConnectionClosed: there is no further delay.
        """
        if done or ended_by_us(protocol):
            self._row = None
            self._attempt = 0
            return None
        exc = protocol.close_exc
        self._logger.info("connection lost: %s", exc)
        self._tell(StateChange("lost", self._attempt, reason=str(exc), exception=exc))
        code = protocol.close_code
        if now - self._opened_at >= self._reset_after and (
            code != CloseCode.TRY_AGAIN_LATER
        ):
            self._row = None
            self._attempt = 0
        delay = self._next(exc)
        if code == CloseCode.SERVICE_RESTART:
            least, most = RESTART_DELAY
            spread = least + (most - least) * self._random()
            delay = max(delay, min(spread, self._most))
        elif code == CloseCode.TRY_AGAIN_LATER:
            # Full jitter may give almost nothing, which is not later.
            bound = getattr(self._make, "min", 0.0)
            delay = max(delay, bound / 2 * (1 + self._random()))
        return self._wait(delay, exc, "")

    def failed(self, exc: Exception, wall_clock: float) -> float:
        """
        Note that opening, or closing the connection before, raised `exc`.

        Args:
            wall_clock: seconds since 1970, to understand ``Retry-After``.

        Returns:
            Seconds to wait.

        Raises:
            Exception: `exc`, or what the judge says instead: it is of no use to try
                again, or there is no further delay.
        """
        try:
            verdict = self._judge(exc)
        except Exception as raised:
            verdict = raised
        if verdict is not None:
            self._give_up(exc, verdict)
        delay = self._next(exc)
        wanted = retry_after(exc, wall_clock)
        if wanted is not None:
            delay = max(delay, wanted * (1 + RETRY_SPREAD * self._random()))
        return self._wait(delay, exc, classify(exc).reason)

    def _next(self, exc: Exception) -> float:
        if self._row is None:
            self._row = iter(self._make())
        try:
            return next(self._row)
        except StopIteration:
            self._give_up(exc, exc)
        raise AssertionError

    def _wait(self, delay: float, exc: Exception, why: str) -> float:
        reason = f"{type(exc).__name__}: {exc}"
        self._logger.info(
            "connecting again in %.1f s%s%s",
            delay,
            f"; {why}: " if why else "; ",
            reason,
        )
        self._tell(StateChange("waiting", self._attempt, delay, why or reason, exc))
        return delay

    def _give_up(self, exc: Exception, verdict: Exception) -> None:
        reason = f"{type(verdict).__name__}: {verdict}"
        self._tell(
            StateChange("given_up", self._attempt, reason=reason, exception=verdict)
        )
        if verdict is exc:
            raise exc
        raise verdict from exc

    def _tell(self, change: StateChange) -> None:
        if self._on_state is None:
            return
        try:
            self._on_state(change)
        except Exception:
            # A callback that tells must not decide.
            self._logger.error("on_state failed", exc_info=True)


def ended_by_us(protocol: FrameProtocol) -> bool:
    """Whether our application closed the connection, and first."""
    sent = protocol.close_sent
    return (
        sent is not None
        and not protocol.close_rcvd_then_sent
        # We fail connections with other codes.
        and (sent.code in OK_CLOSE_CODES or sent.code >= 3000)
    )


def retry_after(exc: Exception, wall_clock: float) -> float | None:
    """
    Read ``Retry-After`` of a response that refused (RFC 9110, 10.2.3).

    Args:
        wall_clock: seconds since 1970.

    Returns:
        Seconds to wait, at most an hour; None if it is not there or makes no sense.
    """
    if not isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
        return None
    values = exc.response.headers.get_all("Retry-After")
    if not values:
        return None
    value = values[0].strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:10])
    else:
        date = parse_http_date(value)
        if date is None:
            return None
        seconds = date - wall_clock
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def delays_from(given: Any, defaults: Any) -> Backoff | Callable[[], Iterator[float]]:
    """
    Return what makes the delays.

    Args:
        given: ``reconnect_delays``.
        defaults: object with the attributes ``BACKOFF_INITIAL``, ``BACKOFF_MIN``,
            ``BACKOFF_MAX`` and ``BACKOFF_FACTOR``, which count where `given` is None.
    """
    if given is not None:
        return given  # type: ignore[no-any-return]
    return _usual(
        defaults.BACKOFF_INITIAL,
        defaults.BACKOFF_MIN,
        defaults.BACKOFF_MAX,
        defaults.BACKOFF_FACTOR,
    )


# A value that may be shared.
_usual = lru_cache(maxsize=8, typed=True)(Backoff)
