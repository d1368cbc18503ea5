"""The asyncio driver: bytes, the clock and one timer for an endpoint.

Everything that is decided is decided by `Session`; what stands here is when to
write, what to resume, and which call of the transport carries an output out.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from .._net.sockets import tell_time
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import refuse
from ..core.endpoint.operations import FLUSH, Operation
from ..core.endpoint.tcp_close import TCPStep
from ..core.implementation import IMPLEMENTATION, loading
from . import _hang_up
from ._running_loop import check_running
from ._time_slice import yield_once
from ._transports import read_buffer, receive_rest, tune
from ._waiter import nests

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._hot import JOIN, HotDriver
    from ._time_slice import time_slice
    from ._waiter import Waiter
else:
    with loading():
        from ._hot_c import JOIN, HotDriver
        from ._time_slice_c import time_slice
        from ._waiter_c import Waiter

__all__ = [
    "JOIN",
    "Driver",
    "Waiter",
    "create_task",
    "create_task_eager",
    "eager",
    "time_slice",
]

T = TypeVar("T")

# Bytes of a handshake that are read at once.
SPARE = 16384

_eager: WeakKeyDictionary[asyncio.AbstractEventLoop, bool] = WeakKeyDictionary()


def eager(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether readers are resumed within the read callback; see `Waiter`."""
    answer = _eager.get(loop)
    if answer is None:
        answer = os.environ.get("FULLDUPLEX_EAGER") != "0" and not loop.get_debug()
        _eager[loop] = answer
    return answer


def create_task_eager(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]
) -> asyncio.Task[T]:
    """Make a task; its first step is taken at once where Python and `loop` can."""
    if (
        sys.version_info >= (3, 12)
        and loop.get_task_factory() is None
        and eager(loop)
        and not nests(loop)
    ):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


def create_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]
) -> asyncio.Task[T]:
    """Make a task whose first step is taken in the next iteration of `loop`."""
    return loop.create_task(coroutine)


def _abort(transport: Any) -> None:
    """End a connection that nobody waits for any more."""
    transport.abort()


def _ignore(_: Any) -> None:
    """Take what nobody waits for."""


