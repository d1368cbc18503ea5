# Part of _hot_c.pyx: a lock that costs C code no call of Python.

cdef extern from "pythread.h":
    ctypedef void *PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_ACQUIRED
    int NOWAIT_LOCK
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait)
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long us, int intr) nogil
    void PyThread_release_lock(PyThread_type_lock lock)


cdef class Lock:
    """Substitute for `threading.Lock`: the system's lock, which signals interrupt."""

    cdef PyThread_type_lock _lock
    # Whether somebody has it; the caller holds the GIL.
    cdef bint held

    def __cinit__(self):
        self._lock = PyThread_allocate_lock()
        if self._lock == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._lock != NULL:
            if self.held:
                PyThread_release_lock(self._lock)
            PyThread_free_lock(self._lock)

    cdef bint attempt(self) noexcept:
        """Take it if it is free."""
        if not PyThread_acquire_lock(self._lock, NOWAIT_LOCK):
            return False
        self.held = True
        return True

    cdef int take(self) except -1:
        """Wait for it; what a signal handler raises ends that."""
        cdef PyLockStatus status
        if self.attempt():
            return 0
        while True:
            with nogil:
                status = PyThread_acquire_lock_timed(self._lock, -1, 1)
            if status == PY_LOCK_ACQUIRED:
                self.held = True
                return 0
            PyErr_CheckSignals()

    cdef void drop(self) noexcept:
        self.held = False
        PyThread_release_lock(self._lock)

    def acquire(self, bint blocking=True):
        if not blocking:
            return self.attempt()
        self.take()
        return True

    def release(self):
        if not self.held:
            raise RuntimeError("release unlocked lock")
        self.drop()

    def __enter__(self):
        self.take()
        return True

    def __exit__(self, kind, exc, traceback):
        self.release()
