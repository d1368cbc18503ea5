"""Methods of a driver that the shared parts of the asynchronous faces call."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from ..core.endpoint.operations import Operation

T = TypeVar("T")


class AsyncDriver(Protocol):
    """Interface of the asyncio and trio drivers."""

    #: whether TCP has ended
    ended: Any

    async def run(self, operation: Operation[T]) -> T:
        """Carry out what may have to wait."""
        ...

    async def run_fairly(self, operation: Operation[T]) -> T:
        """Carry out what sends something, unless the task is cancelled already."""
        ...

    async def share(self) -> None:
        """Let a cancellation take place, before anything is taken or sent."""
        ...

    async def checkpoint(self) -> None:
        """Be what the event loop expects of a call that has nothing to wait for."""
        ...

    def step(self) -> None:
        """Carry out what the session wants after something happened."""
        ...

    def step_threadsafe(self) -> None:
        """Call `step` soon, from wherever this is called."""
        ...

    def begin_close(self, code: int | None, reason: str) -> None:
        """Start to close the connection without waiting for its end."""
        ...
