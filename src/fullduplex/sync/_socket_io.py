"""The bytes of a blocking connection, in and out, under its lock.

Nothing here waits: this is what the thread that leads, the one that sends and the
housekeeper have in common.  The memory itself, and the two shortcuts of the hot
path, are in `HotDriver`; waiting is in `Driver`.
"""

from __future__ import annotations

import math
import socket
import ssl
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._net.sockets import tell_time, tune
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.tcp_close import TCPStep
from ..core.implementation import IMPLEMENTATION, loading
from . import _background
from ._background import PAUSE, call_at, came_back
from ._channel import DONTWAIT, IN, OUT, HandshakeSocket

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._hot import NOTHING, HotDriver, give_buffer, spare_buffer, take_buffer
else:
    with loading():
        from ._hot_c import NOTHING, HotDriver, give_buffer, spare_buffer, take_buffer

__all__ = ["GLANCE", "NOTHING", "TICK", "SocketIO", "spare_buffer"]

# Seconds after which a thread that blocks looks around, to see what other threads
# have changed.  Blocking for so long takes one system call, less takes two.
TICK = 0.5
FLAGS = (DONTWAIT,)
# Sending calls after which input is looked for, also in ``_hot_c.pyx``.  A thread that
# does nothing but send holds the lock most of the time, and the housekeeper may not
# find it free for long.
GLANCE = 64


