"""Check of the event loop: a call comes from the one that its connection belongs to.

A connection is not safe to use from other threads, and the futures of one event loop
mean nothing to another.  Such a call would seem to work, or wait for ever.
"""

from __future__ import annotations

import asyncio

TEXT = (
    "this connection belongs to another event loop; "
    "use asyncio.run_coroutine_threadsafe() with that loop"
)


def check_running(loop: asyncio.AbstractEventLoop) -> None:
    """
    Refuse a call from elsewhere.

    Args:
        loop: the event loop of the connection.

    Raises:
        RuntimeError: another event loop runs in this thread, or none.
    """
    if asyncio._get_running_loop() is not loop:
        raise RuntimeError(TEXT)


def explain_other_loop(
    loop: asyncio.AbstractEventLoop, exc: BaseException
) -> BaseException:
    """
    Return what to raise for `exc`, which was thrown into a call that waits.

    That is how the task of another event loop tells that it cannot wait for a future
    of this one.
    """
    if isinstance(exc, RuntimeError) and asyncio._get_running_loop() is not loop:
        error = RuntimeError(TEXT)
        error.__cause__ = exc
        return error
    return exc
