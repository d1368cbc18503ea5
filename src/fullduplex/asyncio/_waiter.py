"""One-shot future of a waiting task.  Pure-Python twin of ``_waiter_c.pyx``.

asyncio's tasks wait on anything that speaks the ``_asyncio_future_blocking``
protocol.  `Waiter.fire` runs the waiting task's next step at once, in the task's
own context, instead of through ``call_soon``: one event loop iteration less for each
message waited for.  It must therefore be the last thing that a callback does.
Where a task is being run already, and where eager firing is off, ``call_soon`` is
used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any


def nests(loop: asyncio.AbstractEventLoop) -> bool:
    """
    Whether tasks may run `loop` again from within, as ``nest_asyncio`` makes it.

    A callback that is being run cannot be entered again.  So a read callback from
    which such a task was resumed would keep all else of its socket from being read.
    """
    return getattr(loop, "_nest_patched", False)


def _raise(exc: BaseException) -> None:
    raise exc


class Waiter:
    """
    Something that one task waits for, once.

    Args:
        loop: the loop that runs the task.
        eager: whether `fire` may run the task's next step at once.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_eager",
        "_fired",
        "_loop",
        "_message",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, eager: bool) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._eager = eager
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._message: object = None
        self._fired = False
        self._cancelled = False

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._fired:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop; the task checks that it is its own."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Take the task's wake-up call; there is one at most."""
        if self._fired:
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callback = callback
            self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget the wake-up call; returns how many were forgotten."""
        if self._callback == callback:
            self._callback = None
            return 1
        return 0

    def result(self) -> None:
        """Return None, or raise `CancelledError` if the task was cancelled."""
        if self._cancelled:
            if self._message is None:
                raise asyncio.CancelledError
            raise asyncio.CancelledError(self._message)

    def exception(self) -> None:
        """Return None, or raise as `result` does."""
        self.result()

    def done(self) -> bool:
        """Tell whether it was fired or cancelled."""
        return self._fired

    def cancelled(self) -> bool:
        """Tell whether the waiting was cancelled."""
        return self._cancelled

    def cancel(self, msg: object = None) -> bool:
        """End the waiting with `CancelledError`; False if it was over already."""
        if self._fired:
            return False
        self._message = msg
        self._cancelled = True
        self.fire_soon()
        return True

    def fire_soon(self) -> None:
        """Let the task go on in the next event loop iteration."""
        if self._fired:
            return
        self._fired = True
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)

    def fire(self) -> bool:
        """
        Let the task go on, now if that is possible.

        Returns:
            Whether the task's next step has been run already.
        """
        if self._fired:
            return False
        callback, context = self._callback, self._context
        if (
            not self._eager
            or callback is None
            or context is None
            or asyncio.current_task(self._loop) is not None
            or nests(self._loop)
        ):
            self.fire_soon()
            return False
        self._callback = None
        self._fired = True
        try:
            context.run(callback, self)
        except (KeyboardInterrupt, SystemExit) as exc:
            # Transports may swallow these; the loop's own callbacks may not.
            self._loop.call_soon(_raise, exc)
        except RuntimeError as exc:
            # The context is entered already: the caller runs in it.
            if "cannot enter context" not in str(exc):
                raise
            self._loop.call_soon(callback, self, context=context)
            return False
        return True
