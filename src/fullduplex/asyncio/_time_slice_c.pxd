cdef class TimeSlice:
    # Calls until `look` must be asked; every call takes one.
    cdef Py_ssize_t left
    cdef Py_ssize_t stride
    cdef Py_ssize_t calls
    cdef double began
    cdef bint scheduled
    cdef bint look(self, loop) except -1
    cdef void begin(self) noexcept