class SocketIO(HotDriver):
    """
    One socket and one session.

    Args:
        channel: the socket, and TLS.
        session: the session to drive.
        leftover: bytes that came behind the handshake.
    """

    __slots__ = (
        "__weakref__",
        "_recv_into",
        "_send",
        "_unnoted_writes",
        "abandoned",
        "alarm",
        "failure",
        "pause",
        "told_at",
        "watched",
        "watches_end",
    )

    def __init__(
        self, channel: HandshakeSocket, session: Endpoint, leftover: bytes
    ) -> None:
        sock = channel.sock
        super().__init__(sock, session, channel.tls, TICK, channel.guest)
        #: whether a stream of fragments was dropped before its end
        self.abandoned = False
        #: when the housekeeper is going to look, for the housekeeper
        self.alarm = math.inf
        #: events that it watches for; whether it watches for the peer's end too; the
        #: time of the last one; and the seconds for which it then leaves the connection
        #: alone
        self.watched = 0
        self.watches_end = False
        self.told_at = -math.inf
        self.pause = PAUSE
        #: error of the last read, before the session is told
        self.failure: OSError | None = None
        self._unnoted_writes: list[int] = []
        session.tcp_close.close_notify_due = self.tls is not None
        session.exclusive = True
        self._recv_into = sock.recv_into
        self._send = sock.send
        if DONTWAIT:
            whole = int(TICK)
            pause = struct.pack("@ll", whole, int((TICK - whole) * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pause)
        tune(sock, session.options)
        with self.lock:
            _background.add(self)
            if leftover:
                self.borrow()
                session.feed(leftover, monotonic())
                session.after_delivery()
                self.give_back()
            if self.tls is not None and self.tls.over:
                self.end_input(monotonic())
            self.step()

    # Input

    def borrow(self) -> None:
        self.buffer = self.session.reader.buffer = take_buffer()
        self._aim()

    def give_back(self) -> None:
        self.view = None
        buffer, self.buffer = self.buffer, None
        if buffer is not None:
            give_buffer(buffer)

    def _aim(self) -> None:
        """Choose where to read to; what is encrypted comes in behind plain text."""
        if self.tls is None:
            self.view = self.session.reader.get_buffer(-1)
        else:
            assert self.buffer is not None
            self.view = self.buffer.view

    def take_input(self, now: float) -> None:
        """Parse what was read; nothing read is the end."""
        got = self.unparsed_reads
        size = got[0]
        if self.ended:
            got.clear()
            return
        self.mid_transition = True
        got.clear()
        if self.tls is not None and size:
            size = self.decrypt(size, now)
        elif size:
            self._parse(size, now)
            self.view = self.session.reader.get_buffer(-1)
        if not size:
            self.end_input(now)
        session = self.session
        if session.messages or session.needs_sync:
            session.after_delivery()
        self.mid_transition = False
        if session.writer.pending or session.needs_sync or self.backlog:
            self.step()

    def _parse(self, size: int, now: float) -> None:
        waiter: Any = self.session.data_received(size, now)
        if waiter is not None:
            waiter.fire()

    def decrypt(self, size: int, now: float) -> int:
        """Parse what was read through TLS; returns 0 if the peer has ended it."""
        tls = self.tls
        assert tls is not None
        reader = self.session.reader
        try:
            tls.feed(self.view[:size])
            # The ciphertext has been copied: its memory is free.
            while tls.pending():
                self._parse(tls.read_into(reader.get_buffer(-1)), now)
        except ssl.SSLZeroReturnError:
            return 0
        except OSError as exc:
            self.failure = exc
            return 0
        finally:
            self.backlog.add(tls.output())
        return size

    def end_input(self, now: float) -> None:
        if self.eof:
            return
        self.eof = True
        if self.failure is None:
            self.session.eof_received(now)
        else:
            self.session.input_failed(self.failure)
        self.mid_transition = False
        self.step()

    def read_ready(self, now: float, *, once: bool = False) -> None:
        """Read what is there, without waiting."""
        borrowed = self.view is None
        if borrowed:
            self.borrow()
        try:
            while not (self.ended or self.eof or self.session.reading_paused):
                self.unparsed_reads.extend(
                    map(self._recv_into, (self.view,), (0,), FLAGS)
                )
                full = self.unparsed_reads[0] == len(self.view)
                self.take_input(now)
                if once or not full:
                    break
        except BlockingIOError:
            pass
        except OSError as exc:
            self.failure = exc
            self.end_input(now)
        finally:
            if borrowed:
                self.give_back()

    def glance(self) -> None:
        """Read what is there, where nobody else does."""
        self.unseen = 0
        if self.leader is None and not self.mid_transition:
            self.read_ready(monotonic())
            self.step()

    # Output

    def flush(self) -> None:
        """Give the system what is to be sent, as far as it takes it."""
        session = self.session
        if session.must_abort:
            return
        writer, backlog, sent = session.writer, self.backlog, self._unnoted_writes
        try:
            while True:
                if sent:
                    # Without a call in between: Ctrl-C must not count twice.
                    backlog.taken(sent[0])
                    del sent[:]
                if writer.pending:
                    self.mid_transition = True
                    session.sent_at = monotonic()
                    data = writer.take()
                    backlog.add(data if self.tls is None else self.tls.encrypt(data))
                    self.mid_transition = False
                elif not backlog:
                    break
                sent.extend(map(self._send, (backlog.head,), FLAGS))
        except BlockingIOError:
            pass
        except OSError as exc:
            session.output_failed(exc, monotonic())
        if backlog or session.writing_paused:
            self._balance()

    def _balance(self) -> None:
        for waiter in self.backlog.balance(self.session):
            waiter.fire()
        if not self.backlog:
            if self.session.writer.pending:
                self.flush()
            # Closing goes on when all is out.
            self.session.needs_sync = True

    def _shut_down(self, how: int) -> None:
        try:
            self.sock.shutdown(how)
        except OSError:
            pass  # the peer is gone already

    def see_to_it(self) -> None:
        """Let the housekeeper send what waits, if nobody else does."""
        if self.backlog and not self.ended and self.leader is None:
            _background.watch(self)

    # Requests of the session

    def step(self) -> None:
        """Carry out what the session wants after something happened."""
        session = self.session
        if (session.writer.pending or self.backlog) and not self.ended:
            self.flush()
        if session.needs_sync:
            self._sync()

    def _sync(self) -> None:
        session = self.session
        if session.closing_tcp:
            self._advance_tcp_close()
        # At the end: where Ctrl-C cuts this, the next step does all of it again.
        session.needs_sync = False
        if self.ended:
            return
        deadline = session.deadline()
        self.due = math.inf if deadline is None else deadline
        if self.due < self.alarm:
            call_at(self.due, self)
        if session.reading_paused or self.leader is not None:
            return
        # Reading may go on.
        if self.followers:
            self.followers[0].wake()
        elif self.aside and not self.blocked:
            came_back(self)

    def _advance_tcp_close(self) -> None:
        """Do what comes next towards the end of TCP."""
        session = self.session
        while (move := session.next_tcp_step(bool(self.backlog))) is not TCPStep.WAIT:
            if move is TCPStep.CLOSE_NOTIFY:
                assert self.tls is not None
                self.backlog.add(self.tls.farewell())
                session.tcp_close.close_notify_sent()
                self.flush()
            elif move is TCPStep.HALF_CLOSE:
                self._shut_down(socket.SHUT_WR)
                session.half_closed(True)
            elif move is TCPStep.DRAIN_INPUT:
                session.tcp_close.drain_started()
                self.backlog.clear()
                if self.leader is not None:
                    # It is woken by this, and reads up to the end.
                    self._shut_down(socket.SHUT_RDWR)
                    return
                self.read_ready(monotonic())
                session.tcp_close.drain_ended()
            else:
                self._end()

    def recover_from_interrupt(self) -> None:
        """Make good what Ctrl-C or the garbage collector has left behind."""
        if self.mid_transition:
            # A change of the session was cut: it can't be relied on.
            self.session.abort()
            self._end()
        if self.abandoned:
            self.abandoned = False
            self.session.abandon_stream()

    def look_around(self, now: float) -> None:
        self.recover_from_interrupt()
        if now < self.due or self.ended:
            return
        if self.leader is None:
            # Bytes of the peer may have come in time.
            self.read_ready(now)
        tell_time(self.session, self.sock, self.backlog.size, now)
        self.step()

    # The end

    def _end(self) -> None:
        """End TCP, and tell everybody."""
        if self.ended and not self.mid_transition:
            return
        session = self.session
        # Where Ctrl-C cuts the next lines, the next holder of the lock does them again.
        self.mid_transition = self.ended = True
        self.due = math.inf
        if session.must_abort or self.backlog:
            session.tcp_close.close_notify_sent()  # it would not be understood
        self.backlog.clear()
        self._unnoted_writes.clear()
        waiters: Any = session.transport_lost(None, monotonic())
        for waiter in waiters:
            waiter.fire()
        for waiter in self.followers:
            waiter.wake()
        if self.blocked or self.leader is self:
            # They are woken by this, and the last of them closes the socket.
            self._shut_down(socket.SHUT_RDWR)
        else:
            self._dispose()
        self.mid_transition = False

    def _dispose(self) -> None:
        if self.tls is not None:
            self.tls.store_session()
            if self.session.tcp_close.close_notify_due:
                self.session.tcp_close.close_notify_sent()
                try:
                    self.sock.send(self.tls.farewell(), DONTWAIT)
                except OSError:
                    pass
        _background.remove(self)
        self.sock.close()

    def abort(self) -> None:
        """End TCP at once; without the lock."""
        with self.lock:
            self.session.abort()
            self._end()

    def after_fork_in_child(self) -> None:
        """Forget the connection in a forked child; it is the parent's."""
        self.new_lock()
        self.blocked.clear()
        self.leader = None
        self.ended = True
        try:
            # The thread that waited is not there any more.
            self.session.end_wait()
            self.session.transport_lost(
                OSError("the connection belongs to the process that forked"),
                monotonic(),
            )
        finally:
            # No shutdown: that would reach the peer.
            self.sock.close()

    def leave(self, waiter: Any) -> None:
        """Let another thread lead; the lock is held."""
        if self.leader is waiter:
            self.leader = None
            if self.unparsed_reads:
                self.take_input(monotonic())
            if self.view is not None:
                self.give_back()
        followers = self.followers
        if followers:
            if waiter in followers:
                followers.remove(waiter)
            for other in followers:
                if not other.fired:
                    other.wake()
                    break
        if self.ended:
            if not self.blocked and self.leader is not self:
                cut, self.mid_transition = self.mid_transition, True  # as in `_end`
                self._dispose()
                self.mid_transition = cut
        elif self.backlog or self.session.must_abort:
            _background.watch(self)
        elif self.aside and self.leader is None and not self.blocked:
            came_back(self)

    # Methods that the housekeeper calls

    def hung_up(self, gone: bool, now: float) -> None:
        """
        Take note that the peer's end was seen while reading is paused.

        Args:
            gone: as for `Session.peer_left`.
        """
        with self.lock:
            if self.ended:
                return
            try:
                self.session.peer_left(gone, now)
                self.step()
            except Exception as exc:
                self._broke(exc)

    def _broke(self, exc: Exception) -> None:
        """End the connection for a fault of ours; the housekeeper goes on."""
        self.session.protocol.logger.error("unexpected internal error", exc_info=exc)
        self.session.input_failed(exc)
        self._end()

    def service(self, now: float, readable: bool) -> tuple[bool, int]:
        """
        Do what is due, unless a caller does.

        Args:
            readable: whether there is input.

        Returns:
            Whether a caller is at work; and the events to watch for.
        """
        if not self.lock.acquire(False):
            return True, 0
        try:
            if self.ended and not self.mid_transition:
                return False, 0
            if self.leader is not None or self.blocked:
                self.aside = True
                return True, 0
            if self.mid_transition or now >= self.due:
                self.look_around(now)
            elif readable:
                self.read_ready(now)
            self.step()
            if self.ended:
                return False, 0
            reads = not self.session.reading_paused and not self.eof
            # The caller that resumes reading says so.
            self.aside = not reads
            return False, (IN if reads else 0) | (OUT if self.backlog else 0)
        except Exception as exc:
            self._broke(exc)
            return False, 0
        finally:
            self.lock.release()
