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
        self.attention = True
        self.clear_to_send = protocol.plain

    def data_received(self, Py_ssize_t size, double now):
        return self.parse(size, now)

    cdef object parse(self, Py_ssize_t size, double now):
        cdef object waiter
        self.now = self.received_at = now
        try:
            self.reader.received(size)
        except Exception as exc:
            self.protocol.refuse(exc)
        except BaseException as exc:
            self.interrupted(exc)
            raise
        if self.reader.eventful:
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
            pinged, self.reader.eventful = self.reader.eventful, False
            try:
                holder.proceed()
            except Exception as exc:
                self.protocol.refuse(exc)
            except BaseException as exc:
                self.interrupted(exc)
                raise
            if self.reader.eventful:
                self._after_refill()
            self.reader.eventful = pinged
        if not holder.holding:
            self.holder = self.reader

    cpdef taken(self):
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
        if holder.tally <= self._unread_low:
            return False
        holder.tally = self.messages.size()
        return holder.tally > self._unread_low

    cpdef take_held(self):
        cdef object message
        if self.messages._count == 0 and not self._slow & ~PAUSED:
            self.refill()
        if self.messages._count == 0 or self._slow & ~PAUSED:
            return None
        message = self.messages.first()
        if self._slow:
            self.taken()
        return message

    @property
    def slow(self):
        return self._slow

    @slow.setter
    def slow(self, int slow):
        self.set_slow(slow)

    cdef int set_slow(self, int slow) except -1:
        self._slow = slow
        self.messages.floor = 0 if slow == 0 else self._low + 1 if slow == PAUSED else PY_SSIZE_T_MAX
        return 0

    def expect(self, waiter):
        return self.expecting(waiter)

    cdef bint expecting(self, waiter) except -1:
        if self._slow or self.messages._count or self.holder.holding:
            return False
        # While messages may go out, and come in, no close frame has done so.
        if not self.clear_to_send or self.reader.stopped:
            if self.protocol.unsettled or self.protocol.state is not OPEN:
                return False
        self.set_slow(RECEIVING)
        self.recv_waiter = waiter
        return True

    def awaited(self):
        self.expected()

    cdef int expected(self) except -1:
        self.set_slow(self._slow & ~RECEIVING)
        self.recv_waiter = None
        return 0

    def queue(self, message):
        return self.clear_to_send and self.writer.add_message(message)
