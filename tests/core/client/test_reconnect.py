"""Delays between attempts, and which failures are worth another one."""

from __future__ import annotations

import itertools
import logging
import math
import socket
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.client.backoff import Backoff, backoff
from fullduplex.core.client.reconnect import Reconnector, StateChange, process_exception
from fullduplex.core.endpoint.frame_protocol import FrameProtocol, Side
from fullduplex.core.errors import (
    InvalidHandshake,
    InvalidMessage,
    InvalidURI,
    SecurityError,
)
from fullduplex.core.frames.close import ConnectionClosedError
from fullduplex.core.handshake.errors import (
    InvalidProxyStatus,
    InvalidStatus,
    InvalidStatusCode,
)
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Response


def test_default_delays_grow_from_a_random_one_to_the_limit() -> None:
    delays = list(itertools.islice(backoff(random=lambda: 0.5), 12))
    expected = [2.5, 3.1, 5.02, 8.12, 13.13, 21.25, 34.38, 55.62, 90, 90, 90, 90]
    assert delays == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("number", "delay"), [(0.0, 0.0), (0.999, 4.995)])
def test_the_first_delay_is_random(number: float, delay: float) -> None:
    assert next(backoff(random=lambda: number)) == pytest.approx(delay)


def test_delays_can_be_chosen() -> None:
    delays = backoff(1, 2, 10, 2, random=lambda: 0.5)
    assert list(itertools.islice(delays, 6)) == [0.5, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"min_delay": 3, "max_delay": 2}, [2, 2, 2]),
        ({"min_delay": 0}, [0, 0, 0]),
        ({"min_delay": 0, "max_delay": 0}, [0, 0, 0]),
        ({"factor": 1}, [3.1, 3.1, 3.1]),
    ],
)
def test_limits_of_the_arguments_are_sound(
    arguments: dict[str, Any], expected: list[float]
) -> None:
    assert list(itertools.islice(backoff(**arguments), 1, 4)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"initial_delay": -1},
        {"min_delay": math.nan},
        {"max_delay": math.inf},
        {"factor": 0.5},
        {"factor": math.nan},
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        backoff(**arguments)


def refusal(status: int) -> Response:
    return Response(status, "", Headers())


