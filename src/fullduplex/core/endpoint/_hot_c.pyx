# cython: language_level=3, binding=False, always_allow_keywords=False
"""Receive and send paths of an open connection.  Compiled twin of ``_hot.py``."""

from ..wire._wire_c cimport MessageQueue, WriterInterface, ReaderInterface

from ..frames.close import State

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    RECEIVING = 1
    PAUSED = 2

cdef object OPEN = State.OPEN


cdef class HotEndpoint:
    def __init__(self, protocol, Py_ssize_t queue_low, double now, unread_low=None):
        self.protocol = protocol
        self.messages = protocol.messages
        self.reader = self.holder = protocol.reader
        self.writer = protocol.writer
        self._low = queue_low
        self._unread_low = PY_SSIZE_T_MAX if unread_low is None else min(unread_low, PY_SSIZE_T_MAX)
        self.now = self.received_at = self.sent_at = now
        self.needs_sync = True
        self.clear_to_send = protocol.plain

    def data_received(self, Py_ssize_t size, double now):
        return self.parse(size, now)

    cdef object parse(self, Py_ssize_t size, double now):
        cdef object waiter
        self.now = self.received_at = now
        try:
            self.reader.received(size)
        except Exception as exc:
            self.protocol.fail_for(exc)
        except BaseException as exc:
            self.interrupted(exc)
            raise
        if self.reader.has_events:
            self._after_events()
        if self.reader.holding and not self.messages._count:
            self.refill()
        waiter = self.recv_waiter
        if waiter is not None and self.messages._count:
            self.recv_waiter = None
            return waiter
        return None

    cpdef refill(self):
        cdef ReaderInterface holder
        cdef bint pinged
        if self.reader.holding and self.reader.stopped:
            self._hear_on()
        holder = self.holder
        while holder.holding and not holder.is_full():
            pinged, self.reader.has_events = self.reader.has_events, False
            try:
                holder.proceed()
            except Exception as exc:
                self.protocol.fail_for(exc)
            except BaseException as exc:
                self.interrupted(exc)
                raise
            if self.reader.has_events:
                self._after_refill()
            self.reader.has_events = pinged
        if not holder.holding:
            self.holder = self.reader

    cpdef message_taken(self):
        if self._above_low():
            return
        if self.holder.holding:
            self.refill()
            if self.holder.holding or self._above_low():
                return
        self._pause_reading(False)

    cdef bint _above_low(self) except -1:
        cdef ReaderInterface holder = self.holder
        if self.messages._count > self._low:
            return True
        if holder.queued_bytes <= self._unread_low:
            return False
        holder.queued_bytes = self.messages.size()
        return holder.queued_bytes > self._unread_low

    cpdef take_held(self):
        cdef object message
        if self.messages._count == 0 and not self._recv_blockers & ~PAUSED:
            self.refill()
        if self.messages._count == 0 or self._recv_blockers & ~PAUSED:
            return None
        message = self.messages.first()
        if self._recv_blockers:
            self.message_taken()
        return message

    @property
    def recv_blockers(self):
        return self._recv_blockers

    @recv_blockers.setter
    def recv_blockers(self, int recv_blockers):
        self.set_recv_blockers(recv_blockers)

    cdef int set_recv_blockers(self, int recv_blockers) except -1:
        self._recv_blockers = recv_blockers
        self.messages.take_threshold = 0 if recv_blockers == 0 else self._low + 1 if recv_blockers == PAUSED else PY_SSIZE_T_MAX
        return 0

    def begin_wait(self, waiter):
        return self.start_wait(waiter)

    cdef bint start_wait(self, waiter) except -1:
        if self._recv_blockers or self.messages._count or self.holder.holding:
            return False
        # While messages may go out, and come in, no close frame has done so.
        if not self.clear_to_send or self.reader.stopped:
            if self.protocol.close_deferred or self.protocol.state is not OPEN:
                return False
        self.set_recv_blockers(RECEIVING)
        self.recv_waiter = waiter
        return True

    def end_wait(self):
        self.stop_wait()

    cdef int stop_wait(self) except -1:
        self.set_recv_blockers(self._recv_blockers & ~RECEIVING)
        self.recv_waiter = None
        return 0

    def queue(self, message):
        return self.clear_to_send and self.writer.add_message(message)
