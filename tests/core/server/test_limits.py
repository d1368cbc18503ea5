"""Limits of a server: what is counted, and what is said about it."""

from __future__ import annotations

import pytest

from fullduplex.core.server.limits import ConnectionLimits


def test_without_limits_everybody_comes_in() -> None:
    admission = ConnectionLimits()
    assert [admission.connected(None) for _ in range(1000)] == [None] * 1000
    assert [admission.requested(0) for _ in range(1000)] == [0] * 1000
    assert admission.report() is None


def test_connections_are_counted_until_they_end() -> None:
    admission = ConnectionLimits(max_connections=2)
    assert admission.connected(None) is None
    assert admission.connected(None) is None
    assert admission.connected(None) == "max_connections"
    admission.disconnected(None)
    assert admission.connected(None) is None


def test_connections_are_counted_by_address() -> None:
    admission = ConnectionLimits(max_connections_per_ip=1)
    assert admission.by_ip
    assert admission.connected("10.0.0.1") is None
    assert admission.connected("10.0.0.2") is None
    assert admission.connected("10.0.0.1") == "max_connections_per_ip"
    admission.disconnected("10.0.0.1")
    assert admission.connected("10.0.0.1") is None


def test_clients_without_an_address_have_no_limit_by_address() -> None:
    admission = ConnectionLimits(max_connections_per_ip=1)
    assert [admission.connected(None) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/socket", None),
        ("", None),
        (None, None),
    ],
)
def test_group_is_an_address_or_a_network(host: object, group: str | None) -> None:
    assert ConnectionLimits.group(host) == group


def test_rate_allows_a_burst_and_then_so_many_a_second() -> None:
    admission = ConnectionLimits(max_handshakes_per_second=2)
    assert [admission.requested(100) for _ in range(3)] == [0, 0, 1]
    assert admission.requested(100.4) == 1
    assert admission.requested(100.5) == 0
    assert admission.requested(100.5) == 1
    # A quiet hour earns one second's worth.
    assert [admission.requested(3700) for _ in range(3)] == [0, 0, 1]


def test_rate_below_one_tells_how_long_to_wait() -> None:
    admission = ConnectionLimits(max_handshakes_per_second=0.1)
    assert admission.requested(0) == 0
    assert admission.requested(0) == 10
    assert admission.requested(4) == 6
    assert admission.requested(10) == 0


def test_report_tells_what_is_new_and_the_totals_stay() -> None:
    admission = ConnectionLimits(max_connections=1, max_handshakes_per_second=1)
    admission.connected(None)
    admission.connected(None)
    admission.connected(None)
    admission.requested(0)
    admission.requested(0)
    assert admission.report() == (
        "refused 3 clients: 2 by max_connections, 1 by max_handshakes_per_second"
    )
    assert admission.report() is None
    admission.connected(None)
    assert admission.report() == "refused 1 clients: 1 by max_connections"
    assert admission.refused == {"max_connections": 3, "max_handshakes_per_second": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0])
def test_rate_must_be_a_positive_number(value: float) -> None:
    with pytest.raises(ValueError, match="max_handshakes_per_second"):
        ConnectionLimits(max_handshakes_per_second=value)
