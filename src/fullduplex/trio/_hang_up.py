"""The hang-ups of a run of trio: one watch for all connections that are paused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from .._net.hang_up import HangUps, new_hang_ups

Told = Callable[[bool], object]


class Watch:
    """The hang-ups, and the scope of the task that tells of them."""

    def __init__(self, hang_ups: HangUps) -> None:
        self.hang_ups = hang_ups
        self.scope = trio.CancelScope()

    async def tell(self) -> None:
        """Live until nothing is watched any more."""
        try:
            with self.scope:
                while True:
                    await trio.lowlevel.wait_readable(self.hang_ups.fileno())
                    for told, gone in self.hang_ups.take():
                        told(gone)
        finally:
            self.hang_ups.close()


_current: trio.lowlevel.RunVar[Watch | None] = trio.lowlevel.RunVar(
    "fullduplex hang-ups"
)


def watch(sock: Any, told: Told) -> int:
    """
    Call ``told(gone)``, which raises nothing, when the peer of a socket has ended.

    Returns:
        Descriptor for `forget`; -1 where the end cannot be watched for.
    """
    fd: int = -1 if sock is None else sock.fileno()
    if fd < 0:
        return -1
    current = _current.get(None)
    if current is None:
        hang_ups = new_hang_ups()
        if hang_ups is None:
            return -1
        current = Watch(hang_ups)
        _current.set(current)
        trio.lowlevel.spawn_system_task(current.tell)
    current.hang_ups.watch(fd, told)
    return fd


def forget(fd: int, told: Told) -> None:
    """Watch no more; without anything to watch, no task is left."""
    current = _current.get(None)
    if current is None:
        return
    current.hang_ups.forget(fd, told)
    if not current.hang_ups:
        _current.set(None)
        current.scope.cancel()
