"""Both bodies, imported side by side, and a record of what a reader does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from fullduplex.core.extensions.deflate import PerMessageDeflate

NAMES = ("pure", "compiled")


def body(module: str, name: str) -> ModuleType:
    """Import a body, or skip the test with the reason why it is not there."""
    path = f"fullduplex.core.{module}"
    if name == "pure":
        return import_module(path)
    try:
        return import_module(path + "_c")
    except ImportError as exc:
        pytest.skip(f"no compiled parts: {exc}")


@dataclass
class Record:
    """What came out of a reader, in order."""

    events: list[Any] = field(default_factory=list)
    error: tuple[str, str] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def describe(exc: Exception) -> tuple[str, str]:
    """Return what two bodies must agree on about an error."""
    return type(exc).__name__, str(exc)


ATTRIBUTES = (
    "opcode",
    "message_size",
    "stopped",
    "queued_bytes",
    "between_frames",
    "deliver_messages",
    "total",
    "payload",
    "count",
)


class Reading:
    """
    A reader with a record of its events.

    Args:
        stop_at_close: whether the handler stops the reader at a close frame.
    """

    def __init__(
        self,
        wire: ModuleType,
        *,
        stop_at_close: bool = True,
        rsv: int = 0,
        whole: bool = True,
        deflate: PerMessageDeflate | None = None,
        **kwds: Any,
    ) -> None:
        self.record = Record()
        self._stop_at_close = stop_at_close
        self.reader = wire.FrameReader(self._handle, self.record.events.append, **kwds)
        self.reader.allowed_rsv = rsv
        self.reader.deliver_messages = whole
        self.reader.deflate = deflate

    def _handle(self, head: int, payload: bytes) -> bool:
        assert type(payload) is bytes
        self.record.events.append((head, payload))
        return self._stop_at_close and head & 0x0F == 8

    def write(self, data: bytes) -> None:
        """Let the reader read as a transport does: where and what it wants."""
        while data:
            room = self.reader.get_buffer(-1)
            assert len(room) > 0, "a transport would refuse this buffer"
            size = min(len(room), len(data))
            room[:size] = data[:size]
            self.reader.received(size)
            data = data[size:]

    def run(self, pieces: Iterable[bytes], *, feed: bool = False) -> Record:
        """Read `pieces` until an error; go on afterwards, which must be futile."""
        for piece in pieces:
            try:
                if feed:
                    self.reader.feed(piece)
                else:
                    self.write(piece)
            except Exception as exc:
                assert self.record.error is None, "an error after an error"
                self.record.error = describe(exc)
                assert self.reader.stopped
        self.record.attributes = {
            name: getattr(self.reader, name)
            for name in ATTRIBUTES
            # What is kept of a frame that was refused is nobody's concern.
            if not (name == "between_frames" and self.reader.stopped)
        }
        return self.record


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut `data` at `places`, which may repeat and lie anywhere."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a != b]
