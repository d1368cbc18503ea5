from ..wire._wire_c cimport MessageQueue, WriterInterface, ReaderInterface


cdef class HotEndpoint:
    cdef public bint needs_sync
    cdef public bint clear_to_send
    cdef public bint writing_paused
    cdef int _recv_blockers
    cdef public double now
    cdef public double received_at
    cdef public double sent_at
    cdef public MessageQueue messages
    cdef public ReaderInterface reader
    cdef public ReaderInterface holder
    cdef public WriterInterface writer
    cdef public object protocol
    cdef public object recv_waiter
    cdef Py_ssize_t _low
    cdef Py_ssize_t _unread_low
    cdef bint _above_low(self) except -1
    cpdef refill(self)
    cpdef message_taken(self)
    cpdef take_held(self)
    cdef object parse(self, Py_ssize_t size, double now)
    cdef int set_recv_blockers(self, int recv_blockers) except -1
    cdef bint start_wait(self, waiter) except -1
    cdef int stop_wait(self) except -1
