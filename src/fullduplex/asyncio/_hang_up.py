"""The hang-ups of an event loop: one watch for all connections that are paused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from .._net.hang_up import HangUps, new_hang_ups

_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, HangUps] = WeakKeyDictionary()

Told = Callable[[bool], object]


def watch(loop: asyncio.AbstractEventLoop, transport: Any, told: Told) -> int:
    """
    Call ``told(gone)`` when the peer of a transport has ended, until `forget`.

    Returns:
        Descriptor for `forget`; -1 where the end cannot be watched for.
    """
    fd = _descriptor(transport)
    if fd < 0:
        return -1
    hang_ups = _watches.get(loop)
    if hang_ups is None:
        hang_ups = new_hang_ups()
        if hang_ups is None:
            return -1
        _watches[loop] = hang_ups
        loop.add_reader(hang_ups.fileno(), _ready, hang_ups)
    hang_ups.watch(fd, told)
    return fd


def forget(loop: asyncio.AbstractEventLoop, fd: int, told: Told) -> None:
    """Watch no more; without anything to watch, nothing is left in the loop."""
    hang_ups = _watches.get(loop)
    if hang_ups is None:
        return
    hang_ups.forget(fd, told)
    if not hang_ups:
        del _watches[loop]
        loop.remove_reader(hang_ups.fileno())
        hang_ups.close()


def _ready(hang_ups: HangUps) -> None:
    for told, gone in hang_ups.take():
        told(gone)


def _descriptor(transport: Any) -> int:
    """Return the descriptor of a transport's socket; -1 if it has none."""
    if hasattr(transport, "fileno"):
        number: int = transport.fileno()
        return number
    sock = transport.get_extra_info("socket")
    return -1 if sock is None else sock.fileno()
