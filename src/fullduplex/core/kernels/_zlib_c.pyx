# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=False
"""The streams of zlib and zlib-ng, without what their modules put around each call.

For every call, the modules allocate a block of 16 KiB or more for the output, copy it,
release the GIL and parse their arguments.  This is a seventh of the cost of a message
of 1 KiB, and half for 64 bytes.  The streams here behave as
those of the modules.
"""

import os

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from ..errors import ProtocolError

cdef extern from "csrc/text.h":
    object fdx_text(const char *p, Py_ssize_t n)

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    PyObject *PyBytes_FromStringAndSize_raw "PyBytes_FromStringAndSize"(char *v, Py_ssize_t size) except NULL
    char *PyBytes_AS_STRING_raw "PyBytes_AS_STRING"(PyObject *o)

cdef enum:
    OK = 0
    STREAM_END = 1
    STREAM_ERROR = -2
    MEM_ERROR = -4
    BUF_ERROR = -5
    SYNC_FLUSH = 2
    # Output goes to the stack first; the stacks of threads are small.
    FIRST = 16384
    # So many bytes go in without letting other threads run, and what they become up
    # to FIRST.
    SMALL = 4096
    # The counters of the libraries have 32 bits.
    MOST = 0x40000000


# None of these can be part of a cycle; were they collected as one, a stream would end
# without its library.
@cython.no_gc
cdef class Library:
    """
    The functions in C of a library that was imported.

    Args:
        path: file of its module for Python.
        ng: whether it is zlib-ng under its own names, and not zlib.
        error: exception class of its module.

    Raises:
        LookupError: they are not to be found there, or are not those we know.
    """

    def __cinit__(self, path, bint ng, error):
        self.error = error
        if not fdx_find(os.fsencode(path), ng, &self._functions):
            raise LookupError(f"no functions of zlib in {path}")


@cython.no_gc
cdef class Stream:
    """Base of both directions."""

    def __cinit__(self, Library library not None, *args, **kwds):
        self._library = library

    cdef int _set_input(self, const uint8_t *p, Py_ssize_t size) except -1:
        """Take note of what goes in."""
        if self._busy:
            raise RuntimeError("another thread is using this stream")
        self._next = p
        self._left = size
        return 0

    cdef Py_ssize_t _fill_output(self, uint8_t *out, Py_ssize_t room, bint apart) except -1:
        """
        Write up to `room` bytes; if fewer, all input is used up or the stream ended.

        Args:
            apart: let other threads run meanwhile.
        """
        cdef fdx_stream *stream = &self._stream
        cdef Py_ssize_t done = 0, step, given
        cdef int code
        while True:
            given = min(self._left, MOST)
            step = min(room - done, MOST)
            stream.next_in = self._next
            stream.avail_in = <unsigned>given
            stream.next_out = out + done
            stream.avail_out = <unsigned>step
            if apart:
                self._busy = True
                with nogil:
                    code = self._run(stream, SYNC_FLUSH)
                self._busy = False
            else:
                code = self._run(stream, SYNC_FLUSH)
            given -= stream.avail_in
            self._next += given
            self._left -= given
            done += step - <Py_ssize_t>stream.avail_out
            if code != BUF_ERROR:
                # A call that does nothing forgets where the one before it ended.
                self._ended_at = stream.data_type
            if code == STREAM_END:
                self.eof = True
                return done
            if code != OK and code != BUF_ERROR:
                raise self._error(code)
            if done == room or code == BUF_ERROR or (stream.avail_out and not self._left):
                return done

    cdef bytes _grow_output(self, const uint8_t *first, Py_ssize_t made, Py_ssize_t room):
        """Go on behind the first bytes, in memory that grows with what comes out."""
        cdef Py_ssize_t size = made
        cdef PyObject *output = PyBytes_FromStringAndSize_raw(<char*>first, size)
        try:
            while made == size and made != room and not self.eof:
                size = min(2 * size, room) if room else 2 * size
                _PyBytes_Resize(&output, size)
                made += self._fill_output(<uint8_t*>PyBytes_AS_STRING_raw(output) + made, size - made, True)
            if made != size:
                _PyBytes_Resize(&output, made)
            return <bytes>output
        finally:
            Py_XDECREF(output)

    cdef object _error(self, int code):
        """Make what the module would raise."""
        doing = "decompressing" if isinstance(self, Inflater) else "compressing"
        if code == MEM_ERROR:
            return MemoryError(f"can't allocate memory for {doing} data")
        message = f"Error {code} while {doing} data"
        if self._stream.msg != NULL:
            message += f": {self._stream.msg.decode('ascii', 'replace')}"
        return self._library.error(message)


