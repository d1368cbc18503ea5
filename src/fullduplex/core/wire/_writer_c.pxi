# Part of _wire_c.pyx: masking keys, and frames on their way out.

cdef bytes _masks = b""
cdef Py_ssize_t _masks_used = 0


cdef int _new_mask(uint8_t *key) except -1:
    """Take an unpredictable key (RFC 6455, 5.3) from a block of os.urandom."""
    global _masks, _masks_used
    cdef bytes block
    if _masks_used + 4 > PyBytes_GET_SIZE(_masks):
        block = os.urandom(MASK_BLOCK)
        _masks = block
        _masks_used = 0
    memcpy(key, PyBytes_AS_STRING(_masks) + _masks_used, 4)
    _masks_used += 4
    return 0


def forget_masks():
    """Throw the random block away; a forked child must not share it."""
    global _masks, _masks_used
    _masks = b""
    _masks_used = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_masks)


cdef enum:
    # The most that is reserved for what may come.
    AT_ONCE = 66560


cdef class FrameWriter(WriterInterface):
    cdef PyObject *_out
    cdef Py_ssize_t _room
    # Size of the output that was taken last: the next one may be as large.
    cdef Py_ssize_t _taken
    cdef readonly uint64_t total
    cdef readonly uint64_t payload
    cdef readonly uint64_t count

    def __cinit__(self):
        self._out = NULL

    def __init__(self, *, bint mask):
        self.masked = mask

    def __dealloc__(self):
        Py_XDECREF(self._out)

    cpdef bint add_message(self, message) except -1:
        if type(message) is str:
            self._add_text(0x81, message)
            return True
        if type(message) is bytes:
            self._add(0x82, <uint8_t*>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
            return True
        return False

    cpdef Py_ssize_t add(self, int head, payload) except -1:
        cdef Py_buffer src
        if isinstance(payload, str):
            self._add_text(head, payload)
            return self.pending
        if isinstance(payload, memoryview) and not payload.c_contiguous:
            payload = bytes(payload)
        PyObject_GetBuffer(payload, &src, PyBUF_SIMPLE)
        try:
            self._add(head, <uint8_t*>src.buf, src.len)
        finally:
            PyBuffer_Release(&src)
        return self.pending

    cdef int _add_text(self, int head, object text) except -1:
        cdef Py_ssize_t size
        cdef const char *p = PyUnicode_AsUTF8AndSize(text, &size)
        self._add(head, <uint8_t*>p, size)
        return 0

    cdef int _add(self, int head, const uint8_t *p, Py_ssize_t size) except -1:
        cdef Py_ssize_t start, whole
        cdef uint8_t *out
        cdef int bit = 0x80 if self.masked else 0
        cdef uint8_t key[4]
        if self.masked:
            _new_mask(key)
        start = 2 if size < 126 else 4 if size < 65536 else 10
        whole = start + size + (4 if self.masked else 0)
        self._reserve(whole)
        out = <uint8_t*>PyBytes_AS_STRING_raw(self._out) + self.pending
        out[0] = head
        if size < 126:
            out[1] = bit | size
        elif size < 65536:
            out[1] = bit | 126
            out[2] = size >> 8
            out[3] = size & 0xFF
        else:
            out[1] = bit | 127
            out[2] = (<uint64_t>size >> 56) & 0xFF
            out[3] = (<uint64_t>size >> 48) & 0xFF
            out[4] = (<uint64_t>size >> 40) & 0xFF
            out[5] = (<uint64_t>size >> 32) & 0xFF
            out[6] = (<uint64_t>size >> 24) & 0xFF
            out[7] = (<uint64_t>size >> 16) & 0xFF
            out[8] = (<uint64_t>size >> 8) & 0xFF
            out[9] = <uint64_t>size & 0xFF
        if self.masked:
            memcpy(out + start, key, 4)
            fdx_mask(out + start + 4, p, size, key, 0)
        else:
            fdx_copy(out + start, p, size)
        self.pending += whole
        if not head & 8:
            self.payload += size
            if head & 0x80:
                self.count += 1
        return 0

    cdef int _reserve(self, Py_ssize_t extra) except -1:
        """Make room; the first frame gets exactly its size, to be taken as is."""
        cdef Py_ssize_t need = self.pending + extra
        if self._out == NULL:
            self._out = PyBytes_FromStringAndSize_raw(NULL, need)
            self._room = need
        elif need > self._room:
            self._room = max(need, 2 * self._room, min(self._taken, AT_ONCE), 4096)
            try:
                _PyBytes_Resize(&self._out, self._room)
            except MemoryError:
                self.pending = self._room = 0
                raise
        return 0

    def add_raw(self, data):
        cdef Py_buffer src
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            self._reserve(src.len)
            memcpy(PyBytes_AS_STRING_raw(self._out) + self.pending, src.buf, src.len)
            self.pending += src.len
            self._count_frame(src.len)
        finally:
            PyBuffer_Release(&src)

    cdef int _count_frame(self, Py_ssize_t size) except -1:
        """Count a message by the size of its frame, which has no mask."""
        self.payload += max(size - (2 if size < 128 else 4 if size < 65540 else 10), 0)
        self.count += 1
        return 0

    cpdef int count_unbuffered_frame(self, Py_ssize_t size) except -1:
        self.total += size
        self._count_frame(size)
        return 0

    cpdef bytes take(self):
        cdef PyObject *raw = self._out
        cdef bytes result
        if raw == NULL:
            return b""
        self._out = NULL
        if self._room != self.pending:
            _PyBytes_Resize(&raw, self.pending)
        self.total += self.pending
        self._taken = self.pending
        self.pending = self._room = 0
        result = <bytes>raw
        Py_XDECREF(raw)
        return result
