# Declarations of compression streams for the wire layer.

from libc.stdint cimport uint8_t

cdef extern from "csrc/zlib_functions.h":
    ctypedef struct fdx_stream:
        const uint8_t *next_in
        unsigned avail_in
        uint8_t *next_out
        unsigned avail_out
        const char *msg
        int data_type
    ctypedef int (*fdx_run)(fdx_stream *stream, int flush) nogil
    ctypedef int (*fdx_end)(fdx_stream *stream) nogil
    ctypedef struct fdx_library:
        fdx_run inflate
        fdx_end inflate_end
        fdx_run deflate
        fdx_end deflate_end
    bint fdx_find(const char *path, bint ng, fdx_library *found)
    int fdx_begin_inflate(const fdx_library *library, fdx_stream *stream, int bits)
    int fdx_begin_deflate(const fdx_library *library, fdx_stream *stream, int level, int bits, int mem_level, int strategy, bint lasting)


cdef class Library:
    cdef fdx_library _functions
    cdef readonly object error


cdef class Stream:
    cdef Library _library
    cdef fdx_stream _stream
    cdef fdx_run _run
    cdef bint _begun
    cdef bint _busy
    cdef const uint8_t *_next
    cdef Py_ssize_t _left
    cdef readonly bint eof
    cdef int _ended_at
    cdef int _set_input(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef Py_ssize_t _fill_output(self, uint8_t *out, Py_ssize_t room, bint apart) except -1
    cdef bytes _grow_output(self, const uint8_t *first, Py_ssize_t made, Py_ssize_t room)
    cdef object _error(self, int code)


cdef class Inflater(Stream):
    cdef readonly bytes unused_data
    cdef bint between_blocks(self) noexcept
    # Bytes that came out of the last `read`.
    cdef Py_ssize_t made
    cdef object read(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t room, bint text, bint whole)
