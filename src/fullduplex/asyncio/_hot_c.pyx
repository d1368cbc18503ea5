# cython: language_level=3, binding=False, always_allow_keywords=False
"""Read and write paths of a driver.  Compiled twin of ``_hot.py``."""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE

from ..core.endpoint._hot_c cimport HotEndpoint
from ._time_slice_c cimport TimeSlice
from ._waiter_c cimport Waiter, current_step, new_waiter

from ._time_slice_c import time_slice

from asyncio import _get_running_loop as running_loop
from ._running_loop import check_running

include "../core/kernels/_clock_c.pxi"

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept

JOIN = 65536
cdef enum:
    JOINED = 65536
cdef double BURST = 50e-6

# Treatment of writes: in the read callback, the first one leaves and others wait.
cdef enum:
    UNCORKED
    UNWRITTEN
    CORKED


cdef class NativeTransport:
    """Interface of our own transports for a driver."""

    cdef int send(self, bytes data, bint last=False) except -1:
        raise NotImplementedError

    cdef int readable(self) except -1:
        raise NotImplementedError

    cdef bint leaving(self) except -1:
        """Whether nothing can be written any more; transports may know it faster."""
        return self.is_closing()


cdef class HotDriver:
    def __init__(self, loop, bint eager):
        self.loop = loop
        self._eager = eager
        self.time_slice = time_slice(loop)
        self._thread = PyThread_get_thread_ident()

    @cython.nonecheck(False)
    cdef int check_thread(self) except -1:
        if self._thread != PyThread_get_thread_ident():
            check_running(self.loop)
            self._thread = PyThread_get_thread_ident()
        return 0

    def start_frames(self, HotEndpoint session not None):
        self.session = session
        self.get_buffer = session.reader.get_buffer
        if isinstance(self.transport, NativeTransport):
            self._link = self.transport
        else:
            self._put = self.transport.write

    def buffer_updated(self, Py_ssize_t nbytes):
        if self.session is None:
            self._handshake_read(nbytes)
        else:
            self.received(nbytes)

    @cython.nonecheck(False)
    cdef int received(self, Py_ssize_t size) except -1:
        cdef HotEndpoint session = self.session
        cdef object waiter
        cdef bint fired, needs_sync
        if session is None or session.writer is None or session.messages is None:
            return 0
        self._corked = UNWRITTEN
        try:
            waiter = session.parse(size, clock())
            # The reader may look after it during its step, and leave something to
            # settle.
            needs_sync = session.needs_sync
            if waiter is not None:
                if session.writer.pending:
                    # Pongs do not wait for what the reader does with its message.
                    session.sent_at = session.now
                    self._write()
                if type(waiter) is Waiter:
                    fired = (<Waiter>waiter).fire_now()
                else:
                    fired = waiter.fire()
                if not fired:
                    # The reader's step is in the loop's queue; stand behind it.
                    self.loop.call_soon(self._after_delivery)
                    return 0
            if session.messages._count or needs_sync or session.needs_sync or session.holder.holding:
                session.after_delivery()
        finally:
            self._corked = UNCORKED
            if session.writer.pending:
                session.sent_at = session.now
                self._write()
            if session.needs_sync:
                self._sync()
        return 0

    def begin_wait(self):
        cdef HotEndpoint session = self.session
        cdef Waiter waiter
        if session is None:
            return None
        waiter = new_waiter(self.loop, self._eager)
        return waiter if session.start_wait(waiter) else None

    def end_wait(self):
        self.session.stop_wait()

    def send_now(self, message):
        return self.send_plain(message)

    @cython.nonecheck(False)
    cdef object send_plain(self, message):
        cdef HotEndpoint session = self.session
        if session is None or not session.clear_to_send or session.writer is None:
            return False
        self.check_thread()
        if not self._corked and self._burst is None and running_loop() is not self.loop:
            check_running(self.loop)
        if not session.writer.add_message(message):
            return False
        self._wrote()
        return None if session.writing_paused else True

    def broadcast_now(self, bytes frame, double now, bint fresh):
        cdef HotEndpoint session = self.session
        if session is None or not session.clear_to_send or session.writer.masked:
            return False
        session.sent_at = now
        if not fresh or session.writer.pending:
            return None
        if self._link is not None:
            session.writer.count_unbuffered_frame(PyBytes_GET_SIZE(frame))
            self._link.send(frame)
            if self._link.leaving():
                session.output_ended()
        elif self.transport.is_closing():
            session.output_ended()
            return False
        else:
            session.writer.count_unbuffered_frame(PyBytes_GET_SIZE(frame))
            self._put(frame)
        return True

    def schedule_flush(self):
        self._wrote()

    @cython.nonecheck(False)
    cdef int _wrote(self) except -1:
        cdef HotEndpoint session = self.session
        cdef double now
        cdef void *step
        if session is None or session.writer is None:
            return 0
        if self._corked:
            if self._corked == UNWRITTEN:
                self._corked = CORKED
                session.sent_at = session.now
                return self._write()
            if session.writer.pending >= JOINED:
                self._flush()
            return 0
        if self._burst is not None:
            step = current_step(self.loop)
            if self._writer != step:
                # The first write of another step.
                self._writer = step
                self._flush()
            elif session.writer.pending >= JOINED:
                self._flush()
            return 0
        now = clock()
        if now - self._wrote_at < BURST:
            self._burst = self.loop.call_soon(self._end_burst)
            self._writer = current_step(self.loop)
        self._wrote_at = session.sent_at = now
        return self._write()

    @cython.nonecheck(False)
    cdef int _write(self) except -1:
        cdef HotEndpoint session = self.session
        cdef bytes data
        if session is None or session.writer is None:
            return 0
        data = session.writer.take()
        if self._link is not None:
            # With `needs_sync`, `_sync` follows, which closes our direction.
            self._link.send(data, session.needs_sync and session.half_closing)
            if self._link.leaving():
                session.output_ended()
        elif self.transport.is_closing():
            # Transports warn of those who go on writing.
            session.output_ended()
        else:
            self._put(data)
        return 0

    def write_queued(self):
        self._write()
