# Declarations of the wire layer for other compiled modules of the package.

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t


cdef class ReadBuffer:
    cdef object _memory
    cdef readonly object view
    cdef uint8_t *ptr
    cdef readonly Py_ssize_t size


cdef class ReaderInterface:
    cdef ReadBuffer _buffer
    cdef public bint stopped
    cdef public bint has_events
    # Whether bytes wait to be parsed.
    cdef readonly bint holding
    cdef public Py_ssize_t queued_bytes
    cdef bint is_full(self) except -1
    cpdef proceed(self)
    cdef int writable_region(self, char **start, Py_ssize_t *size) except -1
    cdef Py_ssize_t payload_remaining(self) noexcept
    cpdef received(self, Py_ssize_t size)


cdef class WriterInterface:
    cdef readonly bint masked
    cdef readonly Py_ssize_t pending
    cpdef bint add_message(self, message) except -1
    cpdef int count_unbuffered_frame(self, Py_ssize_t size) except -1
    cpdef bytes take(self)


cdef class MessageQueue:
    cdef PyObject **_ring
    cdef Py_ssize_t _room
    cdef Py_ssize_t _first
    cdef Py_ssize_t _count
    cdef public Py_ssize_t take_threshold
    cdef int _drop(self) except -1
    cdef int _grow(self) except -1
    cdef object first(self)
    cpdef append(self, item)
    cpdef Py_ssize_t size(self) except -1
