# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=False
"""Bytes to frames and back, compiled.  ``_wire.py`` is the reference.

Every index into raw memory stands under a length test in the same function.
Lengths from the wire are compared as unsigned 64-bit numbers with the limit
before they are narrowed.
"""

import os

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .errors import PayloadTooBig, ProtocolError


cdef extern from "csrc/kernels.h":
    void fdx_mask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t *key, size_t phase) nogil
    int fdx_utf8(uint32_t *state, const uint8_t *p, size_t n) nogil

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    PyObject *PyBytes_FromStringAndSize_raw "PyBytes_FromStringAndSize"(char *v, Py_ssize_t size) except NULL
    char *PyBytes_AS_STRING_raw "PyBytes_AS_STRING"(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object o, Py_ssize_t *size) except NULL


cdef enum:
    # An incomplete payload of at least this size, or any incomplete text, is
    # received into its own object; a smaller one waits as a tail.
    DIRECT = 4096
    # The first allocation for a payload whose announced size is larger.
    FIRST_STEP = 4194304
    MASK_BLOCK = 4096


cdef class ReadBuffer:
    """Memory that a transport reads into; one serves all connections of a loop."""

    cdef object _memory
    cdef readonly object view
    cdef uint8_t *ptr
    cdef readonly Py_ssize_t size

    def __init__(self, Py_ssize_t size=262144):
        if size < 16384:
            raise ValueError(f"size is {size} bytes; a read buffer has at least 16384")
        self._memory = bytearray(size)
        self.view = memoryview(self._memory)
        self.ptr = <uint8_t*>PyByteArray_AS_STRING(self._memory)
        self.size = size


cdef uint64_t _limit(object value) except? 0:
    """No length on the wire is above 2**63 - 1."""
    return 1 << 63 if value is None or value > 1 << 63 else value


cdef class Inbox:
    cdef PyObject **_ring
    cdef Py_ssize_t _room
    cdef Py_ssize_t _first
    cdef Py_ssize_t _count

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

    def popleft(self):
        cdef PyObject *raw
        cdef object item
        if self._count == 0:
            raise IndexError("no message is waiting")
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


