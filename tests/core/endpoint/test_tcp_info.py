"""What the system's TCP is told and tells."""

from __future__ import annotations

import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from fullduplex.core.endpoint.options import Options
from fullduplex.core.endpoint.tcp_info import (
    TCP_INFO_SIZE,
    TCPInfo,
    socket_options,
    tcp_info,
)
from fullduplex.core.endpoint.tcp_info import user_timeout as milliseconds

LINUX = SimpleNamespace(
    SOL_SOCKET=1,
    SO_KEEPALIVE=9,
    IPPROTO_TCP=6,
    TCP_KEEPIDLE=4,
    TCP_KEEPINTVL=5,
    TCP_KEEPCNT=6,
    TCP_USER_TIMEOUT=18,
)
MACOS = SimpleNamespace(
    SOL_SOCKET=0xFFFF, SO_KEEPALIVE=8, IPPROTO_TCP=6, TCP_KEEPALIVE=0x10
)


def test_tcp_begins_when_our_keepalive_would_have_ended() -> None:
    assert socket_options(Options(ping_interval=20, ping_timeout=20), LINUX) == [
        (1, 9, 1),
        (6, 4, 40),
        (6, 5, 5),
        (6, 6, 4),
        (6, 18, 80_000),
    ]


def test_what_a_system_lacks_is_left_out() -> None:
    options = Options(ping_interval=20, ping_timeout=20)

    assert socket_options(options, MACOS) == [(0xFFFF, 8, 1), (6, 0x10, 40)]


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout"])
def test_without_keepalive_the_system_keeps_its_defaults(name: str) -> None:
    options = Options(**{name: None})  # type: ignore[arg-type]

    assert socket_options(options, LINUX) == []
    assert milliseconds(options) == 0


@pytest.mark.parametrize(
    ("interval", "timeout"),
    [(0.0, 0.0), (0.1, 0.1), (1e9, 1e9), (float("inf"), 1.0), (20, float("inf"))],
)
def test_values_are_what_linux_takes(interval: float, timeout: float) -> None:
    options = Options(ping_interval=interval, ping_timeout=timeout)
    values = {name: value for _, name, value in socket_options(options, LINUX)}

    assert 1 <= values[4] <= 32767
    assert 1 <= values[5] <= 32767
    assert 10_000 <= values[18] <= 32_767_000


def test_tcp_gives_up_later_than_we_do() -> None:
    for interval, timeout in ((20, 20), (1, 60), (60, 1), (0.1, 0.1)):
        options = Options(ping_interval=interval, ping_timeout=timeout)

        assert milliseconds(options) > 1000 * (interval + 1.25 * timeout)


def info(probes: int = 0, unacked: int = 0, acked: int = 0, received: int = 0) -> bytes:
    """Build a ``struct tcp_info`` as Linux lays it out."""
    words = [0] * 24
    words[4] = unacked
    return struct.pack(
        "=8B24I4Q", 0, 0, 0, probes, *[0] * 4, *words, 0, 0, acked, received
    )


def test_structure_is_read_in_its_places() -> None:
    assert len(info()) == TCP_INFO_SIZE
    assert tcp_info(info(acked=2**40, received=7)) == TCPInfo(2**40, 7, True)
    assert tcp_info(info(unacked=1)) == TCPInfo(0, 0, False)
    assert tcp_info(info(probes=1)) == TCPInfo(0, 0, True)
    assert tcp_info(info(probes=2)) == TCPInfo(0, 0, False)


def test_structure_of_an_old_kernel_tells_nothing() -> None:
    assert tcp_info(info()[:104]) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has it")
def test_counts_are_those_of_a_real_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        ours.sendall(b"12345")
        theirs.recv(5)
        theirs.sendall(b"1234567")
        ours.recv(7)
        link = tcp_info(
            ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
        )

    assert link is not None
    assert link.received == 7
    # The peer's answer carried the acknowledgement; the opening counts as one.
    assert link.acknowledged in (5, 6)
    assert link.answering
