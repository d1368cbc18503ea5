"""Peers that misbehave; each leaves nothing behind and disturbs no other one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..kit.bytes import DEFLATE, request
from .kit import LIMIT, Hostile, Subject, at_once

__all__ = ["SCENARIOS"]

Ending = Callable[[Hostile], None]
ENDINGS: tuple[Ending, ...] = (Hostile.reset, Hostile.finish, Hostile.half_close)


# Phases in which a peer can be killed


def tcp(hostile: Hostile) -> None:
    """Nothing but TCP."""


def half_a_hello(hostile: Hostile) -> None:
    """The start of a TLS handshake, or of a request."""
    data = b"\x16\x03\x01\x02\x00\x01\x00" if hostile.secure else b"GET / HT"
    hostile.sock.sendall(data)


def no_tls(hostile: Hostile) -> None:
    """Something that is neither TLS nor HTTP."""
    hostile.sock.sendall(b"\x00\xff nonsense \r\n\r\n")


def half_a_head(hostile: Hostile) -> None:
    hostile.hello().peer.write(request("GET /echo HTTP/1.1")[:40])


def whole_head(hostile: Hostile) -> None:
    hostile.hello().peer.write(request("GET /echo HTTP/1.1"))


def opened(hostile: Hostile) -> None:
    hostile.open("/echo")


def half_a_frame(hostile: Hostile) -> None:
    peer = hostile.open("/echo")
    peer.write(peer.frame(1, "x" * 200)[:100])


def half_a_message(hostile: Hostile) -> None:
    peer = hostile.open("/echo")
    peer.send(1, "first", fin=False)


def half_a_compressed_message(hostile: Hostile) -> None:
    peer = hostile.open("/echo", DEFLATE)
    peer.send(1, b"\x4a\x4c", fin=False, rsv=4)


def nonsense(hostile: Hostile) -> None:
    hostile.open("/echo").write(b"\xff" * 50)


def closing(hostile: Hostile) -> None:
    hostile.open("/echo").send_close(1000)


def unread_reply(hostile: Hostile) -> None:
    peer = hostile.open("/echo")
    peer.send(2, bytes(100_000))


PHASES = (
    tcp,
    half_a_hello,
    no_tls,
    half_a_head,
    whole_head,
    opened,
    half_a_frame,
    half_a_message,
    half_a_compressed_message,
    nonsense,
    closing,
    unread_reply,
)


def killed_peers(subject: Subject, scale: int) -> None:
    """Peers die at every phase, in every way TCP has."""
    cases = [(phase, ending) for phase in PHASES for ending in ENDINGS]

    def one(number: int) -> None:
        phase, ending = cases[number % len(cases)]
        hostile = subject.hostile()
        phase(hostile)
        try:
            ending(hostile)
        except OSError:
            pass  # the server was faster

    # One complaint for each peer at the most.
    with subject.besieged(records=len(cases) * scale):
        at_once(len(cases) * scale, one)


# Programs that send without pause


def tight_senders(subject: Subject, scale: int) -> None:
    """Handlers send in a loop; their peers read for a while, and end in any way."""
    paths = ["/flood", "/fragments", "/pings"]
    if subject.face.program == "uvicorn":
        paths.remove("/pings")  # applications have none
    cases = [(path, ending) for path in paths for ending in ENDINGS]

    def one(number: int) -> None:
        path, ending = cases[number % len(cases)]
        hostile = subject.hostile()
        peer = hostile.open(path)
        for _ in range(20):
            peer.read()
        ending(hostile)

    with subject.besieged(records=len(cases) * scale):
        at_once(len(cases) * scale, one)


def stopped_readers(subject: Subject, scale: int) -> None:
    """Peers of such handlers stop reading, and are given up."""
    before = subject.report()["connections"]
    with subject.besieged(records=4 * scale):
        for _ in range(4 * scale):
            subject.hostile(small=True).open("/flood").read()
        # The well-behaved one stays.
        end = time.monotonic() + LIMIT
        while (now := subject.report()["connections"]) > before + 1:
            assert time.monotonic() < end, f"{now} connections are kept"
            time.sleep(0.1)


def slow_readers(subject: Subject, scale: int) -> None:
    """Peers read a few bytes at a time, and the server does not pile up the rest."""

    def one(_: int) -> None:
        hostile = subject.hostile(small=True)
        peer = hostile.open("/flood")
        for _ in range(60):
            peer.read_some(50)
            time.sleep(0.02)
        hostile.reset()

    before = subject.report()["memory"]
    with subject.besieged(records=8 * scale):
        at_once(8 * scale, one)
        grown = subject.report()["memory"] - before
        assert grown < 8 * scale * 2**20 + 32 * 2**20, f"{grown / 2**20:.0f} MiB"


# Programs that do not read


def bursts(subject: Subject, scale: int) -> None:
    """Peers fill a server whose handler does not read, and go away."""
    endings = (Hostile.reset, Hostile.finish)

    def one(number: int) -> None:
        hostile = subject.hostile()
        peer = hostile.open("/never")
        small = peer.frame(1, "x" * 20) * 1000
        hostile.stuff(small, size=4 * 2**20)
        endings[number % 2](hostile)

    before = subject.report()["memory"]
    with subject.besieged(records=6 * scale):
        at_once(6 * scale, one)
        grown = subject.report()["memory"] - before
        assert grown < 6 * scale * 2 * 2**20 + 32 * 2**20, f"{grown / 2**20:.0f} MiB"


def slow_programs(subject: Subject, scale: int) -> None:
    """Peers send faster than the handler reads; nothing is lost but time."""

    def one(_: int) -> None:
        hostile = subject.hostile()
        peer = hostile.open("/slow")
        for _ in range(10):
            peer.write(peer.frame(1, "x") * 50)
        peer.send_close(1000)
        assert peer.read_until(8).payload[:2] == b"\x03\xe8"
        hostile.finish()

    with subject.besieged(records=4 * scale):
        at_once(4 * scale, one)


def failing_handlers(subject: Subject, scale: int) -> None:
    """Handlers raise: one record for each, and a close frame for the peer."""

    def one(number: int) -> None:
        hostile = subject.hostile()
        peer = hostile.open("/raise" if number % 2 else "/return")
        code = int.from_bytes(peer.read_until(8).payload[:2], "big")
        assert code == (1011 if number % 2 else 1000), code
        hostile.finish()

    before = len(subject.report()["records"])
    with subject.besieged(records=5 * scale):
        at_once(10 * scale, one)
    after = subject.report()["records"][before:]
    assert len([line for line in after if line.startswith("ERROR")]) == 5 * scale, after


SCENARIOS: tuple[Callable[[Subject, int], Any], ...] = (
    killed_peers,
    tight_senders,
    stopped_readers,
    slow_readers,
    bursts,
    slow_programs,
    failing_handlers,
)
