# Part of _wire_c.pyx: what was read behind a mark, and waits to be parsed.

# For readers whose messages go elsewhere: it is always empty.
cdef MessageQueue NOWHERE = MessageQueue()


cdef class Holder(Limits):
    """The part of a `FrameReader` that knows marks, and holds what is behind them."""

    cdef MessageQueue _inbox
    cdef Py_ssize_t _queue_mark
    cdef Py_ssize_t _unread_mark
    cdef uint8_t *_held
    cdef Py_ssize_t _held_size
    # Where the next frame begins.
    cdef Py_ssize_t _held_at

    def __cinit__(self):
        self._held = NULL
        self._inbox = NOWHERE
        self._queue_mark = self._unread_mark = PY_SSIZE_T_MAX

    def __dealloc__(self):
        PyMem_Free(self._held)

    @property
    def held(self):
        return self._held_size - self._held_at

    def held_bytes(self):
        """See the pure body."""
        return PyBytes_FromStringAndSize(<char*>self._held + self._held_at, self._held_size - self._held_at)

    def hold_above(self, messages, size):
        self._queue_mark = PY_SSIZE_T_MAX if messages is None else min(messages, PY_SSIZE_T_MAX)
        self._unread_mark = PY_SSIZE_T_MAX if size is None else min(size, PY_SSIZE_T_MAX)

    @property
    def full(self):
        return self.is_full()

    cdef bint is_full(self) except -1:
        if self._inbox._count > self._queue_mark:
            return True
        if self.queued_bytes <= self._unread_mark:
            return False
        self.queued_bytes = self._inbox.size()
        return self.queued_bytes > self._unread_mark

    cdef int _hold(self, uint8_t *p, Py_ssize_t size) except -1:
        """Keep bytes for `proceed`."""
        cdef Py_ssize_t kept = self._held_size - self._held_at
        cdef uint8_t *memory
        if size == 0:
            return 0
        memory = <uint8_t*>PyMem_Malloc(kept + size)
        if memory == NULL:
            raise MemoryError
        if kept:
            memcpy(memory, self._held + self._held_at, kept)
        memcpy(memory + kept, p, size)
        PyMem_Free(self._held)
        self._held = memory
        self._held_size = kept + size
        self._held_at = 0
        self.holding = True
        return 0

    cdef int _let_go(self) except -1:
        """Forget what is held."""
        PyMem_Free(self._held)
        self._held = NULL
        self._held_size = self._held_at = 0
        self.holding = False
        return 0

    cdef Py_ssize_t _parse(self, uint8_t *p, Py_ssize_t have) except -1:
        """Parse frames up to the marks; returns where the next one begins."""
        raise NotImplementedError

    cpdef proceed(self):
        cdef uint8_t *memory = self._held
        cdef Py_ssize_t size = self._held_size, at = self._held_at
        if self.stopped:
            self._let_go()
        if not self.holding or self.is_full():
            return
        # Nobody may go on with it, nor free it, while it is parsed.
        self._held = NULL
        self._held_size = self._held_at = 0
        self.holding = False
        try:
            at += self._parse(memory + at, size - at)
        except BaseException:
            PyMem_Free(memory)
            self.stopped = True
            raise
        if at < size and not self.stopped:
            self._held = memory
            self._held_size = size
            self._held_at = at
            self.holding = True
        else:
            PyMem_Free(memory)
