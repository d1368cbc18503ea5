# Part of _wire_c.pyx: memory to read into, and the queue of what was read.

cdef enum:
    PAGE = 4096
    # From this size on, allocators take memory from the system for each object, page by
    # page.  The pages of so much memory are requested at once, ahead of the data.
    MAPPED = 33554432
    AHEAD = 2097152


cdef class ReadBuffer:
    """Memory that a transport reads into; one serves all connections of a loop."""

    def __init__(self, Py_ssize_t size=262144):
        if size < 16384:
            raise ValueError(f"size is {size} bytes; a read buffer has at least 16384")
        # It begins with a page, as memory of the system does: some processors copy
        # several times slower to a place that is a little further in its page.
        self._memory = bytearray(size + PAGE)
        cdef Py_ssize_t skipped = -<Py_ssize_t>PyByteArray_AS_STRING(self._memory) & (PAGE - 1)
        self.view = memoryview(self._memory)[skipped : skipped + size]
        self.ptr = <uint8_t*>PyByteArray_AS_STRING(self._memory) + skipped
        self.size = size


cdef Py_ssize_t _ahead(PyObject *payload, Py_ssize_t filled, Py_ssize_t ready, Py_ssize_t room) except -1:
    """Have memory ready for what arrives next; return up to where."""
    cdef Py_ssize_t start = max(filled, ready)
    cdef Py_ssize_t end = min(filled + AHEAD, room)
    cdef char *p = PyBytes_AS_STRING_raw(payload)
    if room < MAPPED or end - start < min(AHEAD // 2, room - start):
        return ready
    with nogil:
        fdx_populate(p + start, end - start)
    return end


cdef class MessageQueue:
    def __cinit__(self):
        self._ring = NULL

    def __dealloc__(self):
        self._drop()
        PyMem_Free(self._ring)

    cdef int _drop(self) except -1:
        cdef PyObject *raw
        while self._count:
            raw = self._ring[self._first]
            self._first = (self._first + 1) & (self._room - 1)
            self._count -= 1
            Py_XDECREF(raw)
        return 0

    def __len__(self):
        return self._count

    def __bool__(self):
        return self._count != 0

    def __iter__(self):
        cdef Py_ssize_t i
        return iter([<object>self._ring[(self._first + i) & (self._room - 1)] for i in range(self._count)])

    @cython.nonecheck(False)  # of nothing but `self`, as below
    cpdef append(self, item):
        if self._count == self._room:
            self._grow()
        Py_INCREF(item)
        self._ring[(self._first + self._count) & (self._room - 1)] = <PyObject*>item
        self._count += 1

    cdef int _grow(self) except -1:
        cdef Py_ssize_t room = 2 * self._room if self._room else 8
        cdef Py_ssize_t i
        cdef PyObject **ring = <PyObject**>PyMem_Malloc(room * sizeof(PyObject*))
        if ring == NULL:
            raise MemoryError
        for i in range(self._count):
            ring[i] = self._ring[(self._first + i) & (self._room - 1)]
        PyMem_Free(self._ring)
        self._ring = ring
        self._room = room
        self._first = 0
        return 0

    cpdef Py_ssize_t size(self) except -1:
        cdef Py_ssize_t i, total = 0
        cdef object item
        for i in range(self._count):
            item = <object>self._ring[(self._first + i) & (self._room - 1)]
            total += len(item if isinstance(item, (str, bytes)) else item.data)
        return total

    def take(self):
        return self.first() if self._count > self.take_threshold else None

    def popleft(self):
        if self._count == 0:
            raise IndexError("no message is waiting")
        return self.first()

    @cython.nonecheck(False)
    cdef object first(self):
        """Take out the first of at least one."""
        cdef PyObject *raw
        cdef object item
        raw = self._ring[self._first]
        self._first = (self._first + 1) & (self._room - 1)
        self._count -= 1
        if self._count == 0 and self._room > 1024:
            # A burst is over; its ring need not outlive it.
            PyMem_Free(self._ring)
            self._ring = NULL
            self._room = self._first = 0
        item = <object>raw
        Py_DECREF(item)
        return item

    def pop(self):
        cdef object item
        if self._count == 0:
            raise IndexError("no message is waiting")
        self._count -= 1
        item = <object>self._ring[(self._first + self._count) & (self._room - 1)]
        Py_DECREF(item)
        return item

    def clear(self):
        self._drop()