cdef class FrameReader:
    cdef Inbox _inbox
    cdef ReadBuffer _buffer
    cdef object _append
    cdef object _handler
    cdef bint _masked
    cdef bint _direct_view
    # The part of a frame that has no payload object yet.
    cdef uint8_t *_tail
    cdef Py_ssize_t _tail_size
    # A payload that is being received.
    cdef PyObject *_payload
    cdef Py_ssize_t _payload_size
    cdef Py_ssize_t _payload_room
    cdef Py_ssize_t _payload_filled
    cdef int _payload_head
    cdef uint8_t _payload_key[4]
    cdef bint _payload_is_text
    cdef uint32_t _utf8
    # The message in progress.
    cdef readonly int opcode
    cdef bint _compressed
    cdef public uint64_t used
    cdef public int allowed_rsv
    cdef public bint whole
    cdef public bint stopped
    cdef public Py_ssize_t tally
    cdef object _max_size
    cdef object _max_fragment
    cdef uint64_t _size_limit
    cdef uint64_t _fragment_limit
    # What any whole message may have: the smaller of both limits.
    cdef uint64_t _whole_limit

    def __cinit__(self):
        self._tail = NULL
        self._payload = NULL

    def __init__(self, handler, append, *, bint masked, max_size=None, max_fragment=None, buffer=None, bint direct_view=True):
        self._handler = handler
        self._inbox = append if isinstance(append, Inbox) else None
        self._append = append
        self._masked = masked
        self._direct_view = direct_view
        self._buffer = ReadBuffer(65536) if buffer is None else buffer
        self.whole = True
        self.max_size = max_size
        self.max_fragment = max_fragment

    def __dealloc__(self):
        PyMem_Free(self._tail)
        Py_XDECREF(self._payload)

    @property
    def max_size(self):
        return self._max_size

    @max_size.setter
    def max_size(self, value):
        self._max_size = value
        self._size_limit = _limit(value)
        self._whole_limit = min(self._size_limit, self._fragment_limit)

    @property
    def max_fragment(self):
        return self._max_fragment

    @max_fragment.setter
    def max_fragment(self, value):
        self._max_fragment = value
        self._fragment_limit = _limit(value)
        self._whole_limit = min(self._size_limit, self._fragment_limit)

    @property
    def between_frames(self):
        return self._payload == NULL and self._tail_size == 0

    cpdef get_buffer(self, Py_ssize_t hint):
        cdef ReadBuffer buffer = self._buffer
        if self._payload != NULL and self._direct_view and not self.stopped:
            return PyMemoryView_FromMemory(
                PyBytes_AS_STRING_raw(self._payload) + self._payload_filled,
                self._payload_room - self._payload_filled,
                PyBUF_WRITE,
            )
        if self._tail_size:
            # A tail is shorter than DIRECT plus a header, so room is left.
            return buffer.view[self._tail_size :]
        return buffer.view

    cpdef received(self, Py_ssize_t size):
        cdef Py_ssize_t used
        cdef ReadBuffer buffer = self._buffer
        if self.stopped:
            return
        if self._payload != NULL:
            if self._direct_view:
                self._payload_grew(size)
                return
            used = self._absorb(buffer.ptr, size)
            if used < size:
                self._parse(buffer.ptr + used, size - used)
            return
        if self._tail_size:
            used = self._tail_size
            memcpy(buffer.ptr, self._tail, used)
            self._drop_tail()
            self._parse(buffer.ptr, used + size)
        else:
            self._parse(buffer.ptr, size)

    def feed(self, data):
        cdef Py_buffer src
        cdef Py_ssize_t done = 0, step
        cdef object room
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            with memoryview(data) as source:
                while done < src.len and not self.stopped:
                    room = self.get_buffer(-1)
                    step = min(len(room), src.len - done)
                    room[:step] = source[done : done + step]
                    done += step
                    self.received(step)
        finally:
            PyBuffer_Release(&src)

    cdef int _push(self, object message, Py_ssize_t size) except -1:
        if self._inbox is not None:
            self._inbox.append(message)
        else:
            self._append(message)
        self.tally += size
        return 0

    cdef int _drop_tail(self) except -1:
        PyMem_Free(self._tail)
        self._tail = NULL
        self._tail_size = 0
        return 0

    cdef int _refuse(self, object error) except -1:
        self.stopped = True
        raise error

    cdef int _check_order(self, int head) except -1:
        """Refuse what RFC 6455, 5.2 to 5.5, forbids in the first byte."""
        cdef int opcode = head & 0x0F
        if opcode >= 8:
            if opcode > 10:
                self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
            if head & 0x70:
                self._refuse(ProtocolError("reserved bits must be 0"))
            if not head & 0x80:
                self._refuse(ProtocolError("fragmented control frame"))
            return 0
        if opcode > 2:
            self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
        if head & 0x70 & ~self.allowed_rsv:
            self._refuse(ProtocolError("reserved bits must be 0"))
        if opcode == 0:
            if self.opcode == 0:
                self._refuse(ProtocolError("unexpected continuation frame"))
            if head & 0x40:
                self._refuse(ProtocolError("reserved bits must be 0 in a continuation frame"))
        elif self.opcode != 0:
            self._refuse(ProtocolError("expected a continuation frame"))
        return 0

    cdef int _check_size(self, int head, uint64_t size) except -1:
        """Refuse a payload over a limit before any of it is kept."""
        cdef uint64_t used, room, slack
        cdef bint compressed
        if head & 8:
            if size > 125:
                self._refuse(ProtocolError(f"control frame announces {size} bytes; 125 are allowed"))
            return 0
        if size > self._fragment_limit:
            self._refuse(PayloadTooBig(size, self._max_fragment))
        if self._max_size is not None:
            # Data that does not shrink grows a little when deflated; what it
            # inflates to is checked against the exact limit.
            compressed = head & 0x40 if head & 0x0F else self._compressed
            slack = (self._size_limit >> 10) + 64 if compressed else 0
            used = self.used if not head & 0x0F else 0
            room = self._size_limit - used if self._size_limit > used else 0
            if size > room and size - room > slack:
                self._refuse(PayloadTooBig(size, self._max_size, used if used else None))
        return 0

    cdef int _parse(self, uint8_t *p, Py_ssize_t have) except -1:
        cdef Py_ssize_t pos = 0, left, start
        cdef int head, second, size7
        cdef uint64_t size
        cdef uint8_t *key = NULL
        cdef bint simple
        while True:
            left = have - pos
            if left < 2:
                break
            head = p[pos]
            second = p[pos + 1]
            simple = (head == 0x81 or head == 0x82) and self.whole and self.opcode == 0
            if not simple:
                self._check_order(head)
            if (second >> 7) != self._masked:
                self._refuse(ProtocolError("incorrect masking"))
            size7 = second & 0x7F
            if size7 < 126:
                size = size7
                start = 2
            elif size7 == 126:
                if left < 4:
                    break
                size = (<uint64_t>p[pos + 2] << 8) | p[pos + 3]
                start = 4
                if size < 126:
                    self._refuse(ProtocolError(f"length {size} is not in its shortest form"))
            else:
                if left < 10:
                    break
                size = (
                    (<uint64_t>p[pos + 2] << 56) | (<uint64_t>p[pos + 3] << 48)
                    | (<uint64_t>p[pos + 4] << 40) | (<uint64_t>p[pos + 5] << 32)
                    | (<uint64_t>p[pos + 6] << 24) | (<uint64_t>p[pos + 7] << 16)
                    | (<uint64_t>p[pos + 8] << 8) | p[pos + 9]
                )
                start = 10
                if size >> 63:
                    self._refuse(ProtocolError("the most significant bit of a 64-bit length must be 0"))
                if size < 65536:
                    self._refuse(ProtocolError(f"length {size} is not in its shortest form"))
            if not simple or size > self._whole_limit:
                self._check_size(head, size)
            if self._masked:
                if left < start + 4:
                    break
                key = p + pos + start
                start += 4
            if <uint64_t>(left - start) < size:
                if size >= DIRECT or (head & 8 == 0 and self._is_text(head)):
                    self._begin_payload(head, size, key)
                    self._absorb(p + pos + start, left - start)
                    return 0
                break
            if self._masked:
                fdx_mask(p + pos + start, p + pos + start, size, key, 0)
            pos += start
            if not simple:
                self._frame(head, p + pos, <Py_ssize_t>size)
                if self.stopped:
                    return 0
            elif head == 0x81:
                self._push(self._text(<char*>p + pos, <Py_ssize_t>size), <Py_ssize_t>size)
            else:
                self._push(PyBytes_FromStringAndSize(<char*>p + pos, <Py_ssize_t>size), <Py_ssize_t>size)
            pos += <Py_ssize_t>size
        if left:
            self._tail = <uint8_t*>PyMem_Malloc(left)
            if self._tail == NULL:
                raise MemoryError
            memcpy(self._tail, p + pos, left)
            self._tail_size = left
        return 0

    cdef bint _is_text(self, int head) noexcept:
        if self.allowed_rsv & 0x30:
            return False  # extensions change payloads; what they make is checked
        if head & 0x0F:
            return head & 0x4F == 1
        return self.opcode == 1 and not self._compressed

    cdef int _frame(self, int head, uint8_t *p, Py_ssize_t size) except -1:
        """Deliver a frame that is no whole message; its payload is in the buffer."""
        if not head & 8 and self._is_text(head):
            self._check_text(head, p, size)
        self._deliver(head, PyBytes_FromStringAndSize(<char*>p, size))
        return 0

    cdef object _text(self, char *p, Py_ssize_t size):
        try:
            return PyUnicode_DecodeUTF8(p, size, NULL)
        except UnicodeDecodeError:
            self.stopped = True
            raise

    cdef int _check_text(self, int head, uint8_t *p, Py_ssize_t size) except -1:
        """Continue the UTF-8 check of a text message (RFC 6455, 8.1)."""
        if head & 0x0F and self._payload == NULL:
            self._utf8 = 0
        if fdx_utf8(&self._utf8, p, size):
            self._bad_text()
        return 0

    cdef int _bad_text(self) except -1:
        self._refuse(UnicodeDecodeError("utf-8", b"", 0, 0, "invalid UTF-8 in a text message"))

    cdef int _deliver(self, int head, bytes payload) except -1:
        """Hand a frame to the protocol; keep the order of fragments."""
        cdef int opcode = head & 0x0F
        if opcode < 8:
            if opcode:
                self.used = 0
                self._compressed = head & 0x40
            if not self._compressed:
                self.used += PyBytes_GET_SIZE(payload)
            self.opcode = 0 if head & 0x80 else (opcode if opcode else self.opcode)
            if head & 0x80 and self._utf8:
                self._utf8 = 0
                self._bad_text()
        if self._handler(head, payload):
            self.stopped = True
        return 0

    cdef int _begin_payload(self, int head, uint64_t size, uint8_t *key) except -1:
        cdef Py_ssize_t room
        if size > <uint64_t>PY_SSIZE_T_MAX:  # where addresses have 32 bits
            self._refuse(PayloadTooBig(size, PY_SSIZE_T_MAX))
        self._payload_size = <Py_ssize_t>size
        room = min(self._payload_size, FIRST_STEP)
        self._payload = PyBytes_FromStringAndSize_raw(NULL, room)
        self._payload_room = room
        self._payload_filled = 0
        self._payload_head = head
        self._payload_is_text = not head & 8 and self._is_text(head)
        if head & 0x0F:
            self._utf8 = 0
        if self._masked:
            memcpy(self._payload_key, key, 4)
        return 0

    cdef Py_ssize_t _absorb(self, uint8_t *p, Py_ssize_t have) except -1:
        """Copy bytes into the payload; return how many belonged to it."""
        cdef Py_ssize_t step, used = 0
        while used < have and self._payload != NULL:
            step = min(have - used, self._payload_room - self._payload_filled)
            memcpy(PyBytes_AS_STRING_raw(self._payload) + self._payload_filled, p + used, step)
            used += step
            self._payload_grew(step)
            if self.stopped:
                return have
        return used

    cdef int _payload_grew(self, Py_ssize_t step) except -1:
        cdef uint8_t *p = <uint8_t*>PyBytes_AS_STRING_raw(self._payload) + self._payload_filled
        cdef PyObject *payload
        if self._masked:
            fdx_mask(p, p, step, self._payload_key, self._payload_filled & 3)
        self._payload_filled += step
        if self._payload_is_text and fdx_utf8(&self._utf8, p, step):
            self._bad_text()
        if self._payload_filled < self._payload_room:
            return 0
        if self._payload_filled < self._payload_size:
            # Grow with what has arrived, never with what was announced.
            self._payload_room = min(self._payload_size, self._payload_room * 2)
            _PyBytes_Resize(&self._payload, self._payload_room)
            return 0
        payload = self._payload
        self._payload = NULL
        self._payload_done(payload)
        return 0

    cdef int _payload_done(self, PyObject *raw) except -1:
        cdef int head = self._payload_head
        cdef bytes payload = <bytes>raw
        Py_XDECREF(raw)
        if self.whole and head == 0x81:
            if self._utf8:
                self._utf8 = 0
                self._bad_text()
            self._push(self._text(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)), PyBytes_GET_SIZE(payload))
        elif self.whole and head == 0x82:
            self._push(payload, PyBytes_GET_SIZE(payload))
        else:
            self._deliver(head, payload)
        return 0


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


