"""Whatever happens, keepalive closes nobody who lives, and everybody who does not."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from fullduplex.core.endpoint.keepalive import (
    LATE_TIMER_GRACE,
    PROGRESS_CHECKS,
    Keepalive,
    TimerResult,
)
from fullduplex.core.endpoint.tcp_info import TCPInfo

EXAMPLES = int(os.environ.get("FULLDUPLEX_EXAMPLES", "150"))

# Seconds that a driver may be busy elsewhere when its timer is due.
BUSY = 7.0


@dataclass
class World:
    """
    A driver, a peer and an application around one `Keepalive`.

    Args:
        told: whether the system tells what TCP knows.
    """

    interval: float
    timeout: float
    told: bool
    now: float = 0.0
    #: moments of the last signs of life
    arrived_at: float = 0.0
    moved_at: float = 0.0
    read_at: float = 0.0
    paused: bool = False
    left: int = 0
    flushed: int = 0
    received: int = 0
    #: bytes that are there but that nobody has read yet
    unread: bool = False
    pings: int = 0
    stalls: int = 0
    dead: bool = False
    keepalive: Keepalive = field(init=False)

    def __post_init__(self) -> None:
        self.keepalive = Keepalive(self.interval, self.timeout, 0.0)

    def bytes_arrive(self) -> None:
        self.received += 1
        self.arrived_at = self.now
        if self.paused:
            self.unread = True
        else:
            self.keepalive.activity_since_ping = True

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.keepalive.reading(False, self.now)

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self.read_at = self.now
            # Who takes messages does not know the time.
            self.keepalive.reading(True, self.now - 5)
            if self.unread:
                self.unread = False
                self.keepalive.activity_since_ping = True

    def send(self) -> None:
        if not self.left:
            self.keepalive.blocked()
        self.left += 10

    def drain(self) -> None:
        if self.left:
            self.left -= 1
            self.flushed += 1
            self.moved_at = self.now

    @property
    def accused(self) -> bool:
        """Whether TCP says that the peer's system does not answer."""
        return self.told and self.left > 0

    def look(self) -> None:
        """The timer fires."""
        if self.paused and not self.accused:
            self.read_at = self.now
        link = (
            TCPInfo(self.flushed, self.received, not self.left) if self.told else None
        )
        self.keepalive.output(self.flushed, self.left, self.now, link)
        due = self.keepalive.expired(self.now)
        if due is TimerResult.PING:
            self.pings += 1
        elif due is TimerResult.STALLED:
            assert self.paused
            self.stalls += 1
        self.dead = due is TimerResult.DEAD

    def pass_time(self, seconds: float, late: float = 0.0) -> None:
        """Let time pass and the timer fire when it is due, or `late`."""
        until = self.now + seconds
        while not self.dead:
            deadline = self.keepalive.deadline(self.now)
            if deadline is None or deadline > until:
                break
            # A deadline in the past is one for the next turn of the loop.
            self.now = max(self.now + 1e-6, deadline + late)
            late = 0.0
            self.look()
        if self.dead:
            return
        self.now = max(self.now, until)
        if self.paused and not self.accused:
            self.read_at = self.now

    def alive(self) -> float:
        """The last moment at which something spoke for the peer."""
        return max(self.arrived_at, self.moved_at, self.read_at)


seconds = st.floats(0.01, 30)
worlds = st.builds(
    World, interval=st.floats(0.1, 30), timeout=st.floats(0.1, 30), told=st.booleans()
)
events = st.lists(
    st.tuples(
        st.sampled_from(["bytes", "pause", "resume", "send", "drain", "drain", "wait"]),
        seconds,
    ),
    max_size=60,
)


def play(world: World, story: list[tuple[str, float]]) -> None:
    """Let things happen, each followed by some time."""
    steps = {
        "bytes": world.bytes_arrive,
        "pause": world.pause,
        "resume": world.resume,
        "send": world.send,
        "drain": world.drain,
    }
    for name, duration in story:
        if world.dead:
            return
        if name in steps:
            steps[name]()
        world.pass_time(duration)


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, events)
def test_nobody_is_dead_within_one_timeout_of_a_sign_of_life(
    world: World, story: list[tuple[str, float]]
) -> None:
    play(world, story)

    if world.dead:
        assert world.now - world.alive() >= world.timeout - 1e-9
        assert world.pings


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, events, st.booleans())
def test_who_shows_no_more_sign_of_life_is_dead_on_time(
    world: World, story: list[tuple[str, float]], sends: bool
) -> None:
    play(world, story)
    if world.dead:
        return
    world.resume()
    if sends:
        world.send()
    silent_from = world.now

    world.pass_time(1000)

    assert world.dead
    late = world.timeout / PROGRESS_CHECKS + LATE_TIMER_GRACE + 1e-3
    assert world.now - silent_from <= world.interval + world.timeout + late


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, events)
def test_application_that_does_not_read_is_no_dead_peer(
    world: World, story: list[tuple[str, float]]
) -> None:
    play(world, story)
    if world.dead or world.accused:
        return
    before = world.keepalive.stalls
    world.resume()
    world.pause()

    world.pass_time(1000)

    assert not world.dead
    assert world.keepalive.stalls == before + 1
    assert world.stalls == world.keepalive.stalls


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, events, st.floats(0, BUSY))
def test_who_was_busy_reads_before_the_verdict(
    world: World, story: list[tuple[str, float]], late: float
) -> None:
    play(world, story)
    if world.dead or world.paused:
        return
    deadline = world.keepalive.deadline(world.now)
    assert deadline is not None
    # Bytes came while nobody looked, and the loop sees its timer before them.
    arrival = max(world.now, deadline) + late / 2
    world.told = False
    world.now = max(world.now, deadline) + late
    world.look()
    world.now += LATE_TIMER_GRACE / 2

    if late / 2 > 2 * LATE_TIMER_GRACE:
        assert not world.dead
        world.arrived_at = arrival
        world.keepalive.activity_since_ping = True
        world.pass_time(LATE_TIMER_GRACE)
        assert not world.dead


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, st.lists(seconds, min_size=5, max_size=40))
def test_timer_comes_to_rest_between_deadlines(
    world: World, waits: list[float]
) -> None:
    for wait in waits:
        world.bytes_arrive()
        looks = 0
        until = world.now + wait
        while (deadline := world.keepalive.deadline(world.now)) is not None:
            if deadline > until:
                break
            world.now = max(world.now, deadline)
            world.look()
            world.bytes_arrive()
            looks += 1
            assert looks < 3 + 2 * wait / world.interval
        world.now = until