def caused(exc: Exception, cause: BaseException) -> Exception:
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    "exc",
    [
        OSError(),
        ConnectionRefusedError(),
        socket.gaierror(),
        ssl.SSLError(),
        TimeoutError(),
        caused(InvalidMessage("x"), EOFError()),
        *(InvalidStatus(refusal(status)) for status in (429, 500, 502, 503, 504)),
        InvalidStatusCode(refusal(503)),
        InvalidProxyStatus(refusal(503)),
        ConnectionClosedError(None, None),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(exc: Exception) -> None:
    assert process_exception(exc) is None


@pytest.mark.parametrize(
    "exc",
    [
        caused(InvalidMessage("x"), ValueError()),
        InvalidMessage("x"),
        *(InvalidStatus(refusal(s)) for s in (200, 301, 401, 404, 501, 505)),
        InvalidProxyStatus(refusal(407)),
        InvalidHandshake("x"),
        InvalidURI("x", "y"),
        SecurityError("x"),
        TypeError(),
        ValueError(),
    ],
    ids=repr,
)
def test_what_will_happen_again_is_raised(exc: Exception) -> None:
    assert process_exception(exc) is exc


# The machine.


class Clock:
    """A clock that is moved, and a random number that is set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.number = 0.5

    def random(self) -> float:
        return self.number


class Machine(Reconnector):
    """A machine that notes what it tells."""

    def __init__(self, delays: Any = None, judge: Any = process_exception) -> None:
        self.clock = Clock()
        self.changes: list[StateChange] = []
        super().__init__(
            delays or Backoff(initial=2, min=4, max=16, factor=2, jitter=0),
            judge,
            logging.getLogger("test"),
            self.changes.append,
            self.clock.random,
        )

    def lose(self, code: int = 1001, after: float = 0.0) -> float | None:
        """Open a connection, and have the server close it `after` seconds."""
        self.connecting()
        self.opened(self.clock.now)
        self.clock.now += after
        return self.ended(closed_by_peer(code), self.clock.now, done=False)

    def refuse(self, status: int, **headers: str) -> float:
        self.connecting()
        response = Response(status, "", Headers(headers))
        return self.failed(InvalidStatus(response), 1_000_000_000)

    @property
    def states(self) -> list[str]:
        return [change.state for change in self.changes]


def closed_by_peer(code: int) -> FrameProtocol:
    protocol = FrameProtocol(Side.CLIENT)
    protocol.reader.feed(bytes([0x88, 2]) + code.to_bytes(2))
    protocol.send_deferred_close()
    protocol.transport_lost(None)
    return protocol


def closed_by_us(code: int) -> FrameProtocol:
    protocol = FrameProtocol(Side.CLIENT)
    protocol.send_close(code, "")
    protocol.reader.feed(bytes([0x88, 2]) + code.to_bytes(2))
    protocol.transport_lost(None)
    return protocol


def test_server_that_closes_at_once_sees_growing_delays() -> None:
    machine = Machine()
    assert [machine.lose() for _ in range(5)] == [2, 4, 8, 16, 16]
    assert machine.changes[-1].attempt == 5


def test_useful_connection_begins_a_new_row() -> None:
    machine = Machine()
    assert [machine.lose(), machine.lose()] == [2, 4]
    assert machine.lose(after=10) == 2
    assert machine.lose() == 4


@pytest.mark.parametrize("code", [1000, 1001, 4000])
def test_application_that_closes_gets_the_next_connection_at_once(code: int) -> None:
    machine = Machine()
    machine.lose()
    machine.connecting()
    machine.opened(machine.clock.now)
    assert machine.ended(closed_by_us(code), machine.clock.now, done=False) is None
    assert machine.lose() == 2


def test_connection_that_we_failed_is_a_loss() -> None:
    machine = Machine()
    machine.connecting()
    machine.opened(machine.clock.now)
    assert machine.ended(closed_by_us(1011), machine.clock.now, done=False) == 2


def test_restart_waits_for_5_to_30_seconds_if_the_delays_allow_it() -> None:
    machine = Machine(Backoff(initial=2, max=60, jitter=0))
    machine.clock.number = 0.0
    assert machine.lose(1012, after=20) == 5
    machine.clock.number = 0.999
    assert machine.lose(1012, after=20) == pytest.approx(30, abs=0.1)
    machine = Machine(Backoff(initial=0.1, max=1, jitter=0))
    assert machine.lose(1012, after=20) == 1


def test_overload_never_begins_a_new_row() -> None:
    machine = Machine(Backoff(initial=1, min=8, max=100, factor=2))
    machine.clock.number = 0.0
    delays = [machine.lose(1013, after=60) for _ in range(4)]
    assert all(delay is not None and delay >= 4 for delay in delays)
    assert machine.changes[-1].attempt == 4


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7.7),
        ("0", 2, 2),
        ("Sun, 09 Sep 2001 01:46:50 GMT", 10, 11),
        ("Sun, 09 Sep 2001 01:40:00 GMT", 2, 2),
        ("99999999999", 3600, 3960),
        ("soon", 2, 2),
        ("-5", 2, 2),
    ],
)
def test_retry_after_is_honoured(
    status: int, value: str, least: float, most: float
) -> None:
    delay = Machine().refuse(status, **{"Retry-After": value})
    assert least <= delay <= most


def test_refusal_for_good_gives_up_and_tells() -> None:
    machine = Machine()
    with pytest.raises(InvalidStatus):
        machine.refuse(401)
    assert machine.states == ["connecting", "given_up"]


def test_delays_that_end_give_up_with_what_happened_last() -> None:
    machine = Machine(lambda: iter([0.5]))
    assert machine.refuse(503) == 0.5
    with pytest.raises(InvalidStatus):
        machine.refuse(503)
    assert machine.states[-1] == "given_up"


def test_callback_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(change: StateChange) -> None:
        raise LookupError(change.state)

    machine = Reconnector(Backoff(), process_exception, logging.getLogger("x"), fail)
    machine.connecting()
    assert "on_state failed" in caplog.text


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lost", "refused", "done", "network"]),
        st.sampled_from([1000, 1001, 1006, 1011, 1012, 1013]),
        st.floats(0, 30),
        st.floats(0, 1, exclude_max=True),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_delays_are_bounded_and_only_usefulness_resets_them(
    steps: list[tuple[str, int, float, float]],
) -> None:
    backoff = Backoff(initial=1, min=2, max=64, factor=2)
    machine = Machine(backoff)
    row = 0
    for kind, code, after, number in steps:
        machine.clock.number = number
        machine.connecting()
        if kind == "network":
            delay: float | None = machine.failed(OSError(), 0)
            row += 1
        elif kind == "refused":
            delay = machine.failed(InvalidStatus(refusal(503)), 0)
            row += 1
        else:
            machine.opened(machine.clock.now)
            machine.clock.now += after
            ended = closed_by_peer(code if code != 1006 else 1001)
            done = kind == "done"
            delay = machine.ended(ended, machine.clock.now, done=done)
            if done:
                row = 0
                assert delay is None
                continue
            row = 0 if after >= backoff.reset_after and code != 1013 else row + 1
        assert delay is not None
        assert 0 <= delay <= 64
        assert machine.changes[-1].attempt == row
