"""Subclasses of `reconnect`, and what is set on an object."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from fullduplex.core.client.backoff import Backoff
from fullduplex.core.client.reconnect import delays_from
from fullduplex.sync import ClientConnection, reconnect

from .kit import served


def echo(ws: Any) -> None:
    for message in ws:
        ws.send(message)


def test_connect_of_a_subclass_is_used_by_block_and_loop() -> None:
    class Counting(reconnect):
        calls = 0

        def connect(self) -> ClientConnection:
            self.calls += 1
            return super().connect()

    with served(echo) as (_, uri):
        opening = Counting(uri)
        with opening as ws:
            assert opening.connection is ws
        loop: Any = iter(opening)
        with closing(loop):
            for ws in loop:
                ws.send("a")
                assert ws.recv() == "a"
                break
        assert opening.calls == 2


def test_block_of_a_subclass_is_used_by_the_loop() -> None:
    events: list[str] = []

    class Noting(reconnect):
        def __enter__(self) -> ClientConnection:
            events.append("enter")
            return super().__enter__()

        def __exit__(self, *args: Any) -> None:
            events.append("exit")
            super().__exit__(*args)

    with served(echo) as (_, uri):
        loop: Any = iter(Noting(uri))
        with closing(loop):
            for _ in loop:
                events.append("body")
                if len(events) > 4:
                    break
    assert events == ["enter", "body", "exit"] * 2


def test_what_is_set_on_an_object_counts() -> None:
    opening = reconnect("ws://localhost:1/")
    opening.BACKOFF_MAX = 2.0
    assert delays_from(opening.reconnect_delays, opening) == Backoff(max=2.0)
    seen: list[Exception] = []

    def decide(exc: Exception) -> Exception | None:
        seen.append(exc)
        return exc

    opening.process_exception = decide
    with pytest.raises(OSError):
        next(iter(opening))
    assert len(seen) == 1
