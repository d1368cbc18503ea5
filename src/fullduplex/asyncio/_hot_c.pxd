from ..core.endpoint._hot_c cimport HotEndpoint
from ._time_slice_c cimport TimeSlice


cdef class NativeTransport:
    cdef int send(self, bytes data, bint last=*) except -1
    cdef int readable(self) except -1
    cdef bint leaving(self) except -1


cdef class HotDriver:
    cdef public object loop
    cdef public object transport
    cdef public object get_buffer
    cdef public object _burst
    cdef public HotEndpoint session
    cdef public bint ended
    cdef public TimeSlice time_slice
    cdef public double _wrote_at
    # The task whose writes are joined; no reference.
    cdef void *_writer
    cdef int _corked
    cdef bint _eager
    # Where the event loop ran when it was last looked for.
    cdef unsigned long _thread
    cdef NativeTransport _link
    cdef object _put
    cdef int check_thread(self) except -1
    cdef object send_plain(self, message)
    cdef int received(self, Py_ssize_t size) except -1
    cdef int _write(self) except -1
    cdef int _wrote(self) except -1