class Driver(HotDriver, asyncio.BufferedProtocol):
    """
    One transport and, once the handshake is done, one session.

    Args:
        loop: the running loop.
        on_connect: called with the transport, before anything is read.
        on_handshake: called with the bytes that arrive before `open`.
        on_end: called once, with the transport's exception or None, after the
            session has been told.
    """

    __slots__ = (
        "__weakref__",
        "_on_connect",
        "_on_end",
        "_on_handshake",
        "_paused",
        "_spare",
        "_timer",
        "_timer_at",
        "_watched",
        "new_waiter",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_connect: Callable[[Any], None],
        on_handshake: Callable[[bytes], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        at_once = eager(loop)
        super().__init__(loop, at_once)
        self._on_connect = on_connect
        self._on_handshake = on_handshake
        self._on_end = on_end
        #: makes what an operation of the session waits for
        self.new_waiter = functools.partial(Waiter, loop, at_once)
        self._spare: memoryview | None = None
        self._paused = False
        self._watched: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.get_buffer = self._handshake_buffer

    # The transport calls

    def connection_made(self, transport: Any) -> None:
        """Remember the transport (asyncio calls this)."""
        self.transport = transport
        self._on_connect(transport)

    def _handshake_buffer(self, sizehint: int) -> Any:
        """Give memory for the handshake."""
        if self._spare is None:
            # A client that is slow to send its request takes no memory of its own.
            buffer = read_buffer(self.loop)
            view = memoryview(bytearray(SPARE)) if buffer is None else buffer.view
            self._spare = view[:SPARE]
        return self._spare

    def _handshake_read(self, nbytes: int) -> None:
        assert self._spare is not None
        self._on_handshake(bytes(self._spare[:nbytes]))

    def _after_delivery(self) -> None:
        session = self.session
        assert session is not None
        if not self.ended:
            session.after_delivery()
            self.step()

    def eof_received(self) -> None:
        """Note the end of input; the transport then closes itself."""
        if self.session is not None:
            self.session.eof_received(monotonic())
            self.step()

    def pause_writing(self) -> None:
        """Note that the transport's buffer is above its high mark."""
        if self.session is not None:
            self.session.pause_writing()

    def resume_writing(self) -> None:
        """Note that the transport's buffer is at its low mark."""
        if self.session is not None:
            self._fire_soon(self.session.resume_writing())
            self.step()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that TCP has ended (asyncio calls this)."""
        self.ended = True
        self.watch_end(False)
        for handle in (self._timer, self._burst):
            if handle is not None:
                handle.cancel()
        self._timer = self._burst = None
        alone: Any = None
        if self.session is not None:
            try:
                if isinstance(exc, OSError):
                    self._read_rest(self.session, exc)
            finally:
                waiters = self.session.transport_lost(exc, monotonic())
                if len(waiters) == 1 and getattr(self.transport, "closed", False):
                    alone = waiters[0]
                else:
                    self._fire_soon(waiters)
        self._on_end(exc)
        self.forget()
        if alone is not None:
            # Nothing is left to be done, so the waiting task may go on at once.
            alone.fire()

    def _read_rest(self, session: Endpoint, exc: BaseException) -> None:
        """Read what had arrived, which is lost with the transport otherwise."""
        # If it was input that failed, nothing is there.
        session.output_failed(exc, monotonic())
        self._take_rest(session)

    def _take_rest(self, session: Endpoint) -> None:
        now = monotonic()
        session.tcp_close.drain_started()
        while not session.input_over:
            size = receive_rest(self.transport, session.reader.get_buffer(-1))
            if not size:
                break
            waiter = session.data_received(size, now)
            self._fire_soon(() if waiter is None else (waiter,))
            session.after_delivery()
        session.tcp_close.drain_ended()

    def _fire_soon(self, waiters: Iterable[Any]) -> None:
        for waiter in waiters:
            waiter.fire_soon()

    def forget(self) -> None:
        """Let go of what leads back here, so that memory is free at the end."""
        self._on_connect = _abort
        self._on_handshake = self._on_end = _ignore
        self.get_buffer = None

    def _peer_left(self, gone: bool) -> None:
        session = self.session
        if session is None:
            # As where the end is read.
            self.transport.abort()
        elif not self.ended:
            session.peer_left(gone, monotonic())
            self.step()

    # The face calls

    def watch_end(self, wanted: bool) -> None:
        """Watch for the end of the peer, or no more, while reading is paused."""
        if wanted:
            self._watched = _hang_up.watch(self.loop, self.transport, self._peer_left)
        elif self._watched is not None:
            _hang_up.forget(self.loop, self._watched, self._peer_left)
            self._watched = None

    def open(self, session: Endpoint, leftover: bytes) -> None:
        """
        Begin to drive `session`.

        Args:
            leftover: bytes that arrived behind the handshake.
        """
        self.watch_end(False)
        # The transport asks the compiled reader itself from here on.
        self.start_frames(session)
        self._spare = None
        options = session.options
        self.transport.set_write_buffer_limits(
            high=options.write_high, low=options.write_low
        )
        tune(self.transport, options)
        # Some transports remember the methods of their protocol.
        self.transport.set_protocol(self)
        if leftover:
            session.feed(leftover, monotonic())
            session.after_delivery()
        self.step()

    async def run(self, operation: Operation[T]) -> T:
        """
        Carry out what may have to wait.

        Cancellation: the operation ends at its current `yield`.

        Raises:
            InvalidState: no connection is open yet.
            RuntimeError: it is called from another event loop.
        """
        if self.session is None:
            refuse(operation)
        now: Any = None
        try:
            check_running(self.loop)
        except RuntimeError:
            operation.close()
            raise
        try:
            while True:
                waiter: Any = operation.send(now)
                self.step()
                if waiter is FLUSH:
                    continue
                await waiter
                self.time_slice.renew()
                now = monotonic()
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            operation.close()
            self.step()

    async def run_fairly(self, operation: Operation[T]) -> T:
        """
        Carry out what may have to wait, and let the event loop run when that is due.

        For all that takes nothing, so that nothing is lost where the caller is
        cancelled afterwards.
        """
        try:
            result = await self.run(operation)
        except Exception:
            # A program may go on in spite of what was raised.
            await self.share()
            raise
        await self.share()
        return result

    async def share(self) -> None:
        """Count a call, and let the event loop run once when that is due."""
        if self.time_slice.spend(self.loop):
            await yield_once()

    # A call that has nothing to wait for may return at once.
    checkpoint = share

    async def flush(self, session: Endpoint) -> None:
        """Send what is queued, and wait while output is above its mark."""
        self.end_turn()
        await self.run_fairly(operations.flush(session))

    def _end_burst(self) -> None:
        self._burst = None
        self._wrote_at = monotonic()
        self.end_turn()

    def _flush(self) -> None:
        session = self.session
        assert session is not None
        session.sent_at = max(session.sent_at, self._wrote_at, session.now)
        self.write_queued()

    def end_turn(self) -> None:
        """Send the joined frames of this event loop iteration, if they still wait."""
        if self.session is not None and self.session.writer.pending:
            self._flush()

    def begin_close(self, code: int | None, reason: str) -> None:
        """Start to close the connection without waiting for its end."""
        session = self.session
        assert session is not None
        session.begin_close(code, reason, monotonic())
        self.step()

    def step(self) -> None:
        """Carry out what the session wants after something happened."""
        session = self.session
        if session is None:
            return
        if session.writer.pending:
            if session.needs_sync:
                self._flush()
            else:
                self.schedule_flush()
        if session.needs_sync:
            self._sync()

    def step_threadsafe(self) -> None:
        """Call `step` soon, from any thread or a finalizer."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.step)

    def _sync(self) -> None:
        session = self.session
        if session is None or self.ended:
            return
        session.needs_sync = False
        transport = self.transport
        if session.reading_paused != self._paused:
            self._paused = session.reading_paused
            if not transport.is_closing():
                if self._paused:
                    transport.pause_reading()
                else:
                    transport.resume_reading()
        if session.watching is not (self._watched is not None):
            self.watch_end(session.watching)
        if session.closing_tcp and self._advance_tcp_close(session, transport):
            return
        self._arm(session)

    def _advance_tcp_close(self, session: Endpoint, transport: Any) -> bool:
        """
        Do what comes next towards the end of TCP; returns whether that was all.

        Waiting output belongs to the transport, which keeps the order.
        """
        if session.next_tcp_step(False) is TCPStep.HALF_CLOSE:
            session.half_closed(self._half_close(transport))
        if session.next_tcp_step(False) is TCPStep.DRAIN_INPUT:
            self._take_rest(session)
        if session.next_tcp_step(False) is TCPStep.END:
            if session.must_abort:
                transport.abort()
                return True
            transport.close()
        return False

    def _half_close(self, transport: Any) -> bool:
        try:
            if not transport.can_write_eof():
                return False
            transport.write_eof()
        except (OSError, RuntimeError):
            # uvloop raises RuntimeError where the peer is gone already.
            return False
        return True

    def _arm(self, session: Endpoint) -> None:
        """Make the timer fire at the deadline; one that fires early is kept."""
        deadline = session.deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_later(
            max(deadline - monotonic(), 0), self._timer_fired
        )

    def _timer_fired(self) -> None:
        self._timer = None
        session = self.session
        if session is None or self.ended:
            return
        transport = self.transport
        sock = transport.get_extra_info("socket")
        tell_time(session, sock, transport.get_write_buffer_size(), monotonic())
        self.step()
