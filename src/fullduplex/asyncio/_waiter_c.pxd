cdef class Waiter:
    cdef public bint _asyncio_future_blocking
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef object _message
    cdef bint _eager
    cdef bint _fired
    cdef bint _cancelled
    cdef bint fire_now(self) except -1
    cdef int _fire_soon(self) except -1
    cdef bint _busy(self) except -1


cdef Waiter new_waiter(loop, bint eager)
cdef void *current_step(loop) except? NULL
