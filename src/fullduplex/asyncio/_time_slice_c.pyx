# cython: language_level=3, binding=False, always_allow_keywords=False, cdivision=True
"""Time that a task may take before its event loop runs.  Compiled twin of ``_time_slice.py``."""

from weakref import WeakKeyDictionary

from ._time_slice import CALLS, SECONDS, STRIDE, UNTIMED, yield_once

include "../core/kernels/_clock_c.pxi"

cdef double _seconds = SECONDS
cdef Py_ssize_t _most_calls = CALLS
cdef Py_ssize_t _most_stride = STRIDE
cdef Py_ssize_t _untimed = UNTIMED


cdef class TimeSlice:
    def __cinit__(self):
        self.begin()

    cdef void begin(self) noexcept:
        self.left = self.stride = _untimed
        self.calls = 0

    def renew(self):
        self.begin()

    def _iterated(self):
        self.scheduled = False
        self.begin()

    def spend(self, loop):
        self.left -= 1
        return self.left <= 0 and self.look(loop)

    cdef bint look(self, loop) except -1:
        cdef double now = clock()
        cdef double elapsed = 0
        cdef double fitting
        if self.calls == 0:
            self.began = now
            if not self.scheduled:
                self.scheduled = True
                loop.call_soon(self._iterated)
        else:
            elapsed = now - self.began
        self.calls += self.stride
        if elapsed >= _seconds or self.calls >= _most_calls:
            self.begin()
            return True
        if self.calls == _untimed:
            self.stride = 1
        elif elapsed > 0:
            fitting = (self.calls - _untimed) * (_seconds / elapsed - 1)
            self.stride = max(1, <Py_ssize_t>min(fitting, <double>_most_stride))
        else:
            self.stride = _most_stride
        self.left = self.stride
        return False


cdef object _slices = WeakKeyDictionary()


def time_slice(loop):
    found = _slices.get(loop)
    if found is None:
        found = _slices[loop] = TimeSlice()
    return found
