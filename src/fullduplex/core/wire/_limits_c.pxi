# Part of _wire_c.pyx: how large a message and a fragment may be.

cdef uint64_t _limit(object value) except? 0:
    """No length on the wire is above 2**63 - 1."""
    return 1 << 63 if value is None or value > 1 << 63 else value


cdef class Limits(ReaderInterface):
    """The part of a `FrameReader` that knows them."""

    cdef object _max_size
    cdef object _max_fragment
    cdef uint64_t _size_limit
    cdef uint64_t _fragment_limit
    # Limit of an unfragmented message: the smaller of both limits.
    cdef uint64_t _whole_limit
    # The same for `decompress`: one more tells "full" from "too big", 0 is no limit.
    cdef Py_ssize_t _inflate_room
    cdef object _inflate_limit

    @property
    def max_size(self):
        return self._max_size

    @max_size.setter
    def max_size(self, value):
        self._max_size = value
        self._size_limit = _limit(value)
        self._limits_changed()

    cdef int _limits_changed(self) except -1:
        cdef uint64_t limit = min(self._size_limit, self._fragment_limit)
        self._whole_limit = limit
        self._inflate_room = <Py_ssize_t>limit + 1 if limit < <uint64_t>PY_SSIZE_T_MAX else 0
        self._inflate_limit = self._inflate_room
        return 0

    @property
    def max_fragment(self):
        return self._max_fragment

    @max_fragment.setter
    def max_fragment(self, value):
        self._max_fragment = value
        self._fragment_limit = _limit(value)
        self._limits_changed()