cdef class FrameWriter:
    cdef bint _mask
    cdef PyObject *_out
    cdef Py_ssize_t _room
    cdef readonly Py_ssize_t pending
    cdef readonly uint64_t total

    def __cinit__(self):
        self._out = NULL

    def __init__(self, *, bint mask):
        self._mask = mask

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
        cdef int bit = 0x80 if self._mask else 0
        cdef uint8_t key[4]
        if self._mask:
            _new_mask(key)
        start = 2 if size < 126 else 4 if size < 65536 else 10
        whole = start + size + (4 if self._mask else 0)
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
        if self._mask:
            memcpy(out + start, key, 4)
            fdx_mask(out + start + 4, p, size, key, 0)
        else:
            memcpy(out + start, p, size)
        self.pending += whole
        return 0

    cdef int _reserve(self, Py_ssize_t extra) except -1:
        """Make room; the first frame gets exactly its size, to be taken as is."""
        cdef Py_ssize_t need = self.pending + extra
        if self._out == NULL:
            self._out = PyBytes_FromStringAndSize_raw(NULL, need)
            self._room = need
        elif need > self._room:
            self._room = max(need, 2 * self._room, 4096)
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
        finally:
            PyBuffer_Release(&src)

    cpdef bytes take(self):
        cdef PyObject *raw = self._out
        cdef bytes result
        if raw == NULL:
            return b""
        self._out = NULL
        if self._room != self.pending:
            _PyBytes_Resize(&raw, self.pending)
        self.total += self.pending
        self.pending = self._room = 0
        result = <bytes>raw
        Py_XDECREF(raw)
        return result
