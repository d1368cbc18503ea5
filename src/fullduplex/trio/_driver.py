"""The trio driver: bytes, the clock and the tasks of an endpoint.

A connection has one task, which reads and keeps time; a cancel scope around its
waiting is the timer.  A second one, which writes, is started when the system does
not take all of a frame at once.  Both catch everything: what ends them is told to
the session, and errors surface from `recv` and `send` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import trio
from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_trio_token,
    enable_ki_protection,
)

from .._net.sockets import tell_time, tune
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.not_open import refuse
from ..core.endpoint.operations import FLUSH, Operation
from ..core.endpoint.tcp_close import TCPStep
from ..core.endpoint.write_buffer import WriteBuffer
from ..core.frames.close import CloseCode
from . import _hang_up
from ._byte_stream import ByteStream
from ._waiter import Waiter, run_clock

T = TypeVar("T")

# Times that others run, at most, until the task that writes has handed a message to a
# trio stream and the stream has handed it to the system.  TLS takes four.
HANDING_OVER = 6
# Moves for the task that reads.
LAST = (TCPStep.DRAIN_INPUT, TCPStep.END)


class Driver:
    """
    One pipe and, once the handshake is done, one session.

    Args:
        on_end: called once, with what broke TCP or None, after the session has been
            told.
    """

    __slots__ = (
        "__weakref__",
        "_on_end",
        "_parked",
        "_scope",
        "_shield",
        "_start_soon",
        "_token",
        "_watched",
        "_writer_parked",
        "_writing",
        "backlog",
        "clock",
        "ended",
        "pipe",
        "session",
    )

    def __init__(self, on_end: Callable[[BaseException | None], None]) -> None:
        self._on_end = on_end
        self.clock = run_clock()
        self._token = current_trio_token()
        self.pipe: ByteStream | None = None
        self.session: Endpoint | None = None
        #: whether TCP has ended
        self.ended = False
        #: frames that the pipe has not taken
        self.backlog = WriteBuffer()
        self._start_soon: Callable[..., object] = _too_early
        self._shield = False
        self._scope = trio.CancelScope()
        # Waiters of the tasks, apart from the pipe.
        self._parked: Waiter | None = None
        self._writer_parked: Waiter | None = None
        self._writing = False
        self._watched: int | None = None

    # The face calls

    def check_run(self) -> None:
        """
        Refuse a call from another run of trio, as another thread may have.

        Raises:
            RuntimeError: it comes from one.
        """
        if current_trio_token() is not self._token:
            raise RuntimeError(
                "this connection belongs to another trio run; "
                "use trio.from_thread.run() with the token of that run"
            )

    def open(self, session: Endpoint, leftover: bytes) -> None:
        """
        Take up `session`; `start` lets it live.

        Args:
            leftover: bytes that arrived behind the handshake.
        """
        self.session = session
        assert self.pipe is not None
        tune(self.pipe.sock, session.options)
        if leftover:
            session.feed(leftover, self.clock())
            session.after_delivery()

    def start(self, start_soon: Callable[..., object], *, shield: bool) -> None:
        """
        Begin to read, to write and to keep time.

        Args:
            start_soon: starts a task.
            shield: whether the connection outlives the cancelling of its task, and
                is ended by who uses it.
        """
        self._start_soon = start_soon
        self._shield = shield
        start_soon(self._live)
        self.step()

    @enable_ki_protection
    async def run(self, operation: Operation[T]) -> T:
        """
        Carry out what may have to wait; always a checkpoint.

        Cancellation: the operation ends at its current `yield`.

        Raises:
            InvalidState: no connection is open yet.
            RuntimeError: it is called from another run of trio.
        """
        session = self.session
        if session is None:
            refuse(operation)
        now: Any = None
        waited = False
        try:
            self.check_run()
        except RuntimeError:
            operation.close()
            raise
        try:
            while True:
                waiter: Any = operation.send(now)
                self.step()
                if waiter is not FLUSH:
                    await waiter.wait()
                    now = self.clock()
                    waited = True
                elif self.handing_over and not session.writing_paused:
                    await self.hand_over()
                    waited = True
        except StopIteration as stop:
            result = stop.value
        except Exception:
            # A program may go on in spite of it, and must let others run.
            if not waited:
                await cancel_shielded_checkpoint()
            raise
        finally:
            operation.close()
            self.step()
        if not waited:
            await cancel_shielded_checkpoint()
        return result  # type: ignore[no-any-return]

    async def run_fairly(self, operation: Operation[T]) -> T:
        """As `run`, but nothing is done if the task is cancelled already."""
        await checkpoint_if_cancelled()
        return await self.run(operation)

    async def share(self) -> None:
        """Let a cancellation take place, before anything is taken or sent."""
        await checkpoint_if_cancelled()

    async def checkpoint(self) -> None:
        """Let others run, in a call that has nothing to wait for."""
        await checkpoint()

    @property
    def handing_over(self) -> bool:
        """Whether output waits for another task that writes it at once."""
        pipe = self.pipe
        return bool(self.backlog) and pipe is not None and not pipe.immediate

    @enable_ki_protection
    async def hand_over(self) -> None:
        """
        Let others run, once or until the system has what was sent.

        Output leaves before the sending task goes on, unless the system takes no more.
        """
        for _ in range(HANDING_OVER):
            await cancel_shielded_checkpoint()
            if not self.handing_over:
                break

    @enable_ki_protection
    def begin_close(self, code: int | None, reason: str) -> None:
        """Start to close the connection without waiting for its end."""
        session = self.session
        assert session is not None
        session.begin_close(code, reason, self.clock())
        self.step()

    def forget(self) -> None:
        """Let go of what leads back here, so that memory is free at the end."""
        self._on_end = _told
        self._start_soon = _too_early

    def abort(self) -> None:
        """End TCP now, whatever waits to be sent."""
        if self.session is not None:
            self.session.abort()
            self._rouse()

    @enable_ki_protection
    def step(self) -> None:
        """Carry out what the session wants after something happened."""
        session = self.session
        if session is None:
            return
        if session.writer.pending:
            self.flush()
        if session.needs_sync:
            self._sync(session)

    def step_threadsafe(self) -> None:
        """Call `step` soon, from any thread or a finalizer."""
        try:
            self._token.run_sync_soon(self.step)
        except trio.RunFinishedError:
            pass

    # Output

    def flush(self) -> None:
        """Send what was queued, as much as the system takes."""
        session = self.session
        assert session is not None
        self.write(session.writer.take())

    @enable_ki_protection
    def write(self, data: bytes) -> None:
        """Send whole frames, as much of them as the system takes now."""
        pipe, session = self.pipe, self.session
        assert pipe is not None
        assert session is not None
        if self.ended or session.must_abort:
            return
        size = len(data)
        taken = 0
        session.sent_at = self.clock()
        if not self.backlog:
            try:
                taken = pipe.send_now(data)
            except OSError as exc:
                self._fail(exc)
                return
            if taken == size:
                return
        self.backlog.add(memoryview(data)[taken:])
        self.backlog.balance(session)
        if not self._writing:
            self._writing = True
            self._start_soon(self._write_on)
        elif self._writer_parked is not None:
            self._writer_parked.fire()

    @enable_ki_protection
    async def _write_on(self) -> None:
        """Write what the system did not take at once, for as long as TCP lives."""
        assert self.pipe is not None
        with trio.CancelScope(shield=True):
            while not self.ended:
                if not self.backlog:
                    self._writer_parked = Waiter()
                    await self._writer_parked.wait()
                    self._writer_parked = None
                    continue
                try:
                    sent = await self.pipe.send(self.backlog.head)
                except (OSError, trio.ClosedResourceError) as exc:
                    self._fail(exc)
                    return
                self._taken(sent)

    def _taken(self, size: int) -> None:
        """Note that the pipe has taken bytes of the backlog."""
        session = self.session
        assert session is not None
        if self.ended:
            return
        self.backlog.taken(size)
        for waiter in self.backlog.balance(session):
            waiter.fire()
        self.step()
        if not self.backlog:
            # Closing goes on when all is out.
            session.needs_sync = True
            self.step()

    def _fail(self, exc: BaseException) -> None:
        session = self.session
        assert session is not None
        session.output_failed(exc, self.clock())
        self.backlog.clear()
        self._rouse()

    # Input and time

    @enable_ki_protection
    async def _live(self) -> None:
        """Read and keep time until TCP ends; then tell everybody."""
        session = self.session
        assert session is not None
        try:
            while not self._over(session):
                deadline = session.deadline()
                with trio.CancelScope(
                    deadline=math.inf if deadline is None else deadline,
                    shield=self._shield,
                ) as self._scope:
                    # It may have become due, or over, before there was this scope.
                    self.step()
                    while not self._over(session):
                        await self._read(session)
                self._look_at_the_clock(session)
            self._read_rest(session)
        except (OSError, trio.ClosedResourceError) as exc:
            session.input_failed(exc)
        except trio.Cancelled:
            # Only unshielded: what it lives in is at its end.
            self.begin_close(CloseCode.GOING_AWAY, "")
            # The writing task has its turn.
            await cancel_shielded_checkpoint()
            await cancel_shielded_checkpoint()
            session.abort()
        except Exception as exc:
            session.protocol.logger.error("unexpected internal error", exc_info=exc)
            session.input_failed(exc)
        finally:
            await self._end(session)

    def _over(self, session: Endpoint) -> bool:
        return session.closing_tcp and session.next_tcp_step(bool(self.backlog)) in LAST

    async def _read(self, session: Endpoint) -> None:
        """Wait for input, or for the permission to wait for it, and take it."""
        assert self.pipe is not None
        if session.reading_paused or session.input_over:
            self._parked = Waiter()
            try:
                await self._parked.wait()
            finally:
                self._parked = None
            return
        size = await self.pipe.receive(session.reader.get_buffer)
        if not size:
            session.eof_received(self.clock())
            self.step()
            return
        waiter = session.data_received(size, self.clock())
        if waiter is not None:
            if session.writer.pending:
                # Pongs do not wait for what the reader does with its message.
                self.flush()
                if self.handing_over:
                    await self.hand_over()
            waiter.fire()
            if session.protocol.close_deferred:
                # The receiver has its turns, and its reply goes out first.  One turn is
                # for the message, one more for a message in fragments, and another
                # because the order within a turn is random.
                for _ in range(3):
                    await cancel_shielded_checkpoint()
            session.after_delivery()
        elif session.messages or session.needs_sync:
            session.after_delivery()
        self.step()

    def _read_rest(self, session: Endpoint) -> None:
        """Read what has arrived before output failed."""
        assert self.pipe is not None
        session.tcp_close.drain_started()
        while not session.input_over:
            size = self.pipe.receive_now(session.reader.get_buffer)
            if size is None:
                break
            if size:
                waiter = session.data_received(size, self.clock())
                if waiter is not None:
                    waiter.fire()
                session.after_delivery()
            else:
                session.eof_received(self.clock())
        session.tcp_close.drain_ended()

    def _look_at_the_clock(self, session: Endpoint) -> None:
        assert self.pipe is not None
        now = self.clock()
        deadline = session.deadline()
        if deadline is not None and deadline <= now:
            tell_time(session, self.pipe.sock, self.backlog.size, now)
        session.needs_sync = True
        self.step()

    def _sync(self, session: Endpoint) -> None:
        """Look at the outputs of the session."""
        session.needs_sync = False
        if self.ended:
            return
        if session.watching is not (self._watched is not None):
            self._watch_end(session.watching)
        if session.closing_tcp:
            self._advance_tcp_close(session)
        if self._parked is not None and not session.reading_paused:
            self._parked.fire()
        deadline = session.deadline()
        # A timer that fires early is kept.
        if deadline is not None and deadline < self._scope.deadline:
            self._scope.deadline = deadline

    def _watch_end(self, wanted: bool) -> None:
        """Watch for the end of the peer, or no more, while reading is paused."""
        assert self.pipe is not None
        if wanted:
            self._watched = _hang_up.watch(self.pipe.sock, self._peer_left)
        elif self._watched is not None:
            _hang_up.forget(self._watched, self._peer_left)
            self._watched = None

    def _peer_left(self, gone: bool) -> None:
        session = self.session
        if session is None or self.ended:
            return
        try:
            session.peer_left(gone, self.clock())
            self.step()
        except Exception as exc:
            session.protocol.logger.error("unexpected internal error", exc_info=exc)
            session.input_failed(exc)
            self._rouse()

    def _advance_tcp_close(self, session: Endpoint) -> None:
        """Do what comes next towards the end of TCP."""
        assert self.pipe is not None
        while (move := session.next_tcp_step(bool(self.backlog))) is TCPStep.HALF_CLOSE:
            session.half_closed(self.pipe.half_close())
        if move in LAST:
            self._rouse()

    def _rouse(self) -> None:
        """Make the task look at what has changed."""
        if self._parked is not None:
            self._parked.fire()
        else:
            self._scope.cancel()

    async def _end(self, session: Endpoint) -> None:
        assert self.pipe is not None
        self.ended = True
        self._watch_end(False)
        with trio.CancelScope(
            deadline=session.tcp_close_deadline(self.clock()), shield=True
        ):
            try:
                await self.pipe.aclose()
            except Exception as exc:
                # It is as closed as it can be; the tasks that wait must be told.
                session.protocol.logger.debug("closing failed", exc_info=exc)
        self.backlog.clear()
        for waiter in session.transport_lost(None, self.clock()):
            waiter.fire()
        if self._writer_parked is not None:
            self._writer_parked.fire()
        self._on_end(session.tcp_close.failure)
        self.forget()


def _told(_: BaseException | None) -> None:
    """Be called by nobody: the end was told."""


def _too_early(*_: Any) -> None:
    raise AssertionError("nothing can be written before `start`")
