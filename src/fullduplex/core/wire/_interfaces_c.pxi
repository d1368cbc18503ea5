# Interfaces of the reader and the writer for compiled drivers; see _wire_c.pxd.


cdef class ReaderInterface:
    """Methods of a `FrameReader` that drivers call."""

    cdef int writable_region(self, char **start, Py_ssize_t *size) except -1:
        raise NotImplementedError

    cdef Py_ssize_t payload_remaining(self) noexcept:
        """Return how many bytes the payload takes that is being read, 0 if none is."""
        return 0

    cpdef received(self, Py_ssize_t size):
        raise NotImplementedError

    cpdef proceed(self):
        raise NotImplementedError

    cdef bint is_full(self) except -1:
        raise NotImplementedError


cdef class WriterInterface:
    """Methods of a `FrameWriter` that drivers call."""

    cpdef bint add_message(self, message) except -1:
        raise NotImplementedError

    cpdef int count_unbuffered_frame(self, Py_ssize_t size) except -1:
        raise NotImplementedError

    cpdef bytes take(self):
        raise NotImplementedError