@cython.no_gc
cdef class Inflater(Stream):
    """
    A stream that is decompressed, as by `zlib.decompressobj`.

    Args:
        wbits: window, as for that.
    """

    def __cinit__(self, Library library not None, int wbits):
        cdef int code = fdx_begin_inflate(&library._functions, &self._stream, wbits)
        if code != OK:
            raise self._error(code)
        self._begun = True
        self._run = library._functions.inflate
        self.unused_data = b""

    def __dealloc__(self):
        if self._begun:
            self._library._functions.inflate_end(&self._stream)

    cdef bint between_blocks(self) noexcept:
        # zlib.h: 128 is added if `inflate` returned at the end of a block.
        return self._ended_at & 128 != 0

    @property
    def complete(self):
        """Whether the bytes so far end with a whole block."""
        return self.between_blocks()

    def decompress(self, data, Py_ssize_t max_length=0):
        """
        Decompress `data`; see `zlib.Decompress.decompress`.

        Output beyond `max_length` is not kept.
        """
        cdef Py_buffer src
        if max_length < 0:
            raise ValueError("max_length must be non-negative")
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            return self.read(<const uint8_t*>src.buf, src.len, max_length, False, False)
        finally:
            PyBuffer_Release(&src)

    cdef object read(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t room, bint text, bint whole):
        """
        Decompress so many bytes.

        Args:
            room: bytes that may come out, 0 for no limit.
            text: decode what comes out; not where it reached `room` or the stream
                has ended.
            whole: a message ends here, so a block must, but in the same cases.
        """
        cdef uint8_t first[FIRST]
        cdef Py_ssize_t made
        cdef bytes output = None
        self._set_input(p, size)
        made = self._fill_output(first, min(room, FIRST) if room else FIRST, size > SMALL)
        if made == FIRST:
            output = self._grow_output(first, made, room)
            made = len(output)
        self.made = made
        if self.eof:
            self.unused_data = PyBytes_FromStringAndSize(<char*>self._next, self._left)
        elif made == room and room:
            pass
        elif whole and not self.between_blocks():
            raise ProtocolError("compressed message ends within a DEFLATE block")
        elif text:
            return fdx_text(<char*>first if output is None else <char*>output, made)
        return PyBytes_FromStringAndSize(<char*>first, made) if output is None else output


@cython.no_gc
cdef class Deflater(Stream):
    """
    A stream that is compressed, as by `zlib.compressobj`.

    Args:
        level, wbits, memLevel, strategy: as for that.
        lasting: whether its memory goes back to the system at its end, for which each
            beginning costs some microseconds.
    """

    def __cinit__(self, Library library not None, int level=-1, int wbits=15, int memLevel=8, int strategy=0, bint lasting=False):
        cdef int code = fdx_begin_deflate(&library._functions, &self._stream, level, wbits, memLevel, strategy, lasting)
        if code == STREAM_ERROR:
            raise ValueError("Invalid initialization option")
        if code != OK:
            raise self._error(code)
        self._begun = True
        self._run = library._functions.deflate

    def __dealloc__(self):
        if self._begun:
            self._library._functions.deflate_end(&self._stream)

    def deflate(self, data, bint fin):
        """Compress and flush; see `Deflater` in ``extensions/zlib_library.py``."""
        cdef uint8_t first[FIRST]
        cdef Py_ssize_t made, less = 4 if fin else 0
        cdef Py_buffer src
        cdef bytes output
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            self._set_input(<const uint8_t*>src.buf, src.len)
            made = self._fill_output(first, FIRST, src.len > SMALL)
            if made < FIRST:
                return PyBytes_FromStringAndSize(<char*>first, made - less)
            output = self._grow_output(first, made, 0)
        finally:
            PyBuffer_Release(&src)
        return output[: len(output) - less]
