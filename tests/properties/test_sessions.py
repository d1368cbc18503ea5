"""Two sessions, any order of events: every message arrives once and in order."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fullduplex.core.endpoint import operations
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.message_sender import FragmentSender
from fullduplex.core.endpoint.operations import Operation
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.frames.close import ConnectionClosed, State
from fullduplex.core.frames.messages import Fragment

from ..kit.pair import SessionPair, Sink, Waiter, finish, received, step

EXAMPLES = int(os.environ.get("FULLDUPLEX_EXAMPLES", "150"))

SIDES = st.sampled_from(["client", "server"])
MESSAGES = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.integers(100, 70_000).map(bytes),
    st.integers(100, 30_000).map(lambda size: "é" * size),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    messages=st.lists(st.tuples(SIDES, MESSAGES), max_size=12),
    sizes=st.lists(st.integers(1, 5000), max_size=30),
    deflate=st.booleans(),
)
def test_messages_of_both_sides_arrive_once_and_in_order_whatever_the_cuts(
    messages: list[tuple[str, str | bytes]], sizes: list[int], deflate: bool
) -> None:
    pair = connected(deflate)
    for side, message in messages:
        finish(operations.send(getattr(pair, side), message, isinstance(message, str)))

    pair.pump(sizes)

    assert received(pair.server) == [m for side, m in messages if side == "client"]
    assert received(pair.client) == [m for side, m in messages if side == "server"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    messages=st.lists(
        st.lists(st.text(max_size=10).map(str.encode), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    texts=st.lists(st.booleans(), min_size=4, max_size=4),
    sizes=st.lists(st.integers(1, 40), max_size=60),
    cuts=st.lists(st.booleans(), max_size=80),
    deflate=st.booleans(),
)
def test_recv_cut_anywhere_in_messages_of_fragments_loses_nothing(
    messages: list[list[bytes]],
    texts: list[bool],
    sizes: list[int],
    cuts: list[bool],
    deflate: bool,
) -> None:
    pair = connected(deflate)
    for message, text in zip(messages, texts, strict=False):
        fragments = FragmentSender(pair.client, text)
        for piece in message:
            finish(fragments.add(piece))
        finish(fragments.end())
        fragments.release(None)
    pieces, places = iter(sizes), iter(cuts)
    arrived: list[str | bytes] = []
    receiving: Operation[str | bytes] = operations.recv(pair.server)
    waiter: Waiter | None = None
    while True:
        if waiter is None or waiter.fired:
            message_, waiter = step(receiving)
            if waiter is None:
                assert message_ is not None
                arrived.append(message_)
                receiving = operations.recv(pair.server)
                continue
        if next(places, False):
            receiving.close()
            receiving, waiter = operations.recv(pair.server), None
            continue
        if not pair.flush(pair.client):
            break
        pair.carry(pair.client, next(pieces, None))

    expected = [
        b"".join(message).decode() if text else b"".join(message)
        for message, text in zip(messages, texts, strict=False)
    ]
    assert arrived == expected


def connected(deflate: bool, **limits: Any) -> SessionPair:
    """Return a pair, which may compress."""
    kwds = [
        {"extensions": [PerMessageDeflate(False, False, 15, 15)] if deflate else []}
        for _ in range(2)
    ]
    return SessionPair(client=kwds[0], server=kwds[1], **limits)


class Conversation(RuleBasedStateMachine):
    """Both sides send, receive, are cut, pause and ping, until one closes."""

    def __init__(self) -> None:
        super().__init__()
        self.pair: SessionPair
        self.sent: dict[Endpoint, list[str | bytes]] = {}
        self.arrived: dict[Endpoint, list[str | bytes]] = {}
        self.receiving: dict[Endpoint, tuple[Operation[Any], Waiter]] = {}
        self.sending: dict[Endpoint, deque[tuple[Operation[None], Waiter, Any]]] = {}
        self.pings: list[Sink] = []

    @initialize(deflate=st.booleans(), high=st.sampled_from([0, 2, None]))
    def connect(self, deflate: bool, high: int | None) -> None:
        self.pair = connected(
            deflate,
            queue_high=high,
            unread_high=None,
            ping_interval=20,
            ping_timeout=None,
        )
        for session in (self.pair.client, self.pair.server):
            self.sent[session] = []
            self.arrived[session] = []
            self.sending[session] = deque()

    def session(self, side: str) -> Endpoint:
        session: Endpoint = getattr(self.pair, side)
        return session

    def receive(self, session: Endpoint, operation: Operation[Any]) -> None:
        message, waiter = step(operation, self.pair.now)
        if waiter is None:
            assert message is not None
            self.arrived[session].append(message)
        else:
            self.receiving[session] = (operation, waiter)

    def resume(self) -> None:
        """Let everybody go on whose waiter was fired, in some order."""
        for session, (operation, waiter) in list(self.receiving.items()):
            if waiter.fired:
                del self.receiving[session]
                self.receive(session, operation)
        for session, queue in self.sending.items():
            for _ in range(len(queue)):
                sending, waiting, message = queue.popleft()
                if not waiting.fired:
                    queue.append((sending, waiting, message))
                    continue
                self.send_on(session, sending, message)

    def send_on(
        self, session: Endpoint, sending: Operation[None], message: Any
    ) -> None:
        _, waiter = step(sending, self.pair.now)
        if waiter is None:
            self.sent[session].append(message)
        else:
            self.sending[session].append((sending, waiter, message))

    @rule(side=SIDES, message=MESSAGES)
    def send(self, side: str, message: str | bytes) -> None:
        session = self.session(side)
        if session.clear_to_send and session.writer.add_message(message):
            self.sent[session].append(message)
        else:
            self.send_on(
                session,
                operations.send(session, message, isinstance(message, str)),
                message,
            )

    @rule(side=SIDES)
    def cut_a_send(self, side: str) -> None:
        queue = self.sending[self.session(side)]
        if queue:
            operation, _, _ = queue.popleft()
            operation.close()

    @rule(side=SIDES, pieces=st.lists(st.text(max_size=9), min_size=1, max_size=4))
    def send_fragments(self, side: str, pieces: list[str]) -> None:
        session = self.session(side)
        if session.writing_paused:
            return
        fragments = FragmentSender(session, None)
        for piece in pieces:
            finish(fragments.add(piece))
        finish(fragments.end())
        for waiter in fragments.release(None):
            assert isinstance(waiter, Waiter)
            waiter.fire()
        self.sent[session].append("".join(pieces))
        self.resume()

    @rule(side=SIDES)
    def recv(self, side: str) -> None:
        session = self.session(side)
        if session not in self.receiving:
            self.receive(session, operations.recv(session))

    @rule(side=SIDES)
    def cut_a_recv(self, side: str) -> None:
        operation, _ = self.receiving.pop(self.session(side), (None, None))
        if operation is not None:
            operation.close()

    @rule(side=SIDES)
    def recv_stream(self, side: str) -> None:
        session = self.session(side)
        if session in self.receiving or not session.messages:
            return
        parts: list[Fragment] = []
        while not parts or not parts[-1].fin:
            operation = operations.recv_fragment(session, first=not parts)
            while True:
                part, waiter = step(operation, self.pair.now)
                if waiter is None:
                    break
                assert self.carry_some(session), "the rest of the message is missing"
            assert part is not None
            parts.append(part)
        pieces: list[Any] = [part.data for part in parts]
        self.arrived[session].append(type(pieces[0])().join(pieces))
        self.resume()

    def carry_some(self, session: Endpoint) -> bool:
        peer = self.pair.other(session)
        if not self.pair.flush(peer):
            return False
        self.pair.carry(peer)
        return True

    @rule(side=SIDES, size=st.integers(1, 100_000), many=st.booleans())
    def carry(self, side: str, size: int, many: bool) -> None:
        session = self.session(side)
        # What a driver does with a peer that does not read.
        if not self.pair.other(session).reading_paused:
            self.pair.carry(session, None if many else size % 50 + 1)
        self.resume()

    @rule(side=SIDES)
    def pause_writing(self, side: str) -> None:
        self.session(side).pause_writing()

    @rule(side=SIDES)
    def resume_writing(self, side: str) -> None:
        for waiter in self.session(side).resume_writing():
            assert isinstance(waiter, Waiter)
            waiter.fire()
        self.resume()

    @rule(side=SIDES)
    def ping(self, side: str) -> None:
        session = self.session(side)
        sink = Sink()
        operation = operations.ping(session, None, sink, self.pair.now)
        _, waiter = step(operation, self.pair.now)
        if waiter is not None:
            operation.close()
        self.pings.append(sink)

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.pair.now += seconds
        for session in (self.pair.client, self.pair.server):
            deadline = session.deadline()
            if deadline is not None and deadline <= self.pair.now:
                session.output_left(0, self.pair.now)
                session.timer_expired(self.pair.now)

    @invariant()
    @precondition(lambda self: self.sent)
    def connection_is_intact(self) -> None:
        for session in (self.pair.client, self.pair.server):
            assert session.protocol.fault is None
            assert session.protocol.state is State.OPEN
            arrived = self.arrived[self.pair.other(session)]
            assert arrived == self.sent[session][: len(arrived)]

    def teardown(self) -> None:
        if not self.sent:
            return
        sessions = (self.pair.client, self.pair.server)
        for session in sessions:
            while session.writing_paused or any(
                waiter.fired for _, waiter, _ in self.sending[session]
            ):
                self.resume_writing(
                    "client" if session is self.pair.client else "server"
                )
            assert not self.sending[session]
        for _ in range(100_000):
            for session in sessions:
                while session not in self.receiving:
                    self.receive(session, operations.recv(session))
            if not any(self.carry_some(session) for session in sessions):
                break
            self.resume()
        for session in sessions:
            assert self.arrived[self.pair.other(session)] == self.sent[session]
            assert not session.reading_paused
        assert all(sink.rtt is not None for sink in self.pings)
        self.pair.end()
        self.connection_ended()

    def connection_ended(self) -> None:
        for operation, waiter in self.receiving.values():
            assert waiter.fired
            try:
                step(operation)
            except ConnectionClosed:
                continue
            raise AssertionError("recv goes on after the end")


Conversation.TestCase.settings = settings(
    max_examples=EXAMPLES // 2, stateful_step_count=60, deadline=None
)
TestConversation = Conversation.TestCase
