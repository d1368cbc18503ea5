"""Delays between attempts, and which failures are worth another one."""

from __future__ import annotations

import itertools
import math
import socket
import ssl
from typing import Any

import pytest

from fullduplex.core.datastructures import Headers
from fullduplex.core.errors import (
    ConnectionClosedError,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidStatusCode,
    InvalidURI,
    SecurityError,
)
from fullduplex.core.http1 import Response
from fullduplex.core.reconnect import backoff, process_exception


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
        *(InvalidStatus(refusal(status)) for status in (500, 502, 503, 504)),
        InvalidStatusCode(refusal(503)),
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
        *(InvalidStatus(refusal(s)) for s in (200, 301, 401, 404, 429, 501, 505)),
        InvalidProxyStatus(refusal(503)),
        InvalidHandshake("x"),
        InvalidURI("x", "y"),
        SecurityError("x"),
        ConnectionClosedError(None, None),
        TypeError(),
        ValueError(),
    ],
    ids=repr,
)
def test_what_will_happen_again_is_raised(exc: Exception) -> None:
    assert process_exception(exc) is exc
